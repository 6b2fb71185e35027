// Valid configurations and their values, the report of all errors at once, and where servers and probes are.
// Not here: the errors themselves (the other tests of this folder).
#include <chrono>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/config/load_config.hpp"
#include "daemon/config/probe_targets.hpp"
#include "tests/unit/daemon/config/rows.hpp"

namespace {

using namespace hanat;
using namespace std::chrono_literals;
using hanat::test::errors_of;
using probes::Kind;
using testing::ElementsAre;

Config good(std::string_view text) {
  const auto result = parse_config(text, "f");
  if (const auto* config = std::get_if<Config>(&result)) return *config;
  ADD_FAILURE() << errors_of(text);
  return {};
}
ServiceConfig only_service(std::string_view text) {
  Config config = good(text);
  if (config.services.size() != 1) {
    ADD_FAILURE() << config.services.size() << " services";
    return {};
  }
  return config.services.front();
}
Endpoint endpoint(std::string_view address, std::uint16_t port) {
  return {.address = Address::parse(address).value_or(Address{}), .port = port};
}
Vip vip(std::string_view address, std::uint16_t port, Protocol protocol = Protocol::tcp) {
  return {.address = Address::parse(address).value_or(Address{}), .protocol = protocol, .port = port};
}

constexpr std::string_view whole_example = R"(
[hanatd]
on_stop = "remove"
operators = "adm"
reconcile = "5m"
path_check = "60s"

[defaults]
snat = "masquerade"

[service.web]
listen   = ["203.0.113.10:443/tcp", "203.0.113.10:443/udp", "[2001:db8::10]:443/tcp"]
primary  = ["10.0.0.11:8443", "[fd00::11]:8443"]
backup   = ["10.0.0.12:8443", "[fd00::12]:8443"]
snat     = "none"
mode     = "auto"
probe    = { type = "tcp", interval = "2s", timeout = "400ms", fast_interval = "40ms", slow = "300ms", port = 8444 }
down     = { fails = 4, within = "8s" }
up       = { passes = 3, stable_for = "6s" }
failback = { after = "30s", window = "22:00-04:30" }
on_failover  = "keep"
on_failback  = "drain 90s"
on_forced    = "keep"
on_none      = "drop"
hold  = false
nudge = false
offload = true
)";

TEST(Config, ClientsTellWhetherTheyGetAnAnswerUnlessThatIsOff) {
  EXPECT_EQ(good("[hanatd]\n").path_check, PathCheck{});
  EXPECT_EQ(good("[hanatd]\npath_check = \"clients\"\n").path_check, (PathCheck{.clients = true, .interval = std::nullopt}));
  EXPECT_EQ(good("[hanatd]\npath_check = \"off\"\n").path_check, (PathCheck{.clients = false, .interval = std::nullopt}));
}

