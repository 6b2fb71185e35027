// The sentences about a service, word for word: a changed text is changed here too. Not here: the screen (show_status_test).
#include "cli/notices.hpp"

#include <gmock/gmock.h>

#include "cli/text.hpp"
#include "tests/unit/cli/show_fixture.hpp"

namespace hanat::cli {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Notices = Show;

/// The server is full, as its last probe says.
void make_full(ServerStatus& server) {
  server.health = "full";
  server.last = LastResult{.outcome = "full", .reason = "full", .detail = "53300 too many clients", .latency_ms = 0.214, .age_s = 0.4};
}

TEST_F(Notices, AFullServerIsNamedWhetherItHasTheTrafficOrNot) {
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
}

TEST_F(Notices, ClientsWithoutAnAnswerAreCountedAndTheCauseHasItsRemedy) {
  auto service = web();
  service.path = {.state = "unanswered", .unanswered_clients = 37, .refused_clients = 0, .since = "2026-01-31T13:59:22.000Z"};
  EXPECT_THAT(notices(service, now),
              ElementsAre(Notice{true,
                                 "37 clients got no answer in the last minute, though primary passes its probes. To find the cause:",
                                 {"hanatctl doctor web"}}));
  service.path.unanswered_clients = 1;
  service.path.findings = {{.severity = "problem",
                            .code = "ip-forward-off",
                            .what = "net.ipv4.ip_forward is 0",
                            .remedy = "sysctl -w net.ipv4.ip_forward=1",
                            .seen_by = ""},
                           {.severity = "problem", .code = "odd", .what = "nobody knows", .remedy = "", .seen_by = ""}};
  EXPECT_THAT(notices(service, now),
              ElementsAre(Notice{true, "1 client got no answer in the last minute, though primary passes its probes"},
                          Notice{true, "net.ipv4.ip_forward is 0 [ip-forward-off]", {"sysctl -w net.ipv4.ip_forward=1"}},
                          Notice{true, "nobody knows [odd]"}));
  service.path.unanswered_clients = 1'024;
  EXPECT_EQ(notices(service, now).front().text, "at least 1024 clients got no answer in the last minute, though primary passes its probes");
  service.path.unanswered_clients = 0;
  EXPECT_EQ(notices(service, now).front().text, "clients get no answer, though primary passes its probes");
  service.path.findings.clear();
  EXPECT_THAT(notices(service, now).front().remedies, ElementsAre("hanatctl doctor web"));
  service.path.state = "ok";
  EXPECT_THAT(notices(service, now), IsEmpty());
}

TEST_F(Notices, AnOverrideSaysWhoUntilWhenWhyAndHowToEndIt) {
  auto service = web();
  service.forced = ForcedStatus{.target = "backup", .until = "2026-01-31T14:30:05.000Z", .reason = "new disk", .by = "root"};
  service.target = "backup";
  EXPECT_THAT(notices(service, now), ElementsAre(Notice{false,
                                                        "forced to backup by root until 14:30:05 (in 30 min): \"new disk\"; no failover "
                                                        "until it ends. To end it:",
                                                        {"hanatctl auto web"}}));
  service.servers[1].health = "down";
  service.forced->until.reset();
  service.forced->reason.clear();
  EXPECT_THAT(
      notices(service, now),
      ElementsAre(Notice{true, "forced to backup, WHICH IS DOWN, by root; clients are not served. To end it:", {"hanatctl auto web"}}));
}

TEST_F(Notices, EveryOtherNotice) {
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
  EXPECT_THAT(notices(service, now),
              ElementsAre(Notice{false, "observe: traffic stays frozen at primary 10.0.0.11:8443; no failover until mode = \"auto\""}));
}

TEST_F(Notices, ARecoveringServerIsRedundancyAsSoonAsItHasPassedOftenEnough) {
  auto service = failed_over();
  service.servers[0].recovering = RecoveringStatus{.passes = 4, .of = 2, .for_s = 3.14, .stable_for_s = 5};
  service.failback_in_s = 1.86;
  EXPECT_THAT(notices(service, now),
              ElementsAre(Notice{false, "primary is recovering (passes 3.1 of 5 s); it takes over at once if backup fails"},
                          Notice{false, "failback in 1.9 s"}));
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

TEST_F(Notices, AManualFailbackSaysTheCommandsThatEndTheWait) {
  auto service = failed_over();
  service.servers[0] = web().servers[0];
  service.failback = {.mode = "manual", .to = "primary", .waits_for = "operator"};
  EXPECT_THAT(notices(service, now), ElementsAre(Notice{false,
                                                        "primary is up; failback is manual. To move the traffic back:",
                                                        {"hanatctl force-primary web", "hanatctl auto web"}}));
  service.failback.to = "backup";
  EXPECT_THAT(notices(service, now)[0].remedies, ElementsAre("hanatctl force-backup web --server backup", "hanatctl auto web"));
  service.failback = {.mode = "auto", .to = "primary", .waits_for = "after"};
  service.failback_in_s = 43;
  EXPECT_EQ(notices(service, now)[0].text, "failback to primary in 43 s (after of failback). To move the traffic back at once:");
  service.failback_in_s.reset();
  EXPECT_THAT(notices(service, now), IsEmpty());
}

TEST_F(Notices, AFlappingServerHasItsWaitAndWhenItIsForgiven) {
  auto service = failed_over();
  service.servers[0] = web().servers[0];
  service.servers[0].flapping = FlappingStatus{.times = 3, .wait_s = 40, .forgiven_in_s = 1'740};
  service.failback = {.mode = "auto", .to = "primary", .waits_for = "penalty"};
  service.failback_in_s = 31;
  ServiceStatus observed = service;
  observed.mode = "observe";
  EXPECT_THAT(notices(observed, now)[1].text, testing::HasSubstr("primary is flapping: it would have lost the traffic soon after"));
  EXPECT_THAT(
      notices(service, now),
      ElementsAre(Notice{false, "primary is flapping: it lost the traffic soon after it got it, 3 times; it must be up for 40 s to get "
                                "it again; forgiven in 29 min"},
                  Notice{false,
                         "failback to primary in 31 s (penalty of failback). To move the traffic back at once:",
                         {"hanatctl force-primary web", "hanatctl auto web"}}));
}

TEST_F(Notices, NewProbesThatFailAreAProblemAndOnesThatWaitAreNone) {
  auto service = web();
  const ProbeStatus probe{.name = "http 10.0.0.11:8443 GET /", .health = "unknown", .fails = {}, .last = {}};
  service.servers[0].new_probes = NewProbesStatus{.since = to_text(now - std::chrono::minutes{2}), .failing = false, .probes = {probe}};
  const std::string since = local_time(now - std::chrono::minutes{2}, now);
  EXPECT_THAT(notices(service, now),
              ElementsAre(Notice{false, "primary: its new probe (http 10.0.0.11:8443 GET /) has not passed since the reload at " + since +
                                            ": no result yet; its old probes decide until then"}));
  service.servers[0].new_probes->failing = true;
  service.servers[0].new_probes->probes[0].last =
      LastResult{.outcome = "fail", .reason = "wrong-answer", .detail = {}, .wanted = "body with \"okay\""};
  EXPECT_THAT(notices(service, now),
              ElementsAre(Notice{true,
                                 "primary: its new probe (http 10.0.0.11:8443 GET /) has not passed since the reload at " + since +
                                     ": wrong-answer, wanted: body with \"okay\"; its old probes decide until then. If the configuration "
                                     "is wrong, correct it, then:",
                                 {"hanatctl reload"}}));
}

TEST_F(Notices, AFormerTargetIsAProblemWhenNothingElseIsUp) {
  auto service = web();
  ServerStatus former = service.servers[0];
  former.role = service.target = "former";
  former.address = "10.0.0.9:8443";
  former.former_since = to_text(now - std::chrono::minutes{2});
  service.why = "configuration";
  service.servers.push_back(former);
  service.servers[0].health = "unknown";
  const std::string text = "10.0.0.9:8443 is no server of the configuration any more since the reload at " +
                           local_time(now - std::chrono::minutes{2}, now) + ", and keeps the traffic until one that is may have it";
  EXPECT_EQ(notices(service, now)[0], (Notice{false, text}));
  service.servers[0].health = service.servers[1].health = "down";
  EXPECT_EQ(notices(service, now)[0],
            (Notice{true, text + "; none is up. Correct the configuration, or mend the servers, then:", {"hanatctl reload"}}));
}

TEST_F(Notices, AnOutageInDoubtSaysWhatStaysAndForHowLong) {
  auto service = web();
  service.why = "outage-doubted";
  service.servers[0] = server("primary", "10.0.0.11:8443", "down", "timeout", 3);
  service.outage = OutageStatus{.state = "doubted", .for_s = 1.2, .ends_in_s = 2, .new_refused = false};
  EXPECT_EQ(
      notices(service, now)[0],
      (Notice{true, "no server answers for 1.2 s: that may be this gateway's own failure; connections stay at primary for another 2.0 s"}));
  service.outage->new_refused = true;
  service.outage->ends_in_s.reset();
  EXPECT_EQ(notices(service, now)[0].text,
            "no server answers for 1.2 s: that may be this gateway's own failure; connections stay at primary "
            "until the witness answers; new ones are refused");
  service.outage->state = "settling";
  EXPECT_EQ(notices(service, now)[0].text, "servers answer again; primary gets a moment to be up, too");
}

TEST_F(Notices, OffloadWithoutEffectIsANote) {
  auto service = web();
  service.offload = true;
  EXPECT_THAT(notices(service, now), IsEmpty());
  service.offload = false;
  EXPECT_THAT(notices(service, now),
              ElementsAre(Notice{
                  false, "offload = true has no effect: the kernel has no flowtable for it, and connections are forwarded by the rules"}));
}

TEST_F(Notices, AWarningAndASilentWitnessAreNotes) {
  auto service = web();
  service.servers[1].warning = WarningStatus{.reason = "certificate-expires", .detail = "expires in 9 days"};
  service.witness = WitnessStatus{.address = "192.0.2.1", .answers = false};
  EXPECT_THAT(notices(service, now),
              ElementsAre(Notice{false, "backup passes with a warning: certificate-expires (expires in 9 days)"},
                          Notice{false, "the witness 192.0.2.1 does not answer: it cannot tell an outage of the servers from one of this "
                                        "gateway"}));
  service.servers[1].warning.reset();
  service.outage = OutageStatus{.state = "doubted", .for_s = 1.2, .ends_in_s = {}, .new_refused = false};
  EXPECT_EQ(notices(service, now).size(), 1U) << "the notice of the outage tells of the witness";
  service.outage.reset();
  service.witness->answers.reset();
  EXPECT_THAT(notices(service, now), IsEmpty()) << "it was not probed yet";
  service.witness->answers = true;
  EXPECT_THAT(notices(service, now), IsEmpty());
}

TEST_F(Notices, ModeObserveSaysWhereTheTrafficIsAndThatNothingFailsOver) {
  auto service = web();
  service.mode = service.why = "observe";
  service.would_target = "primary";
  service.would_why = "primary-up";
  const std::string standing = "observe: traffic stays frozen at primary 10.0.0.11:8443; no failover until mode = \"auto\". hanat would ";
  EXPECT_THAT(notices(service, now), ElementsAre(Notice{false, standing + "choose the same (primary-up)"}));
  service.would_target = "backup";
  service.would_why = "failover";
  EXPECT_THAT(notices(service, now), ElementsAre(Notice{false, standing + "send new connections to backup 10.0.0.12:8443 (failover)"}));
  service.would_target = "none";
  service.would_why = "no-server-up";
  EXPECT_EQ(notices(service, now)[0].text, standing + "turn clients away: no server is up");

  service.would_why = "starting";
  service.target = "none";
  service.target_address.reset();
  EXPECT_THAT(
      notices(service, now),
      ElementsAre(Notice{false, "observe: hanat sends no traffic anywhere, other rules of this machine decide; no failover by hanat "
                                "until mode = \"auto\". hanat has not decided yet"}));
  service.in_table = true;
  EXPECT_THAT(notices(service, now)[0].text, testing::StartsWith("observe: clients stay turned away; no failover until mode = \"auto\""));
  service.target_address = "10.0.0.99:8443";
  EXPECT_THAT(notices(service, now)[0].text, testing::StartsWith("observe: traffic stays frozen at 10.0.0.99:8443, which is no server of "
                                                                 "this configuration; no failover until mode = \"auto\""));

  service = web();
  service.mode = "observe";
  service.forced = ForcedStatus{.target = "primary", .until = {}, .reason = "", .by = "root"};
  EXPECT_EQ(notices(service, now)[1].text, "forced to primary by root; it has no effect until mode is auto again. To end it:");
}

TEST_F(Notices, AServerThatIsDrainedOnPurposeIsANoteAndNoProblem) {
  auto service = failed_over();
  service.why = "full";
  service.servers[0].health = "full";
  service.servers[0].drains = true;
  service.servers[0].last = LastResult{.outcome = "full", .reason = "full", .detail = "drain # new kernel", .latency_ms = 1, .age_s = 0.4};
  EXPECT_EQ(health_word(service.servers[0]), "drained");
  EXPECT_TRUE(is_moved_on_purpose(service));
  EXPECT_THAT(notices(service, now),
              ElementsAre(Notice{false, "primary is drained: its agent says \"drain # new kernel\"; new connections go elsewhere"},
                          Notice{false, "no redundancy while it is drained: nothing to fail over to if backup fails"}));
  service.servers[0].report =
      ReportStatus{.health = "full", .since = "", .until = "2026-01-31T14:30:05.000Z", .reason = "new kernel", .by = "root"};
  EXPECT_EQ(notices(service, now)[0].text,
            "primary is drained by root until 14:30:05 (in 30 min): new connections go elsewhere: \"new kernel\"");
  service.servers.push_back(server("backup2", "10.0.0.13:8443", "down", "refused", 3));
  EXPECT_EQ(notices(service, now)[0], (Notice{true, "redundancy lost: backup2 is down (refused); nothing to fail over to"}));
  service.servers[1].health = "down";
  service.target = "primary";
  service.why = "full-kept";
  EXPECT_EQ(notices(service, now)[0], (Notice{true, "primary is drained, and no other server may take over: it keeps the traffic"}));
}

TEST_F(Notices, OfADrainWithoutFlowsNothingIsSaid) {
  auto service = web();
  service.draining = {{.server = "backup", .address = "10.0.0.12:8443", .drained = 7, .left = 0, .ends_in_s = 12}};
  EXPECT_THAT(notices(service, now), IsEmpty());
  EXPECT_TRUE(drains_nothing(service));
  service.draining[0].left.reset();
  EXPECT_THAT(notices(service, now)[0].text, testing::StartsWith("draining: old flows, not counted yet, on backup"));
}

TEST_F(Notices, ADisabledServerSaysWhoUntilWhenAndWhatEndsIt) {
  auto service = web();
  service.servers[1].disabled =
      DisabledStatus{.since = "2026-01-31T13:00:00.000Z", .until = "2026-01-31T14:30:05.000Z", .reason = "new disk", .by = "root"};
  EXPECT_THAT(notices(service, now),
              ElementsAre(Notice{false,
                                 "backup is disabled by root until 14:30:05 (in 30 min): \"new disk\"; it is never chosen. To enable it:",
                                 {"hanatctl enable web backup"}},
                          Notice{false, "no redundancy while it is disabled: nothing to fail over to if primary fails"}));
  service.servers.push_back(server("backup2", "10.0.0.13:8443", "up", "connected", 0));
  EXPECT_EQ(notices(service, now).size(), 1U);
  service.servers.pop_back();
  service.target = "none";
  service.why = "no-server-up";
  service.servers[0].health = "down";
  EXPECT_TRUE(notices(service, now)[0].trouble);
  EXPECT_EQ(notices(service, now)[1].text, "no enabled server is up (backup is up, but disabled): clients are turned away until one is");
  service.standby = true;
  EXPECT_EQ(notices(service, now)[1].text, "no enabled server is up (backup is up, but disabled): this gateway is the standby, and would "
                                           "serve nobody if it took over");
  service.standby = false;
  service.mode = service.why = "observe";
  service.would_target = "none";
  service.would_why = "no-server-up";
  EXPECT_THAT(notices(service, now)[1].text,
              testing::HasSubstr("hanat would turn clients away: no enabled server is up (backup is up, but"));
}

TEST_F(Notices, AnOverrideThatEndsWithItsServerSaysSo) {
  auto service = web();
  service.forced = ForcedStatus{.target = "primary", .until = {}, .reason = "", .by = "root", .until_down = true};
  EXPECT_EQ(notices(service, now)[0].text, "forced to primary by root until it goes down; another server takes over then. To end it:");
  service.forced->drill = true;
  EXPECT_THAT(notices(service, now)[0].text, testing::StartsWith("a drill: forced to primary by root until it goes down; another"));
}

TEST_F(Notices, AServerThatIsDownForTheGroupIsNoRedundancy) {
  auto service = web();
  service.group = "voice";
  service.servers[0].group_health = service.servers[1].group_health = "up";
  EXPECT_THAT(notices(service, now), IsEmpty());
  service.servers[1].group_health = "down";
  EXPECT_THAT(notices(service, now),
              ElementsAre(Notice{true, "redundancy lost: backup is up here, but down in the group; nothing to fail over to"}));
  service.target = "none";
  service.why = "no-server-up";
  EXPECT_EQ(notices(service, now)[0].text, "no server is up for all of group voice: clients are turned away until one is");
}

} // namespace
} // namespace hanat::cli
