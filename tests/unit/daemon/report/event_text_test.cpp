// What is said of events about services and flows: sentence, level, journal fields, history kind. Not here: the daemon's own
// (event_text_daemon_test), which events are made (make_event_test).
#include "daemon/report/event_text.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/unit/daemon/report/event_values.hpp"

namespace hanat::events {
namespace {

using namespace std::chrono_literals;
using probes::Outcome;
using probes::ProbeResult;

Endpoint address_of(const char* address, std::uint16_t port) { return {.address = Address::parse(address).value(), .port = port}; }
ServerName primary() { return {.role = "primary", .address = address_of("10.0.0.11", 8443)}; }
ServerName backup() { return {.role = "backup", .address = address_of("10.0.0.12", 8443)}; }
ProbeResult refused_result() {
  return {.outcome = Outcome::fail, .reason = probes::Reason::refused, .latency = 210us, .detail = "by the host"};
}

FlipStatus flip_status() {
  return {.at = "2026-01-31T09:59:00.000Z", .from = "primary", .to = "backup", .why = "failover", .commit_us = 14, .cut = {}, .cut_ms = {}};
}

Flipped a_flip() {
  return {.from = primary(), .to = backup(), .reason = Reason::failover, .on_none = OnNone::refuse, .group = {}, .flip = flip_status()};
}

TEST(EventText, AFlipFromAServerThatIsNoLongerConfiguredSaysSo) {
  Flipped flip = a_flip();
  flip.from->role = "none";
  EXPECT_EQ(text(flip),
            "new connections go from 10.0.0.11:8443, which is no longer configured, to backup (10.0.0.12:8443): failover; committed "
            "in 14 us");
  EXPECT_EQ(history_entry_of(web(flip)).value().from_address, "10.0.0.11:8443");
}

TEST(EventText, AFlipSaysWhereFromWhereToAndWhy) {
  EXPECT_EQ(text(a_flip()), "new connections go from primary (10.0.0.11:8443) to backup (10.0.0.12:8443): failover; committed in 14 us");
  EXPECT_EQ(level(a_flip()), Level::warning);
  EXPECT_EQ(fields(a_flip()), (Fields{{"HANAT_SERVICE", "web"},
                                      {"HANAT_FROM", "primary"},
                                      {"HANAT_TO", "backup"},
                                      {"HANAT_WHY", "failover"},
                                      {"HANAT_COMMIT_USEC", "14"}}));
  Flipped grouped = a_flip();
  grouped.group = "voice";
  EXPECT_EQ(text(grouped), text(a_flip()) + "; group voice moves together");
  const auto entry = history_entry_of(web(a_flip()));
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->kind, "flip");
  EXPECT_EQ(entry->service, "web");
  EXPECT_EQ(entry->at, flip_status().at);
  EXPECT_EQ(entry->text, text(a_flip()));
  EXPECT_EQ(entry->flip, flip_status());
}

TEST(EventText, ClientsThatGetNoAnswerTheCauseAndTheEnd) {
  const PathTrouble trouble{.target = primary(), .client = Address::parse("198.18.0.7").value()};
  EXPECT_EQ(text(trouble), "a client (198.18.0.7) gets no answer, although primary (10.0.0.11:8443) passes its probes: something between "
                           "them drops packets; nothing is moved");
  EXPECT_EQ(level(trouble), Level::error);
  EXPECT_EQ(kind(trouble), "path");
  EXPECT_EQ(text(PathTrouble{.target = primary(), .client = {}}).substr(0, 35), "hanatd's own check gets no answer, ");
  PathFinding found{.finding = {.severity = Severity::problem,
                                .code = "forward-drop",
                                .service = "web",
                                .what = "dropped by ip filter FORWARD, policy drop",
                                .remedy = "iptables -P FORWARD ACCEPT",
                                .seen_by = "client 198.18.0.7 by eth0"}};
  EXPECT_EQ(text(found), "clients get no answer: dropped by ip filter FORWARD, policy drop (seen by client 198.18.0.7 by eth0); remedy: "
                         "iptables -P FORWARD ACCEPT");
  EXPECT_EQ(level(found), Level::error);
  EXPECT_EQ(fields(found), (Fields{{"HANAT_SERVICE", "web"}, {"HANAT_FINDING", "forward-drop"}}));
  EXPECT_EQ(kind(found), "path");
  found.finding.severity = Severity::warning;
  EXPECT_EQ(level(found), Level::warning);
  found.finding.severity = Severity::note;
  EXPECT_EQ(level(found), Level::notice);
  EXPECT_EQ(text(PathTroubleEnded{.lasted = 12'340ms, .connections = 37, .answered = true}),
            "clients are answered again; it lasted 12.3 s, and at least 37 connections got no answer");
  EXPECT_EQ(text(PathTroubleEnded{.lasted = 61s, .connections = 1}),
            "no client has gone without an answer for a minute; it lasted 61.0 s, and at least 1 connection got no answer");
  EXPECT_EQ(text(PathTroubleEnded{.lasted = 5s, .answered = true, .target_changed = true}),
            "the target changed or went down: whether clients get an answer is judged anew; it lasted 5.0 s");
  EXPECT_EQ(level(PathTroubleEnded{}), Level::notice);
  EXPECT_EQ(kind(PathTroubleEnded{}), "path");
}

TEST(EventText, AFlipToNoServerSaysWhatClientsGet) {
  Flipped lost = a_flip();
  lost.to.reset();
  lost.reason = Reason::no_server_up;
  EXPECT_EQ(level(lost), Level::error);
  EXPECT_EQ(fields(lost)[2].second, "none");
  const std::string begin =
      "new connections go from primary (10.0.0.11:8443) to no server: no-server-up; committed in 14 us; no server is up";
  EXPECT_EQ(text(lost), begin + ": clients are refused at once");
  lost.on_none = OnNone::drop;
  EXPECT_EQ(text(lost), begin + ": clients' packets are dropped");
  lost.on_none = OnNone::keep;
  lost.group = "voice";
  EXPECT_EQ(text(lost), begin + " for all of group voice: the last target keeps the traffic; group voice moves together");
  lost.standby = true;
  EXPECT_NE(text(lost).find(": this gateway is the standby, and would serve nobody if it took over"), std::string::npos);
  lost.from.reset();
  EXPECT_EQ(text(lost).find("new connections go from no server to no server"), 0U);
}

TEST(EventText, TheReasonOfAFlipIsTheWordOfTheStatus) {
  for (const Reason reason : {Reason::starting, Reason::adopted, Reason::primary_up, Reason::failover, Reason::full, Reason::full_kept,
                              Reason::failback, Reason::recovered, Reason::forced, Reason::drill, Reason::disabled, Reason::observe,
                              Reason::no_server_up, Reason::no_server_up_kept}) {
    Flipped flip = a_flip();
    flip.reason = reason;
    EXPECT_NE(text(flip).find(fmt::format(": {};", to_text(reason))), std::string::npos) << text(flip);
    EXPECT_EQ(fields(flip)[3].second, to_text(reason));
  }
}

TEST(EventText, AServicesFirstTarget) {
  EXPECT_EQ(text(FirstTarget{.to = primary(), .group = {}}), "connections go to primary (10.0.0.11:8443)");
  EXPECT_EQ(text(FirstTarget{.to = {}, .group = {}}), "no server is up: clients are refused at once");
  EXPECT_EQ(text(FirstTarget{.to = {}, .standby = true, .group = {}}),
            "no server is up: this gateway is the standby, and would serve nobody if it took over");
  EXPECT_EQ(text(FirstTarget{.to = {}, .on_none = OnNone::drop, .group = "voice"}),
            "no server is up for all of group voice: clients' packets are dropped");
  EXPECT_EQ(level(FirstTarget{.to = primary(), .group = {}}), Level::notice);
  EXPECT_EQ(level(FirstTarget{.to = {}, .group = {}}), Level::error);
  EXPECT_EQ(fields(FirstTarget{.to = primary(), .group = {}}), (Fields{{"HANAT_SERVICE", "web"}, {"HANAT_TO", "primary"}}));
  EXPECT_EQ(fields(FirstTarget{.to = {}, .group = {}}), (Fields{{"HANAT_SERVICE", "web"}, {"HANAT_TO", "none"}}));
  EXPECT_EQ(kind(FirstTarget{.to = primary(), .group = {}}), "target");
  EXPECT_EQ(history_entry_of(web(FirstTarget{.to = primary(), .group = {}}))->at, "2026-01-31T10:00:00.123Z") << "when it was made";
}

TEST(EventText, WhatWasFoundLoadedAtTheStart) {
  const Endpoint other = address_of("10.0.0.13", 8443);
  const std::string begin = "found loaded rules: ";
  EXPECT_EQ(text(Adopted{.loaded = {.server = primary(), .other = {}}}), begin + "connections stay on primary (10.0.0.11:8443)");
  EXPECT_EQ(text(Adopted{.loaded = {.server = {}, .other = {}, .refused = true}}), begin + "clients stay refused until a server is up");
  EXPECT_EQ(text(Adopted{.loaded = {.server = {}, .other = other}}),
            begin + "their target is not a server of this configuration; the first server that is up takes over");
  EXPECT_EQ(text(Adopted{.loaded = {}}), begin + "they have no target; the first server that is up takes over");
  const std::string observed = ", and that is not touched (mode observe)";
  EXPECT_EQ(text(Adopted{.loaded = {.server = primary(), .other = {}}, .observed = true}),
            begin + "connections stay on primary (10.0.0.11:8443)" + observed);
  EXPECT_EQ(text(Adopted{.loaded = {.server = {}, .other = other}, .observed = true}),
            begin + "connections stay on 10.0.0.13:8443, which is not a server of this configuration" + observed);
  EXPECT_EQ(text(Adopted{.loaded = {.server = {}, .other = {}, .refused = true}, .observed = true}),
            begin + "clients stay refused" + observed);
  EXPECT_EQ(text(Adopted{.loaded = {}, .observed = true}), begin + "nothing is loaded for it" + observed);
  EXPECT_EQ(level(Adopted{}), Level::notice);
  EXPECT_EQ(kind(Adopted{}), "target");
  EXPECT_EQ(fields(Adopted{}), only_the_service);
}

TEST(EventText, WhatModeObserveWouldDo) {
  ShadowMoved moved{.from = {}, .to = primary(), .reason = Reason::primary_up, .last = {}, .loaded = {}, .group = {}};
  EXPECT_EQ(text(moved), "observe: would send connections to primary (10.0.0.11:8443): primary-up; nothing is loaded for it");
  EXPECT_EQ(level(moved), Level::notice);
  EXPECT_EQ(fields(moved), (Fields{{"HANAT_SERVICE", "web"}, {"HANAT_WOULD_TO", "primary"}, {"HANAT_WHY", "primary-up"}}));
  EXPECT_EQ(kind(moved), "target");
  moved = {.from = primary(),
           .to = backup(),
           .reason = Reason::failover,
           .flip_reason = Reason::failover,
           .from_is_down = true,
           .last = refused_result(),
           .loaded = {.server = primary(), .other = {}},
           .group = "voice"};
  EXPECT_EQ(text(moved), "observe: would fail over from primary (10.0.0.11:8443) to backup (10.0.0.12:8443): failover (primary is down: "
                         "refused (by the host)); connections stay on primary (10.0.0.11:8443); group voice moves together");
  moved.from_is_down = false;
  moved.flip_reason = Reason::failback;
  moved.group.clear();
  EXPECT_EQ(text(moved), "observe: would fail back from primary (10.0.0.11:8443) to backup (10.0.0.12:8443): failback; connections stay on "
                         "primary (10.0.0.11:8443)");
  moved.flip_reason = Reason::primary_up;
  EXPECT_EQ(text(moved).find("observe: would go from primary"), 0U);
  moved.to.reset();
  moved.from_is_down = true;
  moved.last.reset();
  EXPECT_EQ(text(moved), "observe: no server is up: would turn clients away (primary is down: no result yet); connections stay on primary "
                         "(10.0.0.11:8443)");
  EXPECT_EQ(level(moved), Level::warning);
  EXPECT_EQ(fields(moved)[1].second, "none");
}

TEST(EventText, TheHealthOfAServer) {
  HealthChanged changed{
      .server = primary(), .health = Health::down, .fails = 3, .within = 10s, .last = refused_result(), .another_up = true};
  EXPECT_EQ(text(changed), "primary (10.0.0.11:8443) is down: 3 failed probes within 10 s, the last: refused (by the host)");
  EXPECT_EQ(level(changed), Level::warning);
  EXPECT_EQ(kind(changed), "health");
  EXPECT_EQ(fields(changed), (Fields{{"HANAT_SERVICE", "web"},
                                     {"HANAT_SERVER", "primary"},
                                     {"HANAT_ADDRESS", "10.0.0.11:8443"},
                                     {"HANAT_HEALTH", "down"},
                                     {"HANAT_REASON", "refused"}}));
  HealthChanged several = changed;
  several.probe = "http 10.0.0.11:8443 GET /";
  several.last =
      probes::ProbeResult{.outcome = probes::Outcome::fail, .reason = probes::Reason::wrong_status, .latency = {}, .detail = "503"};
  several.wanted = "status 200-299";
  EXPECT_EQ(text(several), "primary (10.0.0.11:8443) is down: 3 failed probes (http 10.0.0.11:8443 GET /) within 10 s, the last: "
                           "wrong-status (503), wanted: status 200-299");
  changed.another_up = false;
  changed.fails = 1;
  changed.within = 500ms;
  changed.last->detail.clear();
  EXPECT_EQ(text(changed),
            "primary (10.0.0.11:8443) is down: 1 failed probe within 0.5 s, the last: refused; no other server is known to be up");
  changed.health = Health::unknown;
  EXPECT_EQ(text(changed), "primary (10.0.0.11:8443) is unknown: its probes have not judged it yet; no other server is known to be up");
  EXPECT_EQ(level(changed), Level::warning);
  changed.health = Health::full;
  changed.fails = 3;
  changed.last = probes::ProbeResult{.outcome = probes::Outcome::full, .reason = probes::Reason::full, .latency = 200us, .detail = "503"};
  EXPECT_EQ(text(changed), "primary (10.0.0.11:8443) is full: 3 probes within 0.5 s did not get in, the last: full (503); it keeps its "
                           "connections; no other server is known to be up");
  EXPECT_EQ(level(changed), Level::warning);
  changed.last = refused_result();
  changed.last->detail.clear();
  changed.health = Health::up;
  EXPECT_EQ(text(changed), "primary (10.0.0.11:8443) is up: refused in 0.2 ms");
  EXPECT_EQ(level(changed), Level::notice);
  changed.last.reset();
  EXPECT_EQ(text(changed), "primary (10.0.0.11:8443) is up: no result yet in 0.0 ms");
}

TEST(EventText, Overrides) {
  EXPECT_EQ(text(Forced{.server = backup(), .by = "root", .until = {}, .reason = {}}),
            "forced to backup (10.0.0.12:8443) by root; no failover until `hanatctl auto web`");
  const Forced timed{.server = backup(), .by = "root", .until = made_at, .lasts = std::chrono::minutes{30}, .reason = "kernel update"};
  EXPECT_EQ(text(timed), "forced to backup (10.0.0.12:8443) by root for 30m (kernel update); no failover until then; `hanatctl auto web` "
                         "ends it");
  EXPECT_EQ(history_entry_of(web(timed))->until, to_text(made_at)) << "the moment itself is for who shows it in a time zone";
  EXPECT_EQ(history_entry_of(web(timed))->by, "root");
  EXPECT_EQ(text(OverrideRestored{timed}), "the override to backup (10.0.0.12:8443) by root goes on for another 30m (kernel update); "
                                           "`hanatctl auto web` ends it");
  EXPECT_EQ(kind(OverrideRestored{timed}), "") << "the history has its beginning";
  EXPECT_EQ(text(OverrideWaits{.role = "backup", .by = "root"}),
            "mode is observe now: the override to backup by root is kept, and moves nothing until mode is auto again; `hanatctl auto web` "
            "ends it");
  EXPECT_EQ(text(OverrideEnded{.expired = true}), "the override has expired: health decides again");
  EXPECT_EQ(text(OverrideEnded{.by = "root"}), "the override was ended by root: health decides again");
  EXPECT_EQ(text(OverrideLost{.role = "backup", .by = "root", .reason = "a test"}),
            "no longer configured: its override ends (to backup, by root: a test)");
  EXPECT_EQ(text(OverrideLost{.role = {}, .by = "root", .reason = {}}), "no longer configured: its override ends (by root)");
  EXPECT_EQ(text(OverrideClock{90s}), "this machine's clock shows a time before the override began: the override ends 90 s from now");
  EXPECT_EQ(text(OverrideShared{.owner = "sip", .group = "voice"}),
            "moves together with sip (group voice): the override of sip applies to both");
  for (const Payload& warning : {Payload{Forced{}}, Payload{OverrideWaits{}}, Payload{OverrideLost{}}, Payload{OverrideDropped{}},
                                 Payload{OverrideClock{}}, Payload{OverrideShared{}}})
    EXPECT_EQ(level(warning), Level::warning) << text(warning);
  EXPECT_EQ(level(OverrideEnded{}), Level::notice);
  EXPECT_EQ(kind(Forced{}), "override");
  EXPECT_EQ(kind(OverrideEnded{}), "override");
  EXPECT_EQ(kind(OverrideLost{}), "override");
  EXPECT_EQ(kind(OverrideDropped{}), "override");
  for (const Payload& other : {Payload{OverrideWaits{}}, Payload{OverrideClock{}}, Payload{OverrideShared{}}})
    EXPECT_EQ(kind(other), "") << text(other);
  EXPECT_EQ(fields(Forced{}), only_the_service);
}

TEST(EventText, WhatIsCut) {
  const FlowsCut cut{.flows = "web primary", .cut = {.tcp = 41, .udp = 7, .sctp = 1}, .flip = flip_status()};
  EXPECT_EQ(text(cut), "cut 41 TCP, 7 UDP and 1 SCTP flows of primary; conntrack is clean");
  FlowsCut left = cut;
  left.left = 1;
  EXPECT_EQ(text(left), "cut 41 TCP, 7 UDP and 1 SCTP flows of primary; 1 flow is left: such flows come back after each cut, so another "
                        "rule may send clients there; see nft list ruleset");
  left.left = 2;
  EXPECT_NE(text(left).find("; 2 flows are left: "), std::string::npos);
  const CutCancelled cancelled{.flows = "web primary", .cut = {.tcp = 0, .udp = 7, .sctp = 0}, .flip = flip_status()};
  EXPECT_EQ(text(cancelled), "old flows of primary are no longer cut: 7 UDP flows were, the rest stay where they are");
  for (const Payload& what : {Payload{cut}, Payload{cancelled}}) {
    EXPECT_EQ(level(what), Level::info);
    const auto entry = history_entry_of(web(what));
    ASSERT_TRUE(entry);
    EXPECT_EQ(entry->kind, "cut");
    EXPECT_EQ(entry->at, to_text(web(what).at)) << "its own";
    EXPECT_EQ(entry->flip.value().at, flip_status().at) << "of the flip that it belongs to";
    EXPECT_EQ(entry->flip, flip_status());
  }
  EXPECT_EQ(text(FlowsCut{.flows = "mail primary", .cut = {.tcp = 1}, .flip = {}}), "cut 1 TCP flow of mail primary; conntrack is clean");
  EXPECT_EQ(text(FlowsCut{.flows = "web primary", .cut = {}, .flip = {}}), "cut no flows of primary; conntrack is clean");
  EXPECT_EQ(text(CutCancelled{.flows = "web primary", .cut = {}, .flip = {}}),
            "old flows of primary are no longer cut: they stay where they are");
  EXPECT_EQ(kind(FlowsCut{.flows = "web primary", .cut = {}, .flip = {}}), "") << "of no flip";
  EXPECT_EQ(kind(CutCancelled{.flows = "web primary", .cut = {}, .flip = {}}), "");
}

TEST(EventText, DrainsThatBeginOrEndWell) {
  EXPECT_EQ(text(DrainBegun{.flows = "web primary", .kind = FlowKind::tcp, .lasts = 60s}),
            "old TCP flows of primary drain: those that are left in 60 s are cut");
  EXPECT_EQ(text(DrainBegun{.flows = "web primary", .kind = FlowKind::non_tcp, .lasts = {}}),
            "old UDP and SCTP flows of primary are kept where they are until they end");
  EXPECT_EQ(text(DrainChanged{.flows = "web primary", .kind = FlowKind::tcp, .lasts = 600s, .by = "root"}),
            "old TCP flows of primary drain for another 600 s now: root said so");
  EXPECT_EQ(text(DrainChanged{.flows = "web primary", .kind = FlowKind::non_tcp, .by = "root"}),
            "old UDP and SCTP flows of primary drain no longer: root said so");
  EXPECT_EQ(text(DrainVoid{.flows = "web primary", .kind = FlowKind::tcp}), "primary has the traffic again: its old TCP flows stay");
  const Drained drained{.flows = "web primary", .kind = FlowKind::tcp, .took = 12345ms, .ended = 7, .flip = flip_status()};
  EXPECT_EQ(text(drained), "primary has drained: no old TCP flow is left after 12.3 s, 7 ended by themselves");
  EXPECT_EQ(kind(drained), "cut");
  for (const Payload& notice : {Payload{DrainBegun{}}, Payload{DrainChanged{}}, Payload{DrainVoid{}}, Payload{Drained{}}}) {
    EXPECT_EQ(level(notice), Level::notice) << text(notice);
    EXPECT_EQ(kind(notice), "") << text(notice);
  }
}

TEST(EventText, DrainsThatEndWithACut) {
  DrainEnded ended{.flows = "web primary", .kept = false, .left = 3U, .took = 60s, .end = DrainEnd::time, .flip = flip_status()};
  EXPECT_EQ(text(ended), "3 flows of primary, drained over 60 s, are cut now: the drain time is over");
  EXPECT_EQ(level(ended), Level::notice);
  EXPECT_EQ(kind(ended), "cut");
  ended.left = 1U;
  EXPECT_EQ(text(ended), "1 flow of primary, drained over 60 s, is cut now: the drain time is over");
  ended.left.reset();
  ended.kept = true;
  ended.took = 1s;
  const auto text_with = [&](DrainEnd end) {
    ended.end = end;
    return text(ended);
  };
  const std::string begin = "all flows of primary, kept over 1 s, are cut now: ";
  EXPECT_EQ(text_with(DrainEnd::silent), begin + "the server does not answer in time, and clients would wait for ever");
  EXPECT_EQ(text_with(DrainEnd::dead), begin + "the server is down");
  EXPECT_EQ(text_with(DrainEnd::no_target), begin + "no server has the traffic, and clients are turned away");
  EXPECT_EQ(text_with(DrainEnd::given_up), begin + "the service or this listener is no longer configured");
  ended.others_stay = true;
  EXPECT_EQ(text(ended),
            "some flows of primary, kept over 1 s, are cut now: the service or this listener is no longer configured; the others stay");
  ended.flip.reset();
  EXPECT_EQ(kind(ended), "");
}

TEST(EventText, FlowsThatSomebodyElseMakes) {
  const Vip vip{.address = address_of("203.0.113.10", 0).address, .protocol = Protocol::tcp, .port = 443};
  ForeignFlows found{.vip = vip, .server = address_of("10.0.0.11", 8443), .number = 1};
  EXPECT_EQ(text(found),
            "1 flow of 203.0.113.10:443/tcp is again at 10.0.0.11:8443, after such flows were cut: another program's rule sends "
            "clients there; hanatd leaves them alone");
  found.number = 2;
  found.server.reset();
  EXPECT_EQ(text(found), "2 flows of 203.0.113.10:443/tcp are again untranslated, after such flows were cut: another program's rule sends "
                         "clients there; hanatd leaves them alone");
  EXPECT_EQ(level(found), Level::warning);
  EXPECT_EQ(kind(found), "repair");
}

TEST(EventText, FlowsThatShouldNotBe) {
  UnexpectedFlows found{.number = 1, .server = address_of("10.0.0.11", 8443)};
  EXPECT_EQ(text(found), "found 1 unexpected flow (to 10.0.0.11:8443): it is cut now");
  found.number = 2;
  EXPECT_EQ(text(found), "found 2 unexpected flows (to 10.0.0.11:8443): they are cut now");
  found.several_servers = true;
  EXPECT_EQ(text(found), "found 2 unexpected flows (to 10.0.0.11:8443 and others): they are cut now");
  EXPECT_EQ(text(UnexpectedFlows{.number = 2, .server = {}}), "found 2 unexpected flows (untranslated, to no server): they are cut now");
  EXPECT_EQ(level(found), Level::warning);
  EXPECT_EQ(kind(found), "repair");
  const FlowsNotRecorded not_recorded{
      .flows = "web", .vip = {.address = address_of("203.0.113.10", 0).address}, .error = "No buffer space"};
  EXPECT_EQ(text(not_recorded), "flows of web are not cut: the kernel gave no complete list of them (No buffer space); those that are in "
                                "the way can be deleted by hand: conntrack -D -d 203.0.113.10");
  EXPECT_NE(text(FlowsNotRecorded{}).find("(each dump was interrupted)"), std::string::npos);
  EXPECT_EQ(level(not_recorded), Level::warning);
  EXPECT_EQ(text(ConntrackFailed{.counting = true, .error = "No buffer space", .retry_after = 5s}),
            "counting conntrack entries failed: No buffer space; trying again in 5 s");
  EXPECT_EQ(text(ConntrackFailed{.counting = false, .error = "No buffer space", .retry_after = 5s}),
            "cutting conntrack entries failed: No buffer space; trying again in 5 s");
  EXPECT_EQ(level(ConntrackFailed{}), Level::warning);
}

} // namespace
} // namespace hanat::events