TEST(Config, AWholeServiceBecomesValues) {
  const Config config = good(whole_example);
  EXPECT_EQ(config.on_stop, OnStop::remove);
  EXPECT_EQ(config.operators, "adm");
  EXPECT_EQ(config.reconcile, std::chrono::minutes{5});
  EXPECT_EQ(config.path_check, (PathCheck{.clients = true, .interval = std::chrono::seconds{60}}));
  ASSERT_EQ(config.services.size(), 1U);
  const ServiceConfig& web = config.services[0];
  EXPECT_EQ(web.name, "web");
  EXPECT_THAT(web.listen, ElementsAre(vip("203.0.113.10", 443), vip("203.0.113.10", 443, Protocol::udp), vip("2001:db8::10", 443)));
  EXPECT_THAT(web.listen_text, ElementsAre("203.0.113.10:443/tcp", "203.0.113.10:443/udp", "[2001:db8::10]:443/tcp"));
  ASSERT_EQ(web.servers.size(), 2U);
  EXPECT_EQ(web.servers[0].role, "primary");
  EXPECT_THAT(web.servers[0].addresses, ElementsAre(endpoint("10.0.0.11", 8443), endpoint("fd00::11", 8443)));
  EXPECT_EQ(web.servers[1].role, "backup");
  EXPECT_THAT(web.servers[1].addresses, ElementsAre(endpoint("10.0.0.12", 8443), endpoint("fd00::12", 8443)));
  probes::ProbeSpec spec;
  spec.interval = 2s;
  spec.fast_interval = 40ms;
  spec.timeout = 400ms;
  spec.slow = 300ms;
  spec.port = 8444;
  EXPECT_THAT(web.servers[0].probes, ElementsAre(spec));
  EXPECT_THAT(web.servers[1].probes, ElementsAre(spec));
  EXPECT_EQ(web.servers[0].snat, nat::Snat{});
  EXPECT_EQ(web.down, (DownRule{.fails = 4, .within = 8s}));
  EXPECT_EQ(web.up, (UpRule{.passes = 3, .stable_for = 6s}));
  EXPECT_EQ(web.failback, (Failback{.automatic = true, .after = 30s, .window = DayWindow{.from = 22h, .to = 4h + 30min}}));
  EXPECT_EQ(web.on_failover, (FlowPolicy{.action = FlowAction::keep, .time = {}}));
  EXPECT_EQ(web.on_failback, (FlowPolicy{.action = FlowAction::drain, .time = std::chrono::seconds{90}}));
  EXPECT_EQ(web.on_forced, (FlowPolicy{.action = FlowAction::keep, .time = {}}));
  EXPECT_EQ(web.on_none, OnNone::drop);
  EXPECT_FALSE(web.hold);
  EXPECT_TRUE(web.offload && !web.nudge);
}

TEST(Config, AnEmptyTextIsAConfigurationWithoutServices) {
  EXPECT_EQ(good(""), Config{});
  EXPECT_EQ(good("\xef\xbb\xbf\r\n# nothing\r\n[hanatd]\r\n[defaults]\r\n[service]\r\n"), Config{});
}

TEST(Config, AListenerAndAPrimaryAreEnough) {
  const ServiceConfig service = only_service("[service.a]\nlisten = \"203.0.113.10:80/tcp\"\nprimary = \"10.0.0.1\"\n");
  const ServerConfig primary{.role = "primary", .addresses = {endpoint("10.0.0.1", 0)}, .snat = {}, .probes = {probes::ProbeSpec{}}};
  const ServiceConfig expected{.name = "a",
                               .listen = {vip("203.0.113.10", 80)},
                               .listen_text = {"203.0.113.10:80/tcp"},
                               .servers = {primary},
                               .down = {},
                               .up = {},
                               .failback = {}};
  EXPECT_EQ(service, expected);
}

TEST(Config, AByteOrderMarkWindowsLineEndsAndTabsAreAccepted) {
  const ServiceConfig service =
      only_service("\xef\xbb\xbf[service.a]\r\n\tlisten\t=\t\"203.0.113.10:80/tcp\"\r\nprimary = \"10.0.0.1\"\r\n");
  EXPECT_EQ(service.listen.size(), 1U);
}

