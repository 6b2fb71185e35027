// What people see, word for word: a change of it is a change of these texts.
#include "cli/show.hpp"

#include <cstdlib>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "cli/said.hpp"
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
using Said = Show;

ServerStatus server(const char* role, const char* address, const char* health, const char* reason, unsigned fails) {
  ServerStatus made;
  made.role = role;
  made.address = address;
  made.health = health;
  made.fails = {.count = fails, .of = 3, .within_s = 10};
  made.last = LastAnswer{.outcome = fails == 0 ? "normal" : "abnormal", .reason = reason, .detail = "", .latency_ms = 0.214, .age_s = 0.4};
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

TEST_F(Show, PeaceIsOneQuietLineAService) {
  EXPECT_EQ(show_status(with({web()}), {.colour = false, .now = now}),
            R"(hanatd 0.1.0 (pid 812), up 3 d 4 h, kernel in step, /etc/hanat/hanat.toml

web  -> primary  10.0.0.11:8443  primary-up  for 2 h 3 min

web  203.0.113.10:443/tcp, 203.0.113.10:443/udp
  -> primary  10.0.0.11:8443  up       fails 0 of 3 in 10 s  connected, 0.21 ms, 0.4 s ago
     backup   10.0.0.12:8443  up       fails 0 of 3 in 10 s  connected, 0.21 ms, 0.4 s ago
  no flip since hanatd started
)");
}

TEST_F(Show, TroubleIsLoudAndStandsBesideItsService) {
  auto dead = web();
  dead.name = "database";
  dead.target = "none";
  dead.target_address.reset();
  dead.why = "none-fit";
  dead.since = "2026-01-31T14:00:00.000Z";
  dead.servers = {server("primary", "10.0.0.21:5432", "down", "timeout", 3)};
  EXPECT_EQ(show_status(with({failed_over(), dead}), {.colour = false, .now = now}),
            R"(hanatd 0.1.0 (pid 812), up 3 d 4 h, kernel in step, /etc/hanat/hanat.toml

web       -> backup  10.0.0.12:8443  failover  for 43 s
  !! redundancy lost: primary is down (refused); nothing to fail over to
database  -> none    -               none-fit  for 5.0 s
  !! no server is fit: clients are turned away until one answers again
   ! primary is down (timeout)

web  203.0.113.10:443/tcp, 203.0.113.10:443/udp
     primary  10.0.0.11:8443  down     fails 3 of 3 in 10 s  abnormal: refused, 0.21 ms, 0.4 s ago
  -> backup   10.0.0.12:8443  up       fails 0 of 3 in 10 s  connected, 0.21 ms, 0.4 s ago
  last flip 13:59:22 (43 s ago): primary -> backup, failover; committed in 14 us; cut 41 tcp, 7 udp, 0 sctp in 3.1 ms; 41 clients told; 1 in all

database  203.0.113.10:443/tcp, 203.0.113.10:443/udp
     primary  10.0.0.21:5432  down     fails 3 of 3 in 10 s  abnormal: timeout, 0.21 ms, 0.4 s ago
  no flip since hanatd started
)");
}

TEST_F(Show, ADaemonInTroubleSaysSoFirst) {
  auto status = with({});
  status.daemon.kernel = "failed";
  status.daemon.kernel_error = "Operation not permitted";
  status.daemon.blind = "no-descriptors";
  EXPECT_EQ(show_status(status, {.colour = false, .now = now}),
            R"(hanatd 0.1.0 (pid 812), up 3 d 4 h, kernel failed, /etc/hanat/hanat.toml
!! the kernel is not in step with what hanatd decided (failed): Operation not permitted; it is tried again
!! hanatd cannot ask the servers: no-descriptors; no failover until it can

no services: write one into the configuration, then hanatctl reload
)");
}

TEST_F(Show, AnOverrideSaysWhoUntilWhenWhyAndHowToEndIt) {
  auto service = web();
  service.forced = ForcedStatus{.target = "backup", .until = "2026-01-31T14:30:05.000Z", .reason = "new disk", .by = "root"};
  service.target = "backup";
  EXPECT_THAT(remarks(service, now),
              ElementsAre(Remark{false, "forced to backup by root until 14:30:05 (in 30 min): \"new disk\"; no failover "
                                        "until it ends: hanatctl auto web"}));
  service.servers[1].health = "down";
  service.forced->until.reset();
  service.forced->reason.clear();
  EXPECT_THAT(remarks(service, now),
              ElementsAre(Remark{true, "forced to backup, WHICH IS DOWN, by root; clients are not served; to end it: hanatctl auto web"}));
}

TEST_F(Show, EveryOtherRemark) {
  auto service = web();
  EXPECT_THAT(remarks(service, now), IsEmpty());

  service.why = "starting";
  service.target = "none";
  service.servers[0].health = service.servers[1].health = "unknown";
  EXPECT_THAT(remarks(service, now),
              ElementsAre(Remark{false, "nothing is decided yet: new flows are dropped until the first server has answered"},
                          Remark{false, "primary is unknown, backup is unknown"}));

  service = web();
  service.servers[1].health = "unknown";
  EXPECT_THAT(remarks(service, now), ElementsAre(Remark{false, "no redundancy yet: backup is unknown; nothing to fail over to"}));

  service = web();
  service.servers.push_back(server("backup2", "10.0.0.13:8443", "down", "timeout", 3));
  EXPECT_THAT(remarks(service, now), ElementsAre(Remark{false, "backup2 is down (timeout)"}));

  service = web();
  service.why = "none-fit-kept";
  service.servers[0].health = service.servers[1].health = "down";
  EXPECT_THAT(remarks(service, now), ElementsAre(Remark{true, "no server is fit: primary keeps the traffic (on_none = \"keep\")"},
                                                 Remark{false, "backup is down"}));

  service.why = "adopted";
  EXPECT_EQ(remarks(service, now)[0], (Remark{true, "primary has the traffic and is down"}));

  service = failed_over();
  service.servers[0] = web().servers[0];
  service.failback_in_s = 43;
  EXPECT_THAT(remarks(service, now), ElementsAre(Remark{false, "failback in 43 s"}));

  service = web();
  service.mode = "observe";
  EXPECT_THAT(remarks(service, now), ElementsAre(Remark{false, "observe: hanatd decides and journals, and touches no traffic"}));
}

TEST_F(Show, ModeObserveSaysWhatIsAndWhatWouldBe) {
  const std::string begin = "observe: hanatd decides and journals, and touches no traffic; ";
  auto service = web();
  service.mode = "observe";
  service.why = "observe";
  service.would_target = "primary";
  service.would_why = "primary-up";
  EXPECT_THAT(remarks(service, now), ElementsAre(Remark{false, begin + "it would leave new connections on primary (primary-up)"}));
  service.would_target = "backup";
  service.would_why = "failover";
  EXPECT_THAT(remarks(service, now), ElementsAre(Remark{false, begin + "it would send new connections to backup (failover)"}));
  EXPECT_THAT(show_status(with({service}), {.colour = false, .now = now}), HasSubstr("(mode observe)"));

  service.would_target = "none";
  service.would_why = "none-fit";
  EXPECT_EQ(remarks(service, now)[0].text, begin + "it would turn clients away: no server is fit");
  service.would_why = "starting";
  EXPECT_EQ(remarks(service, now)[0].text, begin + "it has not decided yet");

  service.target = "none";
  service.target_address.reset();
  EXPECT_EQ(remarks(service, now)[1].text, "the kernel has no target for it, and gets none from hanatd");
  service.target_address = "10.0.0.99:8443";
  EXPECT_EQ(remarks(service, now)[1].text, "the kernel sends its traffic to 10.0.0.99:8443, no server of this configuration");

  service = web();
  service.mode = "observe";
  service.forced = ForcedStatus{.target = "primary", .until = {}, .reason = "", .by = "root"};
  EXPECT_EQ(remarks(service, now)[1].text, "forced to primary by root; it rules again when mode is auto, and ends with: hanatctl auto web");
}

TEST_F(Show, AServerThatIsDownForTheGroupIsNobodyToFailOverTo) {
  auto service = web();
  service.group = "voice";
  service.servers[0].group_health = service.servers[1].group_health = "up";
  EXPECT_THAT(remarks(service, now), IsEmpty());
  EXPECT_THAT(show_status(with({service}), {.colour = false, .now = now}), HasSubstr("(group voice)"));
  service.servers[1].group_health = "down";
  EXPECT_THAT(remarks(service, now),
              ElementsAre(Remark{true, "redundancy lost: backup is up here, and down in the group; nothing to fail over to"}));
  service.target = "none";
  service.why = "none-fit";
  EXPECT_EQ(remarks(service, now)[0].text, "no server is fit for all of group voice: clients are turned away until one is");
}

TEST_F(Show, OldFlowsThatDrainOrAreKeptStandInTheOverview) {
  auto made = failed_over();
  made.last_flip->drained = 5;
  made.draining = {{.server = "primary", .address = "10.0.0.11:8443", .drained = 5, .left = 12, .ends_in_s = 43.2}};
  EXPECT_THAT(
      show_status(with({made}), {.colour = false, .now = now}),
      AllOf(HasSubstr("   ! draining: 12 old flows on primary (10.0.0.11:8443), what is left in 43 s is cut; 5 have ended by themselves\n"),
            HasSubstr("41 clients told; 5 ended by themselves")));
  made.draining[0].left.reset();
  made.draining[0].drained = 0;
  EXPECT_THAT(show_status(with({made}), {.colour = false, .now = now}),
              HasSubstr("draining: old flows, not counted yet, on primary (10.0.0.11:8443), what is left in 43 s is cut\n"));
  made.draining[0].left = 1;
  made.draining[0].ends_in_s.reset();
  EXPECT_THAT(show_status(with({made}), {.colour = false, .now = now}),
              HasSubstr("   ! 1 old flow on primary (10.0.0.11:8443): kept until they end\n"));
}

TEST_F(Show, AServerWithSeveralAddressesOrNoAnswerYet) {
  auto service = web();
  service.servers[0].addresses = {"10.0.0.11:8443", "[fd00::11]:8443"};
  service.servers[1].last.reset();
  service.last_flip = failed_over().last_flip;
  service.last_flip->cut_ms.reset();
  const auto text = show_status(with({service}), {.colour = false, .now = now});
  EXPECT_THAT(text, HasSubstr("  -> primary  10.0.0.11:8443, [fd00::11]:8443  up "));
  EXPECT_THAT(text, HasSubstr("not asked yet\n"));
  EXPECT_THAT(text, HasSubstr("0 sctp, still cutting;"));
}

TEST_F(Show, ColourIsThereOnlyWhenAsked) {
  EXPECT_THAT(show_status(with({failed_over()}), {.colour = false, .now = now}), Not(HasSubstr("\x1b")));
  EXPECT_THAT(show_status(with({failed_over()}), {.colour = true, .now = now}), HasSubstr("\x1b[1;31m!! redundancy lost"));
}

TEST_F(Show, NothingFromOutsideReachesTheTerminalAsItCame) {
  const std::string evil = "\x1b]0;x\x07\r\n\xc2\x9b";
  auto service = failed_over();
  service.name = service.target = service.why = service.mode = service.since = evil;
  service.target_address = evil;
  service.listen = {evil};
  service.forced = ForcedStatus{.target = evil, .until = evil, .reason = evil, .by = evil};
  for (auto& each : service.servers) {
    each.role = each.address = each.health = evil;
    each.last = LastAnswer{.outcome = evil, .reason = evil, .detail = evil};
  }
  service.servers[1].addresses = {evil, evil};
  service.last_flip->at = service.last_flip->from = service.last_flip->to = service.last_flip->why = evil;
  auto status = with({service});
  status.daemon.kernel = status.daemon.config = status.daemon.version = evil;
  status.daemon.kernel_error = status.daemon.blind = evil;
  for (const char c : show_status(status, {.colour = false, .now = now})) ASSERT_TRUE(c == '\n' || (c >= ' ' && c <= '~'));
}

TEST_F(Show, OfManyServicesOnlyThoseWithARemarkInDetail) {
  std::vector<ServiceStatus> many(30, web());
  many[7] = failed_over();
  many[7].name = "sip";
  const auto text = show_status(with(many), {.colour = false, .now = now});
  EXPECT_THAT(text, HasSubstr("\nsip  203.0.113.10:443/tcp"));
  EXPECT_THAT(text, Not(HasSubstr("\nweb  203.0.113.10:443/tcp")));
  EXPECT_THAT(text, HasSubstr("\n29 more services, without a remark: hanatctl status SERVICE shows one with its servers\n"));
}

TEST_F(Said, OfAForceIsWhereUntilWhenAndHowToEndIt) {
  const json until = {{"name", "web"}, {"target", "backup"}, {"target_address", "10.0.0.12:8443"}, {"until", "2026-01-31T14:30:05.000Z"}};
  EXPECT_EQ(said_of_force({{"services", {until}}}, std::chrono::minutes{30}, now),
            "web: traffic goes to backup (10.0.0.12:8443) until 14:30:05 (30 min); hanatctl auto web ends it\n");
  json open = until;
  open["until"] = nullptr;
  EXPECT_EQ(said_of_force({{"services", {open}}}, std::nullopt, now),
            "web: traffic goes to backup (10.0.0.12:8443), without failover, until you end it: hanatctl auto web\n");
  json waiting = open;
  waiting["pending"] = true;
  waiting["forced"] = "primary";
  EXPECT_EQ(said_of_force({{"services", {waiting}}}, std::nullopt, now).find("web: forced to primary, without failover"), 0U);
  EXPECT_EQ(said_of_force({{"services", json::array()}}, std::nullopt, now), "no services: nothing was forced\n");
  EXPECT_THROW(said_of_force(json::object(), std::nullopt, now), json::exception);
}

TEST_F(Said, OfAMomentOnAnotherDayHasItsDate) {
  const json tomorrow = {{"name", "web"}, {"target", "primary"}, {"target_address", nullptr}, {"until", "2026-02-01T09:00:00.000Z"}};
  EXPECT_EQ(said_of_force({{"services", {tomorrow}}}, std::nullopt, now),
            "web: traffic goes to primary until 2026-02-01 09:00:00; hanatctl auto web ends it\n");
}

TEST_F(Said, OfAutoIsWhetherThereWasSomethingToEnd) {
  const json was = {{"name", "web"}, {"target", "primary"}, {"target_address", "10.0.0.11:8443"}, {"was_forced", true}};
  const json was_not = {{"name", "sip"}, {"target", "none"}, {"target_address", nullptr}, {"was_forced", false}};
  EXPECT_EQ(said_of_auto({{"services", {was, was_not}}}),
            "web: the override has ended; traffic goes to primary (10.0.0.11:8443), and hanatd decides again\n"
            "sip: was not forced, nothing changed; traffic goes to no server\n");
}

TEST_F(Said, OfAReloadIsWhatChanged) {
  EXPECT_EQ(said_of_reload({{"services", 1}, {"changed", json::array()}}), "the configuration is loaded: 1 service; nothing changed\n");
  EXPECT_EQ(said_of_reload({{"services", 3}, {"changed", {"web", "sip"}}}), "the configuration is loaded: 3 services; changed: web, sip\n");
  EXPECT_EQ(said_of_reload({{"services", 1}, {"added", {"new"}}, {"changed", json::array()}, {"removed", {"old"}}}),
            "the configuration is loaded: 1 service; added: new; removed: old\n");
}

TEST_F(Said, OfARefusalListsWhatItKnows) {
  EXPECT_EQ(said_of_refusal({"Refused", "backup is down\x1b[2J\nuse --even-if-down", json::object()}, "web"),
            "backup is down\\x1b[2J\nuse --even-if-down");
  EXPECT_EQ(said_of_refusal({"UnknownService", "no service wbe", {{"services", {"web", "sip"}}}}, "wbe"),
            "no service wbe; did you mean web?");
  EXPECT_EQ(said_of_refusal({"UnknownService", "no service x", {{"services", {"web", "sip"}}}}, "x"), "no service x");
  EXPECT_EQ(
      said_of_refusal({"BadConfiguration", "the old configuration stays", {{"errors", {"a.toml:1:2: bad", "a.toml:2:1: worse"}}}}, ""),
      "a.toml:1:2: bad\na.toml:2:1: worse\nthe old configuration stays");
}

} // namespace
} // namespace hanat::cli
