// The screen of `hanatctl status`, word for word: totals, problems by cause, the rest, and no line wider than the screen.
// Not here: the sentences about a service (notices_test).
#include "cli/show_status.hpp"

#include <algorithm>
#include <sstream>
#include <string>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "cli/text.hpp"
#include "tests/unit/cli/show_fixture.hpp"

namespace hanat::cli {
namespace {

using testing::HasSubstr;
using testing::Not;
using ShowStatus = Show;

const View plain{.colour = false, .now = now};
const View narrow{.colour = false, .now = now, .width = 80};

std::string overview(const Status& status, const View& view = plain) { return show_status(status, Detail::overview, view); }

ServiceStatus named(ServiceStatus service, std::string name) {
  service.name = std::move(name);
  return service;
}

/// Of one service, at machines of its own.
ServiceStatus unserved(const std::string& name, int machine) {
  auto made = named(web(), name);
  made.target = "none";
  made.target_address.reset();
  made.why = "no-server-up";
  made.servers = {server("primary", fmt::format("10.0.{}.11:5432", machine).c_str(), "down", "refused", 3),
                  server("backup", fmt::format("10.0.{}.12:5432", machine).c_str(), "down", "timeout", 3)};
  return made;
}

std::size_t lines_in(const std::string& text) { return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')); }
std::size_t widest(const std::string& text) {
  std::size_t width = 0;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) width = std::max(width, line.size());
  return width;
}

TEST_F(ShowStatus, AServiceWithoutTroubleHasOneLine) {
  EXPECT_EQ(overview(with({web()}), {.colour = false, .now = now, .width = 80, .host = "gw1"}),
            R"(gw1  14:00:05 UTC  hanatd 0.1.0 up 3 d 4 h
no problems; 1 of 1 service at its primary

   web -> primary 10.0.0.11:8443, since 11:57:05 (2 h 3 min)
)");
}

TEST_F(ShowStatus, ClientsWithoutAnAnswerAreAProblemWithItsRemedyAndThoseOfOneCauseStandTogether) {
  auto silent = web();
  silent.path = {.state = "unanswered",
                 .unanswered_clients = 37,
                 .refused_clients = 0,
                 .since = "2026-01-31T13:59:22.000Z",
                 .findings = {{.severity = "problem",
                               .code = "ip-forward-off",
                               .what = "net.ipv4.ip_forward is 0",
                               .remedy = "sysctl -w net.ipv4.ip_forward=1",
                               .seen_by = ""}}};
  const std::string one = overview(with({silent, named(web(), "mail")}), narrow);
  EXPECT_THAT(one, HasSubstr("1 problem; 2 of 2 services at their primary\n"));
  EXPECT_THAT(one, HasSubstr("!! web -> primary 10.0.0.11:8443, primary-up, since 11:57:05 (2 h 3 min)\n"
                             "   37 clients got no answer in the last minute, though primary passes its probes\n"
                             "   net.ipv4.ip_forward is 0 [ip-forward-off]\n"
                             "     -> sysctl -w net.ipv4.ip_forward=1\n"));
  const std::string both = overview(with({silent, named(silent, "mail")}), narrow);
  EXPECT_THAT(both, HasSubstr("!! 2 services -> primary"));
  EXPECT_THAT(both, HasSubstr("   74 clients got no answer"));
  silent.path.findings.clear();
  EXPECT_THAT(overview(with({silent}), narrow), HasSubstr("To find the cause:\n     -> hanatctl doctor web\n"));
  EXPECT_THAT(overview(with({silent, named(silent, "mail")}), narrow), HasSubstr("\n     -> hanatctl doctor\n"));
}

TEST_F(ShowStatus, TroubleStandsFirstWithItsServers) {
  EXPECT_EQ(overview(with({web(), named(failed_over(), "mail"), unserved("db", 2)})), R"(14:00:05 UTC  hanatd 0.1.0 up 3 d 4 h
2 problems; 1 of 3 services at their primary

!! db -> none, no-server-up, since 11:57:05 (2 h 3 min)
   no server is up: clients are turned away until one is
   primary is down (refused), backup is down (timeout)
      primary  10.0.2.11:5432  down     refused, 3 of 3 fails in 10 s, 0.4 s ago
      backup   10.0.2.12:5432  down     timeout, 3 of 3 fails in 10 s, 0.4 s ago

!! mail -> backup 10.0.0.12:8443, failover, since 13:59:22 (43 s)
   redundancy lost: primary is down (refused); nothing to fail over to
      primary  10.0.0.11:8443  down     refused, 3 of 3 fails in 10 s, 0.4 s ago
   -> backup   10.0.0.12:8443  up       connected 0.21 ms, 0.4 s ago

   web -> primary 10.0.0.11:8443, since 11:57:05 (2 h 3 min)
)");
}

TEST_F(ShowStatus, InDetailAServiceHasAllThatIsKnown) {
  auto service = failed_over();
  service.group = "voice";
  EXPECT_EQ(show_status(with({service}), Detail::full, narrow), R"(14:00:05 UTC  hanatd 0.1.0 up 3 d 4 h
1 problem; 0 of 1 service at its primary

!! web (group voice) -> backup 10.0.0.12:8443, failover, since 13:59:22 (43 s)
   listens on 203.0.113.10:443/tcp, 203.0.113.10:443/udp
   redundancy lost: primary is down (refused); nothing to fail over to
      primary  10.0.0.11:8443  down     refused, 3 of 3 fails in 10 s, 0.4 s ago
   -> backup   10.0.0.12:8443  up       connected 0.21 ms, 0.4 s ago
   last flip 13:59:22 (43 s ago): primary -> backup, failover; committed in 14
     us; cut 41 tcp, 7 udp in 3.1 ms; nudge sent to 41 clients; 1 flip since
     hanatd started
)");
  EXPECT_THAT(show_status(with({web()}), Detail::full, plain), HasSubstr("\n   no flip yet\n"));
}

TEST_F(ShowStatus, OneMachineThatDiesIsOneProblem) {
  std::vector<ServiceStatus> services;
  for (int number = 0; number < 25; ++number) {
    services.push_back(named(failed_over(), fmt::format("svc-{}", number)));
    services.back().servers[0].address = fmt::format("10.0.0.11:{}", 8000 + number);
  }
  services[3].forced = ForcedStatus{.target = "backup", .until = {}, .reason = "", .by = "root"}; // another cause
  const auto text = overview(with(services), narrow);
  EXPECT_THAT(text, HasSubstr("\n2 problems; 0 of 25 services at their primary\n"));
  EXPECT_THAT(text, HasSubstr("\n!! 24 services -> backup, failover, since 13:59:22 (43 s)\n   svc-0, svc-1, svc-2, svc-4, "));
  EXPECT_THAT(text, HasSubstr(" more\n   redundancy lost: primary is down (refused); nothing to fail over to\n"
                              "      primary 10.0.0.11: down, refused\n   -> backup 10.0.0.12: up\n"));
  EXPECT_LE(lines_in(text), 16U);
  EXPECT_LE(widest(text), 80U);
}

TEST_F(ShowStatus, ThreeSickServicesOfThreeHundredFitOnAScreen) {
  std::vector<ServiceStatus> services;
  for (int number = 0; number < 300; ++number) services.push_back(named(web(), fmt::format("service-{}", number)));
  services[200] = unserved("service-200", 2);
  services[17] = named(failed_over(), "service-17");
  services[299] = named(failed_over(), "service-299");
  services[299].servers[0].address = "10.0.9.11:8443";
  services[299].servers[0].recovering = RecoveringStatus{.passes = 9, .of = 2, .for_s = 3.1, .stable_for_s = 5};
  services[299].failback_in_s = 1.9;
  const auto text = overview(with(services), {.colour = false, .now = now, .width = 80, .host = "gw1"});
  EXPECT_LE(lines_in(text), 24U) << text;
  EXPECT_LE(widest(text), 80U) << text;
  EXPECT_THAT(text, HasSubstr("\n2 problems, 1 note; 297 of 300 services at their primary\n"));
  EXPECT_LT(text.find("service-200 -> none"), text.find("service-17 -> backup"));
  EXPECT_LT(text.find("service-17 -> backup"), text.find("service-299 -> backup"));
  EXPECT_THAT(text, HasSubstr("\n297 fine: service-0, service-1, "));
  EXPECT_THAT(text, HasSubstr(" more\nall of them: hanatctl status --all; one: hanatctl status SERVICE\n"));
}

TEST_F(ShowStatus, NoLineIsWiderThanTheScreen) {
  auto service = failed_over();
  service.name = std::string(64, 'n');
  service.target_address = "[2001:db8:1111:2222:3333:4444:5555:6666]:65535";
  service.listen.assign(9, "[2001:db8:1111:2222:3333:4444:5555:6666]:65535/tcp");
  for (auto& each : service.servers) {
    each.addresses.assign(2, "[2001:db8:1111:2222:3333:4444:5555:6666]:65535");
    each.last = LastResult{.outcome = "fail", .reason = "wrong-status", .detail = std::string(80, 'd'), .wanted = "status 200-299"};
  }
  auto status = with({service});
  status.daemon.fallback = std::string(200, 'f');
  for (const std::size_t width : {40U, 80U, 132U})
    for (const Detail detail : {Detail::overview, Detail::full})
      EXPECT_LE(widest(show_status(status, detail, {.colour = false, .now = now, .width = width})), width);
}

TEST_F(ShowStatus, ADaemonInTroubleSaysSoFirst) {
  auto status = with({});
  status.daemon.kernel = "failed";
  status.daemon.kernel_error = "Operation not permitted";
  status.daemon.inconclusive = "no-descriptors";
  EXPECT_EQ(overview(status), R"(14:00:05 UTC  hanatd 0.1.0 up 3 d 4 h
!! the kernel is not in sync with hanatd's decisions (failed): Operation not permitted; hanatd tries again
!! hanatd cannot probe the servers: no-descriptors; no failover until it can
no services: write one into /etc/hanat/conf.d/NAME.toml, then hanatctl reload
)");
}

TEST_F(ShowStatus, ARefusedReloadOrAChangedFileStandsAboveTheServices) {
  auto status = with({web()});
  status.daemon.config_loaded_at = "2026-01-31T13:02:11.000Z";
  status.daemon.config_stale = true;
  EXPECT_THAT(overview(status),
              HasSubstr("\n ! the configuration on disk is not the one in use, which was loaded at 13:02:11. To see what it "
                        "changes, and to use it:\n   -> hanatctl plan\n   -> hanatctl reload\nno problems, 1 note; "));
  status.daemon.reload_refused = RefusedReload{.at = "2026-01-31T13:55:02.000Z", .by = "root", .errors = 2, .first = "a.toml:1:2: bad"};
  const auto text = overview(status);
  EXPECT_THAT(text, HasSubstr("\n!! the last reload was refused (13:55:02, by root), and the old configuration stays in force: 2 errors, "
                              "the first: a.toml:1:2: bad. To see all of them:\n   -> hanatctl plan\n1 problem; "));
  EXPECT_THAT(text, Not(HasSubstr("on disk"))) << "that is why";
}

TEST_F(ShowStatus, OfSeveralProbesThoseThatFailAreNamedWithWhatTheyWanted) {
  auto service = failed_over();
  auto& primary = service.servers[0];
  primary.last = LastResult{.outcome = "fail", .reason = "wrong-status", .detail = "503", .wanted = "status 200-299", .latency_ms = 1};
  primary.probes = {{.name = "tcp 10.0.0.11:8443", .health = "up", .fails = {}, .last = {}},
                    {.name = "http 10.0.0.11:8443 GET /", .health = "down", .fails = {}, .last = primary.last}};
  EXPECT_THAT(overview(with({service})),
              HasSubstr("  down     wrong-status (503), wanted: status 200-299, 3 of 3 fails in 10 s, 0.0 s ago\n"
                        "        http 10.0.0.11:8443 GET /: down, wrong-status (503), wanted: status 200-299, 0.0 s ago\n"));
}

TEST_F(ShowStatus, AServerWithSeveralAddressesOrNoResultYet) {
  auto service = web();
  service.servers[0].addresses = {"10.0.0.11:8443", "[fd00::11]:8443"};
  service.servers[1].last.reset();
  service.last_flip = failed_over().last_flip;
  service.last_flip->cut_ms.reset();
  const auto text = show_status(with({service}), Detail::full, plain);
  EXPECT_THAT(text, HasSubstr("   -> primary  10.0.0.11:8443, [fd00::11]:8443  up "));
  EXPECT_THAT(text, HasSubstr("not probed yet\n"));
  EXPECT_THAT(text, HasSubstr("cut 41 tcp, 7 udp so far;"));
  service.last_flip->cut = {};
  EXPECT_THAT(show_status(with({service}), Detail::full, plain), HasSubstr("; looking for flows to cut;"));
}

TEST_F(ShowStatus, ColourIsUsedOnlyOnRequest) {
  EXPECT_THAT(overview(with({failed_over()})), Not(HasSubstr("\x1b")));
  EXPECT_THAT(overview(with({failed_over()}), {.colour = true, .now = now}), HasSubstr("\x1b[1;31m!! web -> backup"));
}

TEST_F(ShowStatus, NothingFromOutsideReachesTheTerminalUnescaped) {
  const std::string evil = "\x1b]0;x\x07\r\n\xc2\x9b";
  auto service = failed_over();
  service.name = service.target = service.why = service.mode = service.since = evil;
  service.target_address = evil;
  service.listen = {evil};
  service.forced = ForcedStatus{.target = evil, .until = evil, .reason = evil, .by = evil};
  for (auto& each : service.servers) {
    each.role = each.address = each.health = evil;
    each.last = LastResult{.outcome = evil, .reason = evil, .detail = evil};
  }
  service.servers[1].addresses = {evil, evil};
  service.last_flip->at = service.last_flip->from = service.last_flip->to = service.last_flip->why = evil;
  auto status = with({service});
  status.daemon.kernel = status.daemon.config = status.daemon.version = evil;
  status.daemon.kernel_error = status.daemon.inconclusive = evil;
  for (const Detail detail : {Detail::overview, Detail::full})
    for (const char c : show_status(status, detail, {.colour = false, .now = now, .width = 80, .host = evil}))
      ASSERT_TRUE(c == '\n' || (c >= ' ' && c <= '~'));
}

TEST_F(ShowStatus, LinesAreBrokenAtBlanks) {
  using Lines = std::vector<std::string>;
  EXPECT_EQ(wrapped("one two three", 0, 2), (Lines{"one two three"}));
  EXPECT_EQ(wrapped("one two three", 13, 2), (Lines{"one two three"}));
  EXPECT_EQ(wrapped("one two three", 9, 2), (Lines{"one two", "  three"}));
  EXPECT_EQ(wrapped("  one  two", 6, 2), (Lines{"  one", "  two"}));
  EXPECT_EQ(wrapped("abcdefghij", 4, 1), (Lines{"abcd", " efg", " hij"})) << "a word wider than the screen";
  EXPECT_EQ(wrapped("", 4, 1), (Lines{""}));
  EXPECT_EQ(wrapped("abcdefgh", 4, 9), (Lines{"abcd", "  ef", "  gh"})) << "there is room for words";
}

} // namespace
} // namespace hanat::cli
