// Invalid files and their errors: misplaced tables, services that contradict each other, text that is not TOML.
// Not here: errors in one setting (the other files of this folder).
#include "tests/unit/daemon/config/rows.hpp"

namespace {

using hanat::test::expect_errors;
using hanat::test::Row;

// clang-format off: one row is one invalid text and its errors

constexpr Row whole_rows[] = {
    {R"(hanatd = 1)", R"(1:10: hanatd must be a table, not an integer: write [hanatd])"},
    {R"(defaults = 1)", R"(1:12: defaults must be a table, not an integer: write [defaults])"},
    {"[web]\n"
     "colour = 1",
     R"(1:2: unknown key "web": remove it, or use one of service, hanatd, pair, defaults, group)"},
    {"[service.web]\n"
     "listen = \"203.0.113.10:443\\tcp\"",
     R"(1:1: service web has no primary: write primary = "10.0.0.11:8443")"
     "\n"
     R"(2:10: "203.0.113.10:443?cp" contains a space or a control character: remove it, as in "203.0.113.10:443/tcp")"},
    {R"([hanat])", R"(1:2: unknown key "hanat": did you mean "hanatd"?)"},
    {"[default]\n"
     "snat = \"none\"",
     R"(1:2: unknown key "default": did you mean "defaults"?)"},
    {R"([services.web])", R"(1:2: unknown key "services": did you mean "service"?)"},
    {"[web]\n"
     "listen = \"203.0.113.10:443/tcp\"",
     R"(1:1: web does not belong here: write it as [service.web])"},
    {R"(listen = "203.0.113.10:443/tcp")",
     R"(1:10: listen does not belong here: write it under a [service.NAME] line, as in [service.web])"},
    {R"(service = "web")", R"(1:11: service must be a table, not a string: write [service.web])"},
    {"[service]\n"
     "listen = \"203.0.113.10:443/tcp\"",
     R"(2:1: service.listen is a string, but a service is a table: write [service.NAME] above its keys, as in [service.web])"},
    {"[[service]]\n"
     "name = \"web\"",
     R"(1:1: service must be a table, not a list: write [service.web])"},
    {R"([service.web])", R"(1:1: service web has no listen: write listen = "203.0.113.10:443/tcp")"
                         "\n"
                         R"(1:1: service web has no primary: write primary = "10.0.0.11:8443")"},
    {"[service.web]\n"
     "listen = \"203.0.113.10:443/tcp\"",
     R"(1:1: service web has no primary: write primary = "10.0.0.11:8443")"},
    {"[service.web]\n"
     "primary = \"10.0.0.11\"",
     R"(1:1: service web has no listen: write listen = "203.0.113.10:443/tcp")"},
    {"[service.\"web server\"]\n"
     "listen = \"203.0.113.10:443/tcp\"\n"
     "primary = \"10.0.0.11\"",
     R"(1:10: "web server" is not a valid service name: use 1 to 64 of the characters A-Z a-z 0-9 _ . -)"},
    {"[service.\"\"]\n"
     "listen = \"203.0.113.10:443/tcp\"\n"
     "primary = \"10.0.0.11\"",
     R"(1:10: "" is not a valid service name: use 1 to 64 of the characters A-Z a-z 0-9 _ . -)"},
    {R"([service."\u001b[2J"])", R"(1:10: "?[2J" is not a valid service name: use 1 to 64 of the characters A-Z a-z 0-9 _ . -)"},
    {R"([service.a234567890b234567890c234567890d234567890e234567890f23456789])",
     R"(1:1: service a234567890b234567890c234567890d234567890e234567890f23456789 has no listen: write listen = "203.0.113.10:443/tcp")"
     "\n"
     R"(1:1: service a234567890b234567890c234567890d234567890e234567890f23456789 has no primary: write primary = "10.0.0.11:8443")"},
    {"[defaults]\n"
     "listen = \"203.0.113.10:443/tcp\"",
     R"(2:10: listen does not belong here: two services cannot share a listener; write listen in each [service.NAME])"},
    {"[defaults]\n"
     "interval = \"1s\"",
     R"(2:12: interval does not belong here: write it in the probe, as in probe = { type = "tcp", interval = "1s" })"},
    {"[defaults]\n"
     "probe = { type = \"tcp\", timeout = \"20s\" }\n"
     "[service.a]\n"
     "listen = \"203.0.113.10:1/tcp\"\n"
     "primary = \"10.0.0.1\"\n"
     "[service.b]\n"
     "listen = \"203.0.113.10:2/tcp\"\n"
     "primary = \"10.0.0.2\"",
     R"(2:9: an unresponsive server could never be marked down: timeout 20s + (fails 3 - 1) x fast_interval 50ms = 20100ms is not shorter than within 10s (built in): raise within, or lower timeout, fails or fast_interval)"},
    {"[defaults]\n"
     "down = { fails = 3, within = \"600ms\" }\n"
     "[service.a]\n"
     "listen = \"203.0.113.10:1/tcp\"\n"
     "primary = \"10.0.0.1\"\n"
     "probe = { type = \"tcp\" }",
     R"(6:9: an unresponsive server could never be marked down: timeout 500ms + (fails 3 - 1) x fast_interval 50ms = 600ms is not shorter than within 600ms (line 2): raise within, or lower timeout, fails or fast_interval)"},
    {"[defaults]\n"
     "backup = [\"10.0.0.2\", \"fd00::2\", \"fd00::3\"]",
     R"(2:10: backup mixes IPv4 and IPv6, so it is unclear which addresses belong to one server: write each server as a [[defaults.backup]] table with addresses = ["10.0.0.11:8443", "[fd00::11]:8443"])"},
    {"[service.a]\n"
     "listen = \"203.0.113.10:1/tcp\"\n"
     "primary = \"10.0.0.1\"\n"
     "[service.b]\n"
     "listen = [\"203.0.113.10:2/tcp\", \"203.0.113.10:1/tcp\"]\n"
     "primary = \"10.0.0.2\"",
     R"(5:33: "203.0.113.10:1/tcp" is already a listener of service a (line 2): remove one of them)"},
    {"[service.a]\n"
     "listen = \"203.0.113.10:1/tcp\"\n"
     "primary = \"10.0.0.1\"\n"
     "[service.b]\n"
     "listen = \"203.0.113.11:2/tcp\"\n"
     "primary = \"203.0.113.10:1\"",
     R"(6:11: 203.0.113.10:1/tcp, the primary of service b, is a listener of service a (line 2): its traffic would come back to this gateway; write the server's own address)"},
    {"[service.a]\n"
     "listen = \"203.0.113.10:1/tcp\"\n"
     "primary = \"10.0.0.1\"\n"
     "[service.a]\n"
     "listen = \"203.0.113.11:1/tcp\"",
     R"(4:1: this is not valid TOML (table header: cannot redefine existing table 'service.a'): define it once, then check again; the rest of this file was not read)"},
    {"[service.dns]\n"
     "listen = \"203.0.113.10:53/udp\"\n"
     "primary = \"10.0.0.53\"\n"
     "probe = [{ type = \"tcp\", port = 22 }, { type = \"tcp\" }]",
     R"(4:39: service dns has no TCP listener, so the probe has no TCP port: write the port that the server listens on, as in probe = { type = "tcp", port = 22 })"},
    {"[service.v6]\n"
     "listen = [\"203.0.113.10:443/tcp\", \"[2001:db8::10]:443/tcp\"]\n"
     "primary = [\"10.0.0.11:8443\", \"[fd00::11]:8443\"]\n"
     "backup = \"10.0.0.12:8443\"\n"
     "snat = \"192.0.2.1\"",
     R"(4:10: the backup of service v6 has no IPv6 address for the listener "[2001:db8::10]:443/tcp" in line 2: write one address per family, as in ["10.0.0.11:8443", "[fd00::11]:8443"], or remove the listener)"
     "\n"
     R"(5:8: snat = "192.0.2.1" is IPv4, but the listener "[2001:db8::10]:443/tcp" in line 2 is IPv6: use "masquerade", or give each family its own service)"},
    {"[service.v6]\n"
     "listen = [\"203.0.113.10:443/tcp\", \"[2001:db8::10]:443/tcp\"]\n"
     "primary = [\"10.0.0.11:8443\", \"[fd00::11]:8443\"]\n"
     "probe = { type = \"tcp\", source = \"192.0.2.1\" }",
     R"(4:9: probe.source = "192.0.2.1" is IPv4, but the probe of the primary of service v6 goes to [fd00::11]:8443: remove source, or give each family its own service)"},
    {"[service.web]\n"
     "listen = \"203.0.113.10:443/tcp\"\n"
     "primary = \"10.0.0.11\"\n"
     "[[service.web.backup]]\n"
     "address = \"10.0.0.12\"\n"
     "[[service.web.backup]]\n"
     "address = \"10.0.0.11:443\"",
     R"(7:11: 10.0.0.11:443 is also the primary of service web (line 3): a backup on the same server gives no protection; write another server or remove this one)"},
    {"[service.web]\n"
     "listen = \"203.0.113.10:443/tcp\n"
     "primary = \"10.0.0.11\"",
     R"(2:31: this is not valid TOML (string: unescaped control characters other than TAB (U+0009) are explicitly prohibited): close the string on its line, and use no control characters in it, then check again; the rest of this file was not read)"},
    {R"([service.web)",
     R"(1:13: this is not valid TOML (table header: expected ']', saw '\n'): correct this line, then check again; the rest of this file was not read)"},
    {"[service.web]\n"
     "listen \"203.0.113.10:443/tcp\"",
     R"(2:8: this is not valid TOML (key-value pair: expected '=', saw '"'): correct this line, then check again; the rest of this file was not read)"},
    {"[service.web]\n"
     "interval = 10s",
     R"(2:14: this is not valid TOML (decimal integer: expected digit, saw 's'): put text, times and addresses in double quotes, then check again; the rest of this file was not read)"},
    {"[service.web]\n"
     "listen = 203.0.113.10:443/tcp",
     R"(2:10: this is not valid TOML (value: could not determine value type): put text, times and addresses in double quotes, then check again; the rest of this file was not read)"},
    {"[service.web]\n"
     "probe = { type = \"tcp\",",
     R"(2:24: this is not valid TOML (inline table: expected key or closing '}', saw '\n'): write a table in braces on one line, without a trailing comma, then check again; the rest of this file was not read)"},
    {"[service.web]\n"
     "probe = { type = \"tcp\", }",
     R"(2:25: this is not valid TOML (inline table: expected key-value pair, saw closing '}' (dangling comma)): write a table in braces on one line, without a trailing comma, then check again; the rest of this file was not read)"},
    {"[service.web]\n"
     "primary = \"10.0.0.1\"\n"
     "primary = \"10.0.0.2\"",
     R"(3:11: this is not valid TOML (key-value pair: cannot redefine existing string 'primary'): define it once, then check again; the rest of this file was not read)"},
    {R"(a = 99999999999999999999)",
     R"(1:25: this is not valid TOML (decimal integer: '99999999999999999999' is not representable in 64 bits): correct this line, then check again; the rest of this file was not read)"},
    {R"(= 1)",
     R"(1:1: this is not valid TOML (root table: expected keys, tables, whitespace or comments, saw '='): correct this line, then check again; the rest of this file was not read)"},
    {"\357\273\277[service.web]\r\n"
     "colour = 1\r",
     R"(1:1: service web has no listen: write listen = "203.0.113.10:443/tcp")"
     "\n"
     R"(1:1: service web has no primary: write primary = "10.0.0.11:8443")"
     "\n"
     R"(2:1: unknown key "colour": remove it, or use one of listen, primary, backup, snat, probe, down, up, failback, on_failover, on_failback, on_forced, on_none, none_after, witness, hold, nudge, offload, mode, hook, hook_timeout)"},
    {"[service.\"gr\303\274\303\237e\"]",
     R"(1:10: "gr????e" is not a valid service name: use 1 to 64 of the characters A-Z a-z 0-9 _ . -)"},
    {"[hanatd]\n"
     "[hanatd]",
     R"(2:1: this is not valid TOML (table header: cannot redefine existing table 'hanatd'): define it once, then check again; the rest of this file was not read)"},
    {"[service.web]\n"
     "listen = \"203.0.113.10:443/tcp\"\n"
     "primary = \"10.0.0.11\"\n"
     "primary.address = \"10.0.0.12\"",
     R"(4:1: this is not valid TOML (key-value pair: cannot redefine existing string as dotted key-value pair): define it once, then check again; the rest of this file was not read)"},
    {"[service.web]\n"
     "listen = \"C:\\windows\"",
     R"(2:14: this is not valid TOML (string: unknown escape sequence '\w'): double each backslash in a string, then check again; the rest of this file was not read)"},
    {R"(a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s = 1)",
     R"(1:34: this key has more parts than any key of hanat: remove dots, then check again; the rest of this file was not read)"},
};
// clang-format on

TEST(ConfigErrors, AnInvalidFileGivesItsErrorsWithRemedies) { expect_errors("%\n", whole_rows); }

} // namespace