TEST(Config, ARangeBecomesItsPorts) {
  const ServiceConfig service =
      only_service("[service.a]\nlisten = [\"203.0.113.10:5000-6023/tcp\", \"203.0.113.10:7-7/udp\"]\nprimary = \"10.0.0.1\"\n");
  ASSERT_EQ(service.listen.size(), 1'025U);
  EXPECT_EQ(service.listen.front(), vip("203.0.113.10", 5000));
  EXPECT_EQ(service.listen[1'023], vip("203.0.113.10", 6023));
  EXPECT_EQ(service.listen.back(), vip("203.0.113.10", 7, Protocol::udp));
  EXPECT_EQ(endpoint_for(service.servers[0], service.listen[5]), endpoint("10.0.0.1", 5005));
}

TEST(Config, TheLastPortEndsARange) {
  const ServiceConfig service = only_service("[service.a]\nlisten = \"203.0.113.10:65000-65535/tcp\"\nprimary = \"10.0.0.1\"\n");
  EXPECT_EQ(service.listen.size(), 536U);
  EXPECT_EQ(service.listen.back().port, 65'535);
}

TEST(Config, SctpIsAProtocol) {
  const ServiceConfig service =
      only_service("[service.a]\nlisten = \"203.0.113.10:2905/sctp\"\nprimary = \"10.0.0.1\"\nprobe = { type = \"tcp\", port = 22 }\n");
  EXPECT_EQ(service.listen.front().protocol, Protocol::sctp);
}

TEST(Config, BackupsOfOneFamilyAreSeveralServers) {
  const ServiceConfig service = only_service(
      "[service.a]\nlisten = \"203.0.113.10:80/tcp\"\nprimary = \"10.0.0.1\"\nbackup = [\"10.0.0.2\", \"10.0.0.3:81\", \"10.0.0.1:81\"]\n");
  ASSERT_EQ(service.servers.size(), 4U);
  EXPECT_EQ(service.servers[1].role, "backup");
  EXPECT_EQ(service.servers[2].role, "backup2");
  EXPECT_EQ(service.servers[3].role, "backup3");
  EXPECT_THAT(service.servers[3].addresses, ElementsAre(endpoint("10.0.0.1", 81))); // another port is another server
}

TEST(Config, TablesOfServersHaveTheirOwnSnatAndProbe) {
  const ServiceConfig service = only_service(R"(
[service.a]
listen = ["203.0.113.10:80/tcp", "[2001:db8::10]:80/tcp"]
primary = { addresses = ["10.0.0.1", "fd00::1"], snat = "none", probe = { type = "http", path = "/up" } }
snat = "masquerade"
[[service.a.backup]]
addresses = ["10.0.0.2", "fd00::2"]
[[service.a.backup]]
addresses = ["10.0.0.3", "fd00::3"]
probe = [{ type = "tcp", port = 1 }, { type = "tcp", port = 2 }]
)");
  ASSERT_EQ(service.servers.size(), 3U);
  EXPECT_EQ(service.servers[0].snat.kind, nat::SnatKind::none);
  EXPECT_EQ(service.servers[0].probes[0].kind, Kind::http);
  EXPECT_EQ(service.servers[1].snat.kind, nat::SnatKind::masquerade);
  EXPECT_THAT(service.servers[1].probes, ElementsAre(probes::ProbeSpec{}));
  EXPECT_EQ(service.servers[2].probes.size(), 2U);
  EXPECT_EQ(service.servers[2].addresses[1], endpoint("fd00::3", 0));
}

TEST(Config, ASnatAddressIsKept) {
  const ServiceConfig service =
      only_service("[service.a]\nlisten = \"[2001:db8::10]:80/tcp\"\nprimary = \"[fd00::1]\"\nsnat = \"2001:db8::1\"\n");
  EXPECT_EQ(service.servers[0].snat,
            (nat::Snat{.kind = nat::SnatKind::address, .address = Address::parse("2001:db8::1").value_or(Address{})}));
}

TEST(Config, TheKindsOverTcpHaveTheirOwnKeys) {
  const ServiceConfig service = only_service(R"(
[service.a]
listen = "203.0.113.10:80/tcp"
primary = "10.0.0.1"
probe = [{ type = "tcp", send = "PING\r\n", expect_hex = "2b 504F 4e47" },
         { type = "tcp", send_hex = "00ff", expect_regex = "^v[0-9]" },
         { type = "tls", host = "www.example.com", verify = true, expires_within = "14d" },
         { type = "redis", role = "master" },
         { type = "postgres", user = "u", database = "d", writable = true },
         { type = "mysql" },
         { type = "smtp", hello = "gw.example.com" }, { type = "smtp" }]
)");
  const auto& probes = service.servers[0].probes;
  ASSERT_EQ(probes.size(), 8U);
  EXPECT_EQ(probes[0].of<probes::SendExpectSpec>(), (probes::SendExpectSpec{.send = "PING\r\n", .expect = probes::Pattern::text("+PONG")}));
  EXPECT_EQ(probes[1].of<probes::SendExpectSpec>(),
            (probes::SendExpectSpec{.send = std::string{"\0\xff", 2}, .expect = probes::Pattern::expression("^v[0-9]")}));
  EXPECT_EQ(probes[2].of<probes::TlsSpec>(),
            (probes::TlsSpec{.host = "www.example.com", .verify = true, .expires_within = std::chrono::days{14}}));
  EXPECT_TRUE(probes[3].of<probes::RedisSpec>().master);
  EXPECT_EQ(probes[4].of<probes::SqlSpec>(), (probes::SqlSpec{.writable = true, .user = "u", .database = "d"}));
  EXPECT_EQ(probes[5].of<probes::SqlSpec>(), probes::SqlSpec{});
  EXPECT_EQ(probes[6].of<probes::SmtpSpec>().hello, "gw.example.com");
  EXPECT_EQ(probes[7].of<probes::SmtpSpec>().hello, "hanat.invalid");
  EXPECT_EQ(probes[7].kind, Kind::smtp);
}

TEST(Config, AnHttpProbeHasItsOwnKeys) {
  const ServiceConfig service = only_service(R"(
[service.a]
listen = "203.0.113.10:80/tcp"
primary = "10.0.0.1"
probe = [{ type = "http", method = "HEAD", path = "/healthz?full=1", host = "www.example.com", status = [204, "301-302", 500] },
         { type = "https", verify = true, body = "fine", status = "200", address = "127.0.0.1", source = "127.0.0.2", port = 9000 },
         { type = "http", status = 404 }]
)");
  const auto& probes = service.servers[0].probes;
  ASSERT_EQ(probes.size(), 3U);
  EXPECT_EQ(probes[0].of<probes::HttpSpec>().method, "HEAD");
  EXPECT_EQ(probes[0].of<probes::HttpSpec>().path, "/healthz?full=1");
  EXPECT_EQ(probes[0].of<probes::HttpSpec>().host, "www.example.com");
  EXPECT_THAT(probes[0].of<probes::HttpSpec>().status,
              ElementsAre(probes::StatusRange{204, 204}, probes::StatusRange{301, 302}, probes::StatusRange{500, 500}));
  EXPECT_EQ(probes[1].kind, Kind::https);
  EXPECT_TRUE(probes[1].of<probes::HttpSpec>().verify);
  EXPECT_EQ(probes[1].of<probes::HttpSpec>().body, probes::Pattern::text("fine"));
  EXPECT_EQ(probes[1].port, 9000);
  EXPECT_THAT(probes[2].of<probes::HttpSpec>().status, ElementsAre(probes::StatusRange{404, 404}));
}

TEST(Config, EveryUnitOfTimeIsRead) {
  const auto after = [](std::string_view time) {
    return only_service("[service.a]\nlisten = \"203.0.113.10:80/tcp\"\nprimary = \"10.0.0.1\"\nfailback = { after = \"" +
                        std::string{time} + "\" }\n")
        .failback.after;
  };
  EXPECT_EQ(after("0s"), 0s);
  EXPECT_EQ(after("1ms"), 1ms);
  EXPECT_EQ(after("007s"), 7s);
  EXPECT_EQ(after("5m"), 5min);
  EXPECT_EQ(after("1h"), 1h);
  EXPECT_EQ(after("1h30m"), 90min);
  EXPECT_EQ(after("2d"), 48h);
  EXPECT_EQ(after("30d"), 720h);
}

TEST(Config, TheBuiltInFastIntervalFollowsAShorterInterval) {
  const ServiceConfig service = only_service(
      "[service.a]\nlisten = \"203.0.113.10:80/tcp\"\nprimary = \"10.0.0.1\"\nprobe = { type = \"tcp\", interval = \"20ms\" }\n");
  EXPECT_EQ(service.servers[0].probes[0].fast_interval, 20ms);
}

TEST(Config, PlannedMovesDrainForAMinuteAndOthersReset) {
  const ServiceConfig web = good("[service.web]\nlisten = \"203.0.113.10:443/tcp\"\nprimary = \"10.0.0.11:8443\"\n").services.at(0);
  EXPECT_EQ(web.on_forced, (FlowPolicy{.action = FlowAction::drain, .time = std::chrono::seconds{60}}));
  EXPECT_EQ(web.on_failover, web.on_failback);
}

TEST(Config, DefaultsApplyUnlessAServiceSetsTheKey) {
  const Config config = good(R"(
[defaults]
primary = "10.0.0.1"
backup = ["10.0.0.2", "10.0.0.3"]
probe = { type = "tcp", interval = "5s", timeout = "2s" }
down = { fails = 2 }
failback = "manual"
on_none = "keep"
[service.b]
listen = "203.0.113.10:1/tcp"
[service.a]
listen = "203.0.113.10:2/tcp"
primary = "10.0.0.9"
backup = "10.0.0.8"
probe = { type = "tcp", interval = "3s" }
down = { within = "20s" }
failback = "auto"
on_none = "refuse"
)");
  ASSERT_EQ(config.services.size(), 2U);
  const ServiceConfig& b = config.services[0]; // in the order of the file
  EXPECT_EQ(b.name, "b");
  EXPECT_EQ(b.servers.size(), 3U);
  EXPECT_EQ(b.servers[2].probes[0].timeout, 2s);
  EXPECT_EQ(b.down, (DownRule{.fails = 2, .within = 10s}));
  EXPECT_FALSE(b.failback.automatic);
  EXPECT_EQ(b.on_none, OnNone::keep);
  const ServiceConfig& a = config.services[1];
  EXPECT_EQ(a.servers.size(), 2U);
  EXPECT_EQ(a.servers[0].probes[0].interval, 3s);
  EXPECT_EQ(a.servers[0].probes[0].timeout, 500ms); // a table replaces the whole table
  EXPECT_EQ(a.down, (DownRule{.fails = 3, .within = 20s}));
  EXPECT_TRUE(a.failback.automatic);
  EXPECT_EQ(a.on_none, OnNone::refuse);
}

TEST(Config, AllErrorsComeAtOnceInTheOrderOfTheFile) {
  EXPECT_EQ(errors_of(R"([hanatd]
on_stop = "stay"
[service.web]
listen = ["203.0.113.10:443", "203.0.113.10:80/tcp"]
primary = "web1-"
backup = "10.0.0.2:0"
probe = { type = "http", pth = "/", interval = 5 }
down = { fails = 0 }
colour = "red"
[service.b]
listen = "203.0.113.10:80/tcp"
)"),
            R"(2:11: on_stop = "stay" is not known: write "keep" or "remove"
4:11: "203.0.113.10:443" has no protocol: write it like "203.0.113.10:443/tcp"
5:11: "web1-" has a part that begins or ends with "-": write the server's name or address, as in "db1.example.net:5432" or "10.0.0.11:8443"
6:10: "10.0.0.2:0" has "0" as its port: ports are whole numbers from 1 to 65535, as in "10.0.0.11:8443"
7:26: unknown key "probe.pth": did you mean "path"?
7:48: probe.interval = 5 has no unit: write "5s" or "5ms"
8:18: down.fails = 0 is out of range: write a whole number from 1 to 1000
9:1: unknown key "colour": remove it, or use one of listen, primary, backup, snat, probe, down, up, failback, on_failover, on_failback, on_forced, on_none, none_after, witness, hold, nudge, offload, mode, hook, hook_timeout
10:1: service b has no primary: write primary = "10.0.0.11:8443"
11:10: "203.0.113.10:80/tcp" is already a listener of service web (line 4): remove one of them)");
}

TEST(Config, TooManyListenersInTotalAreAnError) {
  std::string text = "[service.a]\nprimary = \"10.0.0.1\"\nlisten = [";
  for (unsigned i = 0; i <= 256; ++i) text += "\"203.0.113." + std::to_string(i % 250) + (i < 250 ? ":1-1024/tcp\"," : ":2000-3023/tcp\",");
  const std::string errors = errors_of(text + "]\n");
  EXPECT_NE(errors.find(": this makes more than 262,144 listening endpoints in total, which is the maximum: use fewer or smaller ranges"),
            std::string::npos);
}

TEST(Config, AKeyWithTooManyPartsIsAnErrorBeforeItCanOverflowTheStack) {
  std::string dots;
  for (int i = 0; i < 200'000; ++i) dots += "a.";
  const std::string error_text =
      "this key has more parts than any key of hanat: remove dots, then check again; the rest of this file was not read";
  EXPECT_EQ(errors_of(dots + "a = 1"), "1:34: " + error_text);
  EXPECT_EQ(errors_of("[" + dots + "a]"), "1:35: " + error_text);
  EXPECT_EQ(errors_of("x = [\n{ '" + dots + "'." + dots + "a = 1 } ]"), "2:400037: " + error_text);
  EXPECT_EQ(errors_of("# " + dots + "\n[defaults]\nlisten = \"" + dots + "\"").substr(0, 6),
            "3:10: "); // dots in comments and strings do not count
}

TEST(Config, ProbesGoToEveryAddressOfAFamilyWithAListener) {
  const ServiceConfig service = only_service(R"(
[service.a]
listen = ["203.0.113.10:53/udp", "203.0.113.10:80/tcp"]
primary = ["10.0.0.1", "fd00::1"]
backup = { addresses = ["10.0.0.2:81", "fd00::2"], probe = [{ type = "tcp" }, { type = "tcp", port = 22, address = "10.0.9.9" }] }
)");
  const auto primary = probes_for(service, service.servers[0]);
  ASSERT_EQ(primary.size(), 1U);                          // no listener for the IPv6 address
  EXPECT_EQ(primary[0].server, endpoint("10.0.0.1", 80)); // the port of the TCP listener, although it is not the first listener
  const auto backup = probes_for(service, service.servers[1]);
  ASSERT_EQ(backup.size(), 2U);
  EXPECT_EQ(backup[0].server, endpoint("10.0.0.2", 81));
  EXPECT_EQ(backup[1].server, endpoint("10.0.9.9", 22));
}

TEST(Config, AProbeOfAnotherAddressExistsOnce) {
  const ServiceConfig service = only_service(R"(
[service.a]
listen = ["203.0.113.10:80/tcp", "[2001:db8::10]:80/tcp"]
primary = ["10.0.0.1", "fd00::1"]
probe = [{ type = "tcp", address = "10.0.9.9" }, { type = "tcp" }]
)");
  const auto probes = probes_for(service, service.servers[0]);
  ASSERT_EQ(probes.size(), 3U);
  EXPECT_EQ(probes[0].server, endpoint("10.0.9.9", 80));
  EXPECT_EQ(probes[1].server, endpoint("10.0.0.1", 80));
  EXPECT_EQ(probes[2].server, endpoint("fd00::1", 80));
}

TEST(Config, AServerServesAVipOnItsOwnPortOrThatOfTheListener) {
  const ServerConfig server{.role = "primary", .addresses = {endpoint("10.0.0.1", 8443), endpoint("fd00::1", 0)}, .snat = {}, .probes = {}};
  EXPECT_EQ(endpoint_for(server, vip("203.0.113.10", 443)), endpoint("10.0.0.1", 8443));
  EXPECT_EQ(endpoint_for(server, vip("2001:db8::10", 443)), endpoint("fd00::1", 443));
  EXPECT_EQ(endpoint_for({.role = "primary", .addresses = {endpoint("10.0.0.1", 1)}, .snat = {}, .probes = {}}, vip("2001:db8::10", 443)),
            std::nullopt);
}

TEST(Config, AnErrorAboutAFileHasNoLine) {
  EXPECT_EQ(to_text({.file = "f", .line = 0, .column = 0, .message = "m"}), "f: m");
  EXPECT_EQ(to_text({.file = "f", .line = 3, .column = 7, .message = "m"}), "f:3:7: m");
}

} // namespace
