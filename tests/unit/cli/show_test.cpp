// What people see, word for word: a changed text is changed here too.
#include "cli/show.hpp"

#include <cstdlib>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "cli/replies.hpp"
#include "cli/text.hpp"

namespace hanat::cli {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const WallTime now = *parse_wall_time("2026-01-31T14:00:05.000Z");

class Show : public testing::Test {
protected:
  Show() {
    setenv("TZ", "UTC", 1);
    tzset();
  }
};
using ReplyText = Show;

ServerStatus server(const char* role, const char* address, const char* health, const char* reason, unsigned fails) {
  ServerStatus made;
  made.role = role;
  made.address = address;
  made.health = health;
  made.fails = {.count = fails, .of = 3, .within_s = 10};
  made.last = LastResult{.outcome = fails == 0 ? "pass" : "fail", .reason = reason, .detail = "", .latency_ms = 0.214, .age_s = 0.4};
  return made;
}

ServiceStatus web() {
  ServiceStatus made;
  made.name = "web";
  made.target = "primary";
  made.target_address = "10.0.0.11:8443";
  made.since = "2026-01-31T11:57:05.000Z";
  made.why = "primary-up";
  made.listen = {"203.0.113.10:443/tcp", "203.0.113.10:443/udp"};
  made.servers = {server("primary", "10.0.0.11:8443", "up", "connected", 0), server("backup", "10.0.0.12:8443", "up", "connected", 0)};
  return made;
}

ServiceStatus failed_over() {
  auto made = web();
  made.target = "backup";
  made.target_address = "10.0.0.12:8443";
  made.since = "2026-01-31T13:59:22.000Z";
  made.why = "failover";
  made.servers[0] = server("primary", "10.0.0.11:8443", "down", "refused", 3);
  made.flips = 1;
  made.last_flip = FlipStatus{.at = "2026-01-31T13:59:22.000Z",
                              .from = "primary",
                              .to = "backup",
                              .why = "failover",
                              .commit_us = 14,
                              .cut = {.tcp = 41, .udp = 7, .sctp = 0},
                              .nudged = 41,
                              .cut_ms = 3.14};
  return made;
}

Status with(std::vector<ServiceStatus> services) {
  Status status;
  status.daemon.pid = 812;
  status.daemon.uptime_s = 273'600;
  status.daemon.version = "0.1.0";
  status.daemon.config = "/etc/hanat/hanat.toml";
  status.services = std::move(services);
  return status;
}

TEST_F(Show, AServiceWithoutTroubleHasOneLine) {
  EXPECT_EQ(show_status(with({web()}), {.colour = false, .now = now}),
            R"(hanatd 0.1.0 (pid 812), up 3 d 4 h, kernel in sync, /etc/hanat/hanat.toml

web  -> primary  10.0.0.11:8443  primary-up  for 2 h 3 min

web  203.0.113.10:443/tcp, 203.0.113.10:443/udp
  -> primary  10.0.0.11:8443  up       fails 0 of 3 in 10 s  connected, 0.21 ms, 0.4 s ago
     backup   10.0.0.12:8443  up       fails 0 of 3 in 10 s  connected, 0.21 ms, 0.4 s ago
  no flip yet
)");
}

/// The server is full, as its last probe says.
void make_full(ServerStatus& server) {
  server.health = "full";
  server.last = LastResult{.outcome = "full", .reason = "full", .detail = "53300 too many clients", .latency_ms = 0.214, .age_s = 0.4};
}

TEST_F(Show, AFullServerIsNamedWhetherItHasTheTrafficOrNot) {
  const auto texts = [](const ServiceStatus& service) {
    std::vector<std::string> found;
    for (const Notice& notice : notices(service, now)) found.push_back((notice.trouble ? "!! " : "! ") + notice.text);
    return found;
  };
  auto moved = failed_over();
  moved.why = "full";
  make_full(moved.servers[0]);
  EXPECT_THAT(texts(moved), ElementsAre("!! redundancy lost: primary is full (53300 too many clients); nothing with room to fail over to"));
  auto alone = web();
  alone.why = "full-kept";
  make_full(alone.servers[0]);
  alone.servers[1] = server("backup", "10.0.0.12:8443", "down", "refused", 3);
  EXPECT_THAT(texts(alone), ElementsAre("!! primary is full, and no other server may take over: it keeps the traffic",
                                        "!! redundancy lost: backup is down (refused); nothing to fail over to"));
  auto forced = web();
  make_full(forced.servers[0]);
  forced.why = "forced";
  EXPECT_THAT(texts(forced), ElementsAre("!! primary has the traffic and is full"));
  auto grouped = web();
  grouped.servers[1].group_health = "full";
  EXPECT_THAT(texts(grouped),
              ElementsAre("!! redundancy lost: backup is up here, but full in the group; nothing with room to fail over to"));
  EXPECT_THAT(show_status(with({alone}), {.colour = false, .now = now}),
              HasSubstr("full     fails 0 of 3 in 10 s  full (53300 too many clients), 0.21 ms"));
}

TEST_F(Show, TroubleStandsBelowItsService) {
  auto dead = web();
  dead.name = "database";
  dead.target = "none";
  dead.target_address.reset();
  dead.why = "no-server-up";
  dead.since = "2026-01-31T14:00:00.000Z";
  dead.servers = {server("primary", "10.0.0.21:5432", "down", "timeout", 3)};
  EXPECT_EQ(show_status(with({failed_over(), dead}), {.colour = false, .now = now}),
            R"(hanatd 0.1.0 (pid 812), up 3 d 4 h, kernel in sync, /etc/hanat/hanat.toml

web       -> backup  10.0.0.12:8443  failover      for 43 s
  !! redundancy lost: primary is down (refused); nothing to fail over to
database  -> none    -               no-server-up  for 5.0 s
  !! no server is up: clients are turned away until one is
   ! primary is down (timeout)

web  203.0.113.10:443/tcp, 203.0.113.10:443/udp
     primary  10.0.0.11:8443  down     fails 3 of 3 in 10 s  fail: refused, 0.21 ms, 0.4 s ago
  -> backup   10.0.0.12:8443  up       fails 0 of 3 in 10 s  connected, 0.21 ms, 0.4 s ago
  last flip 13:59:22 (43 s ago): primary -> backup, failover; committed in 14 us; cut 41 tcp, 7 udp, 0 sctp in 3.1 ms; nudge sent to 41 clients; 1 since hanatd started

database  203.0.113.10:443/tcp, 203.0.113.10:443/udp
     primary  10.0.0.21:5432  down     fails 3 of 3 in 10 s  fail: timeout, 0.21 ms, 0.4 s ago
  no flip yet
)");
}

TEST_F(Show, ADaemonInTroubleSaysSoFirst) {
  auto status = with({});
  status.daemon.kernel = "failed";
  status.daemon.kernel_error = "Operation not permitted";
  status.daemon.inconclusive = "no-descriptors";
  EXPECT_EQ(show_status(status, {.colour = false, .now = now}),
            R"(hanatd 0.1.0 (pid 812), up 3 d 4 h, kernel failed, /etc/hanat/hanat.toml
!! the kernel is not in sync with hanatd's decisions (failed): Operation not permitted; hanatd tries again
!! hanatd cannot probe the servers: no-descriptors; no failover until it can

no services: write one into the configuration, then hanatctl reload
)");
}

TEST_F(Show, ARefusedReloadOrAChangedFileStandsAboveTheServices) {
  auto status = with({web()});
  status.daemon.config_loaded_at = "2026-01-31T13:02:11.000Z";
  status.daemon.config_stale = true;
  EXPECT_THAT(show_status(status, {.colour = false, .now = now}),
              HasSubstr("\n ! the configuration on disk is not the one in use, which was loaded at 13:02:11: hanatctl check, then hanatctl "
                        "reload\n"));
  status.daemon.reload_refused = RefusedReload{.at = "2026-01-31T13:55:02.000Z", .by = "root", .errors = 2, .first = "a.toml:1:2: bad"};
  const auto text = show_status(status, {.colour = false, .now = now});
  EXPECT_THAT(text, HasSubstr("\n!! the last reload was refused (13:55:02, by root), and the old configuration stays in force: 2 errors, "
                              "the first: a.toml:1:2: bad\n"));
  EXPECT_THAT(text, Not(HasSubstr("on disk"))) << "that is why";
}

TEST_F(Show, AnOverrideSaysWhoUntilWhenWhyAndHowToEndIt) {
  auto service = web();
  service.forced = ForcedStatus{.target = "backup", .until = "2026-01-31T14:30:05.000Z", .reason = "new disk", .by = "root"};
  service.target = "backup";
  EXPECT_THAT(notices(service, now),
              ElementsAre(Notice{false, "forced to backup by root until 14:30:05 (in 30 min): \"new disk\"; no failover "
                                        "until it ends: hanatctl auto web"}));
  service.servers[1].health = "down";
  service.forced->until.reset();
  service.forced->reason.clear();
  EXPECT_THAT(notices(service, now),
              ElementsAre(Notice{true, "forced to backup, WHICH IS DOWN, by root; clients are not served; to end it: hanatctl auto web"}));
}

TEST_F(Show, EveryOtherNotice) {
  auto service = web();
  EXPECT_THAT(notices(service, now), IsEmpty());

  service.why = "starting";
  service.target = "none";
  service.servers[0].health = service.servers[1].health = "unknown";
  EXPECT_THAT(
      notices(service, now),
      ElementsAre(Notice{false, "nothing is decided yet: new connections are dropped until the first server is known to be up or down"},
                  Notice{false, "primary is unknown, backup is unknown"}));

  service = web();
  service.servers[1].health = "unknown";
  EXPECT_THAT(notices(service, now), ElementsAre(Notice{false, "no redundancy yet: backup is unknown; nothing to fail over to"}));

  service = web();
  service.servers.push_back(server("backup2", "10.0.0.13:8443", "down", "timeout", 3));
  EXPECT_THAT(notices(service, now), ElementsAre(Notice{false, "backup2 is down (timeout)"}));

  service = web();
  service.why = "no-server-up-kept";
  service.servers[0].health = service.servers[1].health = "down";
  EXPECT_THAT(notices(service, now), ElementsAre(Notice{true, "no server is up: primary keeps the traffic (on_none = \"keep\")"},
                                                 Notice{false, "backup is down"}));

  service.why = "adopted";
  EXPECT_EQ(notices(service, now)[0], (Notice{true, "primary has the traffic and is down"}));

  service = failed_over();
  service.servers[0] = web().servers[0];
  service.failback_in_s = 43;
  EXPECT_THAT(notices(service, now), ElementsAre(Notice{false, "failback in 43 s"}));

  service = web();
  service.mode = "observe";
  EXPECT_THAT(notices(service, now), ElementsAre(Notice{false, "observe: hanatd decides and logs, but does not touch traffic"}));
}

TEST_F(Show, ARecoveringServerIsRedundancyAsSoonAsItHasPassedOftenEnough) {
  auto service = failed_over();
  service.servers[0].recovering = RecoveringStatus{.passes = 4, .of = 2, .for_s = 3.14, .stable_for_s = 5};
  service.failback_in_s = 1.86;
  EXPECT_THAT(notices(service, now),
              ElementsAre(Notice{false, "primary is recovering (passes 3.1 of 5 s); it takes over at once if backup fails"},
                          Notice{false, "failback in 1.9 s"}));
  EXPECT_THAT(show_status(with({service}), {.colour = false, .now = now}), HasSubstr("recovering: passes 3.1 of 5 s"));
  service.servers[0].recovering->passes = 1;
  service.failback_in_s.reset();
  EXPECT_THAT(notices(service, now),
              ElementsAre(Notice{true, "redundancy lost: primary is recovering (1 of 2 passes); nothing to fail over to"}));
  service.servers[0].recovering->passes = 4;
  service.group = "voice";
  EXPECT_TRUE(notices(service, now)[0].trouble) << "the server may be down for another service of the group";
  service.failback.to = "primary";
  EXPECT_FALSE(notices(service, now)[0].trouble);
}

TEST_F(Show, AManualFailbackSaysTheCommandsThatEndTheWait) {
  auto service = failed_over();
  service.servers[0] = web().servers[0];
  service.failback = {.mode = "manual", .to = "primary", .waits_for = "operator"};
  EXPECT_THAT(notices(service, now),
              ElementsAre(Notice{false, "primary is up; failback is manual: hanatctl force-primary web, then hanatctl auto web"}));
  service.failback.to = "backup";
  EXPECT_EQ(notices(service, now)[0].text,
            "backup is up; failback is manual: hanatctl force-backup web --server backup, then hanatctl auto web");
  service.failback = {.mode = "auto", .to = "primary", .waits_for = "after"};
  EXPECT_THAT(notices(service, now), IsEmpty());
}

TEST_F(Show, OfSeveralProbesThoseThatFailAreNamedWithWhatTheyWanted) {
  auto service = failed_over();
  auto& primary = service.servers[0];
  primary.last = LastResult{.outcome = "fail", .reason = "wrong-status", .detail = "503", .wanted = "status 200-299", .latency_ms = 1};
  primary.probes = {{.name = "tcp 10.0.0.11:8443", .health = "up", .fails = {}, .last = {}},
                    {.name = "http 10.0.0.11:8443 GET /", .health = "down", .fails = {}, .last = primary.last}};
  EXPECT_THAT(show_status(with({service}), {.colour = false, .now = now}),
              HasSubstr("fails 3 of 3 in 10 s  fail: wrong-status (503), wanted: status 200-299, 1.00 ms, 0.0 s ago\n"
                        "       down  http 10.0.0.11:8443 GET /: fail: wrong-status (503), wanted: status 200-299, 1.00 ms, 0.0 s ago\n"));
}

TEST_F(Show, ModeObserveSaysWhatIsAndWhatWouldHappen) {
  const std::string begin = "observe: hanatd decides and logs, but does not touch traffic; ";
  auto service = web();
  service.mode = "observe";
  service.why = "observe";
  service.would_target = "primary";
  service.would_why = "primary-up";
  EXPECT_THAT(notices(service, now), ElementsAre(Notice{false, begin + "it would leave new connections on primary (primary-up)"}));
  service.would_target = "backup";
  service.would_why = "failover";
  EXPECT_THAT(notices(service, now), ElementsAre(Notice{false, begin + "it would send new connections to backup (failover)"}));
  EXPECT_THAT(show_status(with({service}), {.colour = false, .now = now}), HasSubstr("(mode observe)"));

  service.would_target = "none";
  service.would_why = "no-server-up";
  EXPECT_EQ(notices(service, now)[0].text, begin + "it would turn clients away: no server is up");
  service.would_why = "starting";
  EXPECT_EQ(notices(service, now)[0].text, begin + "it has not decided yet");

  service.target = "none";
  service.target_address.reset();
  EXPECT_EQ(notices(service, now)[1].text, "the kernel has no target for it, and hanatd sets none");
  service.target_address = "10.0.0.99:8443";
  EXPECT_EQ(notices(service, now)[1].text, "the kernel sends its traffic to 10.0.0.99:8443, which is no server of this configuration");

  service = web();
  service.mode = "observe";
  service.forced = ForcedStatus{.target = "primary", .until = {}, .reason = "", .by = "root"};
  EXPECT_EQ(notices(service, now)[1].text,
            "forced to primary by root; it has no effect until mode is auto again; to end it: hanatctl auto web");
}

TEST_F(Show, AServerThatIsDownForTheGroupIsNoRedundancy) {
  auto service = web();
  service.group = "voice";
  service.servers[0].group_health = service.servers[1].group_health = "up";
  EXPECT_THAT(notices(service, now), IsEmpty());
  EXPECT_THAT(show_status(with({service}), {.colour = false, .now = now}), HasSubstr("(group voice)"));
  service.servers[1].group_health = "down";
  EXPECT_THAT(notices(service, now),
              ElementsAre(Notice{true, "redundancy lost: backup is up here, but down in the group; nothing to fail over to"}));
  service.target = "none";
  service.why = "no-server-up";
  EXPECT_EQ(notices(service, now)[0].text, "no server is up for all of group voice: clients are turned away until one is");
}

TEST_F(Show, FlowsThatAnotherRuleTakesStandInTheOverview) {
  auto made = failed_over();
  made.foreign = {{.listen = "203.0.113.10:443/tcp", .server = "10.0.0.9:8443", .flows = 1}};
  EXPECT_THAT(
      show_status(with({made}), {.colour = false, .now = now}),
      HasSubstr("   ! 1 flow of 203.0.113.10:443/tcp is at 10.0.0.9:8443, where hanat sends no clients: another rule does; see nft list "
                "ruleset\n"));
  made.foreign[0].flows = 2;
  EXPECT_THAT(show_status(with({made}), {.colour = false, .now = now}), HasSubstr("2 flows of 203.0.113.10:443/tcp are at "));
}

TEST_F(Show, OldFlowsThatDrainOrAreKeptStandInTheOverview) {
  auto made = failed_over();
  made.last_flip->drained = 5;
  made.draining = {{.server = "primary", .address = "10.0.0.11:8443", .drained = 5, .left = 12, .ends_in_s = 43.2}};
  EXPECT_THAT(
      show_status(with({made}), {.colour = false, .now = now}),
      AllOf(HasSubstr("   ! draining: 12 old flows on primary (10.0.0.11:8443); the rest is cut in 43 s; 5 have ended by themselves\n"),
            HasSubstr("nudge sent to 41 clients; 5 ended by themselves")));
  made.draining[0].left.reset();
  made.draining[0].drained = 0;
  EXPECT_THAT(show_status(with({made}), {.colour = false, .now = now}),
              HasSubstr("draining: old flows, not counted yet, on primary (10.0.0.11:8443); the rest is cut in 43 s\n"));
  made.draining[0].left = 1;
  made.draining[0].ends_in_s.reset();
  EXPECT_THAT(show_status(with({made}), {.colour = false, .now = now}),
              HasSubstr("   ! 1 old flow on primary (10.0.0.11:8443): kept until they end\n"));
}

TEST_F(Show, AServerWithSeveralAddressesOrNoResultYet) {
  auto service = web();
  service.servers[0].addresses = {"10.0.0.11:8443", "[fd00::11]:8443"};
  service.servers[1].last.reset();
  service.last_flip = failed_over().last_flip;
  service.last_flip->cut_ms.reset();
  const auto text = show_status(with({service}), {.colour = false, .now = now});
  EXPECT_THAT(text, HasSubstr("  -> primary  10.0.0.11:8443, [fd00::11]:8443  up "));
  EXPECT_THAT(text, HasSubstr("not probed yet\n"));
  EXPECT_THAT(text, HasSubstr("0 sctp, still cutting;"));
}

TEST_F(Show, ColourIsUsedOnlyOnRequest) {
  EXPECT_THAT(show_status(with({failed_over()}), {.colour = false, .now = now}), Not(HasSubstr("\x1b")));
  EXPECT_THAT(show_status(with({failed_over()}), {.colour = true, .now = now}), HasSubstr("\x1b[1;31m!! redundancy lost"));
}

TEST_F(Show, NothingFromOutsideReachesTheTerminalUnescaped) {
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
  for (const char c : show_status(status, {.colour = false, .now = now})) ASSERT_TRUE(c == '\n' || (c >= ' ' && c <= '~'));
}

TEST_F(Show, OfManyServicesOnlyThoseWithANoticeInDetail) {
  std::vector<ServiceStatus> many(30, web());
  many[7] = failed_over();
  many[7].name = "sip";
  const auto text = show_status(with(many), {.colour = false, .now = now});
  EXPECT_THAT(text, HasSubstr("\nsip  203.0.113.10:443/tcp"));
  EXPECT_THAT(text, Not(HasSubstr("\nweb  203.0.113.10:443/tcp")));
  EXPECT_THAT(text, HasSubstr("\n29 more services without notices: hanatctl status SERVICE shows one with its servers\n"));
}

TEST_F(ReplyText, OfForceSaysWhereUntilWhenAndHowToEndIt) {
  const json until = {{"name", "web"}, {"target", "backup"}, {"target_address", "10.0.0.12:8443"}, {"until", "2026-01-31T14:30:05.000Z"}};
  EXPECT_EQ(force_reply({{"services", {until}}}, std::chrono::minutes{30}, now),
            "web: traffic goes to backup (10.0.0.12:8443) until 14:30:05 (30 min); hanatctl auto web ends it\n");
  json open = until;
  open["until"] = nullptr;
  EXPECT_EQ(force_reply({{"services", {open}}}, std::nullopt, now),
            "web: traffic goes to backup (10.0.0.12:8443), without failover, until you end it: hanatctl auto web\n");
  json waiting = open;
  waiting["pending"] = true;
  waiting["forced"] = "primary";
  EXPECT_EQ(force_reply({{"services", {waiting}}}, std::nullopt, now).find("web: forced to primary, without failover"), 0U);
  EXPECT_EQ(force_reply({{"services", json::array()}}, std::nullopt, now), "no services: nothing was forced\n");
  EXPECT_THROW(force_reply(json::object(), std::nullopt, now), json::exception);
}

TEST_F(ReplyText, OfATimeOnAnotherDayHasItsDate) {
  const json tomorrow = {{"name", "web"}, {"target", "primary"}, {"target_address", nullptr}, {"until", "2026-02-01T09:00:00.000Z"}};
  EXPECT_EQ(force_reply({{"services", {tomorrow}}}, std::nullopt, now),
            "web: traffic goes to primary until 2026-02-01 09:00:00; hanatctl auto web ends it\n");
}

TEST_F(ReplyText, OfAutoSaysWhetherThereWasAnOverride) {
  const json was = {{"name", "web"}, {"target", "primary"}, {"target_address", "10.0.0.11:8443"}, {"was_forced", true}};
  const json was_not = {{"name", "sip"}, {"target", "none"}, {"target_address", nullptr}, {"was_forced", false}};
  EXPECT_EQ(auto_reply({{"services", {was, was_not}}}),
            "web: the override has ended; traffic goes to primary (10.0.0.11:8443), and hanatd decides again\n"
            "sip: was not forced, nothing changed; traffic goes to no server\n");
}

TEST_F(ReplyText, OfReloadSaysWhatChanged) {
  EXPECT_EQ(reload_reply({{"services", 1}, {"changed", json::array()}}), "the configuration is loaded: 1 service; nothing changed\n");
  EXPECT_EQ(reload_reply({{"services", 1}, {"settings", {"metrics"}}}),
            "the configuration is loaded: 1 service; changed in [hanatd]: metrics\n");
  EXPECT_EQ(reload_reply({{"services", 3}, {"changed", {"web", "sip"}}}), "the configuration is loaded: 3 services; changed: web, sip\n");
  EXPECT_EQ(reload_reply({{"services", 1}, {"added", {"new"}}, {"changed", json::array()}, {"removed", {"old"}}}),
            "the configuration is loaded: 1 service; added: new; removed: old\n");
}

TEST_F(ReplyText, OfForceForSeveralSaysOnlyOnceHowToEndIt) {
  const json web = {{"name", "web"}, {"target", "backup"}, {"target_address", "10.0.0.12:8443"}, {"until", nullptr}, {"group", "voice"}};
  json sip = web;
  sip["name"] = "sip";
  EXPECT_EQ(force_reply({{"services", {web, sip}}}, std::nullopt, now),
            "web (group voice): traffic goes to backup (10.0.0.12:8443)\nsip (group voice): traffic goes to backup (10.0.0.12:8443)\n"
            "2 services are forced, without failover, until you end it: hanatctl auto web\n");
  sip["group"] = nullptr;
  EXPECT_THAT(force_reply({{"services", {web, sip}}}, std::nullopt, now), HasSubstr("until you end it: hanatctl auto --all\n"));
}

TEST_F(ReplyText, OfARefusalListsErrorsAndSuggests) {
  EXPECT_EQ(refusal_text({"Refused", "backup is down\x1b[2J\nuse --even-if-down", json::object()}, "force-backup", "web"),
            "backup is down\\x1b[2J\nuse --even-if-down");
  EXPECT_EQ(refusal_text({"UnknownService", "no service wbe", {{"services", {"web", "sip"}}}}, "status", "wbe"),
            "no service wbe: did you mean \"web\"?");
  EXPECT_EQ(refusal_text({"UnknownService", "no service x", {{"services", {"web", "sip"}}}}, "status", "x"), "no service x");
  EXPECT_EQ(refusal_text({"NotPermitted", "nobody may only look: be root (sudo)", json::object()}, "force-backup", "web"),
            "force-backup changes the daemon, and nobody may only look: be root (sudo)");
  const Refusal bad{"BadConfiguration", "the old configuration stays", {{"errors", {"a.toml:1:2: bad", "a.toml:2:1: worse"}}}};
  EXPECT_EQ(error_lines(bad), "a.toml:1:2: bad\na.toml:2:1: worse\n");
  EXPECT_EQ(refusal_text(bad, "reload", ""), "the old configuration stays");
}

} // namespace
} // namespace hanat::cli
