// The keys of each kind of probe: invalid ones and their errors, valid ones and their values, and the port of a probe.
// Not here: the keys of every probe (read_probe_test).
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "daemon/config/probe_targets.hpp"
#include "tests/unit/daemon/config/rows.hpp"

namespace {

using namespace std::chrono_literals;
using hanat::parse_config;
using hanat::probes::Kind;
using hanat::probes::Pattern;
using hanat::test::expect_errors;
using hanat::test::Row;

// clang-format off: one row is one invalid text and its errors

constexpr Row kind_rows[] = {
    // udp
    {R"(type = "udp")", R"(4:18: a udp probe needs data to send: write send = "..." or send_hex = "...", to which the service responds)"},
    {R"(type = "udp", send = "")", R"(4:32: probe.send = "" is empty: write the bytes, or remove send)"},
    {R"(type = "udp", send = 1)", R"(4:32: probe.send must be a string, not an integer: write send = "ping")"},
    {R"(type = "udp", send_hex = "0")",
     R"(4:36: probe.send_hex = "0" has an incomplete byte: write two digits per byte, as in "00 ff 0a")"},
    {R"(type = "udp", send_hex = "0g")", R"(4:36: probe.send_hex = "0g" is not hexadecimal: write two digits per byte, as in "00 ff 0a")"},
    {R"(type = "udp", send_hex = "0 0")",
     R"(4:36: probe.send_hex = "0 0" is not hexadecimal: write two digits per byte, as in "00 ff 0a")"},
    {R"(type = "udp", send_hex = " ")", R"(4:36: probe.send_hex = "" is empty: write the bytes, or remove send_hex)"},
    {R"(type = "udp", send = "a", send_hex = "61")", R"(4:48: probe.send_hex and probe.send are both set: keep one of them)"},
    {R"(type = "udp", send = "a", expect = "b", expect_regex = "c")",
     R"(4:66: probe.expect_regex and probe.expect are both set: keep one of them)"},
    {R"(type = "udp", send = "a", expect_hex = "b")",
     R"(4:50: probe.expect_hex = "b" has an incomplete byte: write two digits per byte, as in "00 ff 0a")"},
    {R"(type = "udp", send = "a", expect_regex = "(")",
     R"(4:52: probe.expect_regex = "(" is not a regular expression of RE2 (missing ): (): write one like "^[Oo][Kk]")"},
    {R"(type = "udp", send = "a", expect_regex = "")",
     R"(4:52: probe.expect_regex = "" would match any response: write what only a correct response contains, or remove expect_regex)"},
    {R"(type = "udp", send = "a", path = "/")",
     R"(4:44: probe.path does not belong here: it is a key of http, https probes; write type = "http", or remove it)"},
    {R"(type = "udp", send = "a")",
     R"(4:9: service web has no UDP listener, so the probe has no UDP port: write the port that the server listens on, as in probe = { type = "udp", port = 514, send = "..." })"},
    // icmp
    {R"(type = "icmp", port = 7)", R"(4:33: an icmp probe has no port: remove port, or write type = "tcp")"},
    // dns
    {R"(type = "dns", name = "")", R"(4:32: probe.name = "" is not a DNS name: write it like "www.example.com", or "." for the root)"},
    {R"(type = "dns", name = "a..b")",
     R"(4:32: probe.name = "a..b" is not a DNS name: write it like "www.example.com", or "." for the root)"},
    {R"(type = "dns", name = "a b")",
     R"(4:32: probe.name = "a b" is not a DNS name: write it like "www.example.com", or "." for the root)"},
    {R"(type = "dns", record = "a")",
     R"(4:34: probe.record = "a" is not a record type: use one of A, AAAA, CNAME, MX, NS, PTR, SOA, SRV, TXT)"},
    {R"(type = "dns", record = "ANY")",
     R"(4:34: probe.record = "ANY" is not a record type: use one of A, AAAA, CNAME, MX, NS, PTR, SOA, SRV, TXT)"},
    {R"(type = "dns", name = "a.example", answer = "2001:db8::1")",
     R"(4:54: probe.answer = "2001:db8::1" is not what an A record holds: write an IPv4 address, as in "192.0.2.1")"},
    {R"(type = "dns", name = "a.example", record = "AAAA", answer = "x")",
     R"(4:71: probe.answer = "x" is not what an AAAA record holds: write an IPv6 address, as in "2001:db8::1")"},
    // exec
    {R"(type = "exec")", R"(4:18: an exec probe needs a program: write command = ["/usr/local/lib/check_web", "-q"])"},
    {R"(type = "exec", command = "/bin/true")",
     R"(4:36: probe.command must be a list of strings, not a string: write command = ["/usr/local/lib/check_web", "-q"])"},
    {R"(type = "exec", command = [])",
     R"(4:36: probe.command must have 1 to 64 entries, not 0: write the program and its arguments, as in ["/usr/local/lib/check_web", "-q"])"},
    {R"(type = "exec", command = ["true"])",
     R"(4:37: probe.command runs "true", which is not an absolute path: PATH is not searched; write it like ["/usr/local/lib/check_web", "-q"])"},
    {R"(type = "exec", command = ["/bin/true", 1])",
     R"(4:50: probe.command must be a list of strings, not an integer: write command = ["/usr/local/lib/check_web", "-q"])"},
    {R"(type = "exec", command = ["/bin/true", "a\u0000b"])",
     R"(4:50: probe.command: an argument has at most 4,096 bytes and no NUL byte)"},
    {R"(type = "exec", command = ["/bin/true"], source = "192.0.2.1")",
     R"(4:60: probe.source has no effect on the program of an exec probe: remove it, and pass it in command)"},
    {R"(type = "exec", command = ["/bin/true"], interface = "eth1")",
     R"(4:63: probe.interface has no effect on the program of an exec probe: remove it, and pass it in command)"},
    // grpc
    {R"(type = "grpc", service = "")",
     R"(4:36: probe.service = "" is not the name of a gRPC service: write it like "shop.Cart", or remove it to check the server as a whole)"},
    {R"(type = "grpc", tls = 1)",
     R"(4:32: probe.tls must be true, false or a table, not an integer: write tls = { ca = "/etc/hanat/ca.pem" })"},
    {R"(type = "grpc", verify = true)", R"(4:35: probe.verify = true without TLS checks nothing: write tls = true as well)"},
    {R"(type = "grpc", host = "a:1")",
     R"(4:33: probe.host = "a:1" is not a host name: write only the name, as in "www.example.com", and the port as probe.port)"},
    // http, https
    {R"(type = "http", headers = "A: b")",
     R"(4:36: probe.headers must be a list of strings, not a string: write headers = ["Name: value"])"},
    {R"(type = "http", headers = ["A"])",
     R"(4:37: probe.headers: "A" is not a header: write "Name: value" in printable characters, at most 1,024 of them)"},
    {R"(type = "http", headers = ["A: b\r\nC: d"])",
     R"(4:37: probe.headers: "A: b??C: d" is not a header: write "Name: value" in printable characters, at most 1,024 of them)"},
    {R"(type = "http", headers = ["A b: c"])",
     R"(4:37: probe.headers: "A b: c" is not a header: write "Name: value" in printable characters, at most 1,024 of them)"},
    {R"(type = "http", headers = ["host: b"])", R"(4:37: probe.headers: "host" cannot be set there: write it as probe.host)"},
    {R"(type = "http", headers = ["Connection: close"])", R"(4:37: probe.headers: "Connection" cannot be set there: hanat sets it itself)"},
    {R"(type = "http", http_version = "3")", R"(4:41: probe.http_version = "3" is not known: write "1.1" or "2")"},
    {R"(type = "http", body = "a", body_regex = "b")", R"(4:51: probe.body_regex and probe.body are both set: keep one of them)"},
    {R"(type = "http", body_regex = "[")",
     R"(4:39: probe.body_regex = "[" is not a regular expression of RE2 (missing ]: [): write one like "^[Oo][Kk]")"},
    {R"(type = "http", request_body = "a")",
     R"(4:41: probe.request_body is not sent with method GET (built in): write method = "POST", or another one that sends a body; what the response must contain is written as body)"},
    {R"(type = "http", method = "DELETE", request_body = "a")",
     R"(4:60: probe.request_body is not sent with method DELETE: write method = "POST", or another one that sends a body; what the response must contain is written as body)"},
    {R"(type = "https", method = "POST", request_body = "")",
     R"(4:59: probe.request_body = "" is empty: write what the request shall send, or remove request_body)"},
    {R"(type = "tls", request_body = "a")",
     R"(4:40: probe.request_body does not belong here: it is a key of http, https probes; write type = "http", or remove it)"},
    {R"(type = "http", expires_within = "14d")",
     R"(4:43: probe.expires_within does not belong here: it is a key of tls, https probes; write type = "tls", or remove it)"},
    {R"(type = "https", expires_within = "1h")",
     R"(4:44: probe.expires_within = "1h" is shorter than 1d, the minimum: write a time like "14d")"},
};
// clang-format on

TEST(ConfigErrors, AnInvalidKeyOfAKindGivesAnErrorWithARemedy) {
  expect_errors("[service.web]\nlisten = \"203.0.113.10:443/tcp\"\nprimary = \"10.0.0.11:8443\"\nprobe = { % }\n", kind_rows);
}

/// The probes of the primary of a service with this listener and probe.
std::vector<hanat::probes::Probe> probes_of_primary(std::string_view listen, std::string_view probe,
                                                    std::string_view primary = "10.0.0.11") {
  const auto text = fmt::format("[service.web]\nlisten = \"{}\"\nprimary = \"{}\"\nprobe = {{ {} }}\n", listen, primary, probe);
  const auto result = parse_config(text, "f");
  EXPECT_EQ(hanat::test::errors_of(text), "");
  const auto* config = std::get_if<hanat::Config>(&result);
  if (config == nullptr) return {};
  return hanat::probes_for(config->services.at(0), config->services.at(0)->servers.at(0));
}
hanat::probes::ProbeSpec spec_of(std::string_view probe) {
  const auto found = probes_of_primary("203.0.113.10:443/udp", probe);
  return found.size() == 1 ? found[0].spec : hanat::probes::ProbeSpec{};
}

TEST(ConfigProbeKinds, UdpSendsAndExpectsBytes) {
  const auto text = spec_of(R"(type = "udp", send = "ping", expect = "pong")").of<hanat::probes::SendExpectSpec>();
  EXPECT_EQ(text.send, "ping");
  EXPECT_EQ(text.expect, Pattern::text("pong"));
  const auto hex = spec_of(R"(type = "udp", send_hex = "00 FF0a", expect_hex = "00")").of<hanat::probes::SendExpectSpec>();
  EXPECT_EQ(hex.send, std::string("\0\xff\n", 3));
  EXPECT_EQ(hex.expect, Pattern::text(std::string(1, '\0')));
  EXPECT_EQ(spec_of(R"(type = "udp", send = "a", expect_regex = "^b")").of<hanat::probes::SendExpectSpec>().expect,
            Pattern::expression("^b"));
}

TEST(ConfigProbeKinds, DnsQueriesTheAddressOfAName) {
  EXPECT_EQ(spec_of(R"(type = "dns")").of<hanat::probes::DnsSpec>(), hanat::probes::DnsSpec{});
  EXPECT_EQ(spec_of(R"(type = "dns", name = "a.example", answer = "192.0.2.1")").of<hanat::probes::DnsSpec>(),
            (hanat::probes::DnsSpec{.name = "a.example", .record = "A", .answer = "192.0.2.1"}));
  EXPECT_EQ(spec_of(R"(type = "dns", name = "example", record = "MX")").of<hanat::probes::DnsSpec>().record, "MX");
}

TEST(ConfigProbeKinds, ExecGrpcAndHttpHaveTheirKeys) {
  EXPECT_THAT(spec_of(R"(type = "exec", command = ["/bin/true", "", "-q"])").of<hanat::probes::ExecSpec>().command,
              testing::ElementsAre("/bin/true", "", "-q"));
  const auto grpc = probes_of_primary("203.0.113.10:443/tcp", R"(type = "grpc", service = "shop.Cart", tls = true, host = "h")").at(0);
  EXPECT_EQ(grpc.spec.of<hanat::probes::GrpcSpec>(),
            (hanat::probes::GrpcSpec{.service = "shop.Cart", .host = "h", .tls = true, .verify = false}));
  const auto https =
      probes_of_primary("203.0.113.10:443/tcp",
                        R"(type = "https", headers = ["A: b"], http_version = "2", body_regex = "ok|fine", expires_within = "14d")")
          .at(0)
          .spec.of<hanat::probes::HttpSpec>();
  EXPECT_THAT(https.headers, testing::ElementsAre("A: b"));
  EXPECT_TRUE(https.http2);
  EXPECT_EQ(https.body, Pattern::expression("ok|fine"));
  EXPECT_EQ(https.expires_within, std::chrono::days{14});
}

TEST(ConfigProbeKinds, ARequestHasABodyOfAtMost16KiB) {
  const auto with = [](const std::string& body) { return fmt::format(R"(type = "http", method = "PUT", request_body = "{}")", body); };
  const std::string longest(16'384, 'x');
  EXPECT_EQ(probes_of_primary("203.0.113.10:80/tcp", with(longest)).at(0).spec.of<hanat::probes::HttpSpec>().request_body, longest);
  EXPECT_EQ(probes_of_primary("203.0.113.10:80/tcp", with("\\u0000\\r\\n\u00e9")).at(0).spec.of<hanat::probes::HttpSpec>().request_body,
            std::string("\0\r\n\u00e9", 5));
  EXPECT_THAT(hanat::test::errors_of(fmt::format(
                  "[service.web]\nlisten = \"203.0.113.10:80/tcp\"\nprimary = \"10.0.0.11\"\nprobe = {{ {} }}\n", with(longest + 'x'))),
              testing::HasSubstr("probe.request_body is 16,385 bytes long, but the maximum is 16,384: send the shortest request"));
}

TEST(ConfigProbeKinds, ThePortComesFromAListenerOfTheSameProtocol) {
  const auto port = [](std::string_view listen, std::string_view probe, std::string_view primary = "10.0.0.11") {
    const auto probes = probes_of_primary(listen, probe, primary);
    return probes.size() == 1 ? probes[0].server.port : -1;
  };
  const std::string_view both = R"("203.0.113.10:80/tcp", "203.0.113.10:514/udp")";
  const auto of_both = [&](std::string_view probe) {
    const auto text = fmt::format("[service.web]\nlisten = [{}]\nprimary = \"10.0.0.11\"\nprobe = {{ {} }}\n", both, probe);
    const auto result = parse_config(text, "f");
    const auto& service = std::get<hanat::Config>(result).services.at(0);
    return hanat::probes_for(service, service->servers.at(0)).at(0).server.port;
  };
  EXPECT_EQ(of_both(R"(type = "tcp")"), 80);
  EXPECT_EQ(of_both(R"(type = "udp", send = "x")"), 514);
  EXPECT_EQ(of_both(R"(type = "icmp")"), 0);
  EXPECT_EQ(of_both(R"(type = "exec", command = ["/bin/true"])"), 80);
  EXPECT_EQ(port("203.0.113.10:514/udp", R"(type = "exec", command = ["/bin/true"])"), 514);
  EXPECT_EQ(port("203.0.113.10:514/udp", R"(type = "icmp")"), 0);
  EXPECT_EQ(port("203.0.113.10:53/udp", R"(type = "dns")", "10.0.0.11:5353"), 5353);
  EXPECT_EQ(port("203.0.113.10:5300/udp", R"(type = "dns")"), 5300);
  EXPECT_EQ(port("203.0.113.10:443/tcp", R"(type = "dns")", "10.0.0.11:8443"), 53);
  EXPECT_EQ(port("203.0.113.10:443/tcp", R"(type = "dns", port = 54)", "10.0.0.11:8443"), 54);
  EXPECT_EQ(port("203.0.113.10:443/tcp", R"(type = "udp", send = "x", port = 514)"), 514);
}

TEST(ConfigProbeKinds, AListenerAsTheTargetOfAProbeIsALoop) {
  const auto errors = [](std::string_view probe) {
    return hanat::test::errors_of(fmt::format("[service.web]\nlisten = \"203.0.113.10:53/udp\"\nprimary = \"10.0.0.11\"\n"
                                              "probe = {{ {}, address = \"203.0.113.10\" }}\n",
                                              probe));
  };
  EXPECT_THAT(errors(R"(type = "dns")"), testing::HasSubstr("203.0.113.10:53/udp, the probe target of"));
  EXPECT_THAT(errors(R"(type = "udp", send = "x")"), testing::HasSubstr("is a listener of service web"));
  EXPECT_EQ(errors(R"(type = "tcp", port = 53)"), "");
  EXPECT_EQ(errors(R"(type = "icmp")"), "");
}

TEST(ConfigProbeKinds, AnErrorAboutASourceOfAnotherFamilyHasNoPortForIcmp) {
  EXPECT_THAT(hanat::test::errors_of("[service.web]\nlisten = \"203.0.113.10:53/udp\"\nprimary = \"10.0.0.11\"\n"
                                     "probe = { type = \"icmp\", source = \"fd00::1\" }\n"),
              testing::HasSubstr("probe of the primary of service web goes to 10.0.0.11: remove"));
}

} // namespace
