// What is said of a drill: that it went well, and everything that may go otherwise. Not here: a real one (tests/netns/cli/drill_test).
#include "cli/drill_report.hpp"
#include "cli/show_drill.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "tests/unit/cli/show_fixture.hpp"

namespace hanat::cli {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr int hanatd_pid = 7;

FlipStatus flip_at(WallTime at, const char* from, const char* to, const char* why) {
  return {.at = to_text(at), .from = from, .to = to, .why = why, .commit_us = 14, .cut = {}, .drain_ends_in_s = {}, .cut_ms = 1.5};
}
HistoryEntry entry_of(const FlipStatus& flip) { return {.at = flip.at, .kind = "flip", .service = "web", .text = "moved", .flip = flip}; }
HistoryEntry override_entry(const char* text) {
  return {.at = to_text(now), .kind = "override", .service = "web", .text = text, .flip = {}};
}

/// A drill of 30 s: the report, and what hanatd would say at each moment.
class Drill : public Show {
protected:
  DrillObserver report{"web", "backup", now, 2};
  FlipStatus there = flip_at(now + 5ms, "primary", "backup", "drill"), back = flip_at(now + 30s, "backup", "primary", "failback");

  ServiceStatus running() const {
    ServiceStatus status = web();
    status.target = "backup";
    status.why = "drill";
    status.forced =
        ForcedStatus{.target = "backup", .until = to_text(now + 30s), .reason = "", .by = "root", .until_down = true, .drill = true};
    status.last_flip = there;
    return status;
  }
  ServiceStatus over() const {
    ServiceStatus status = web();
    status.last_flip = back;
    return status;
  }
  static ConnectionsReport connections(std::uint64_t at_backup) {
    ConnectionsReport counted{.service = "web", .servers = {{}, {}}, .list = {}};
    counted.servers[0].role = "primary";
    counted.servers[1].role = "backup";
    counted.servers[0].counts.established = 99;
    counted.servers[1].counts.established = at_backup;
    return counted;
  }
  std::string text() const { return show_drill(report.seen(), now); }
};

TEST_F(Drill, ThatWentWellSaysWhatItDid) {
  there.cut.tcp = 3;
  there.drained = 2;
  there.left = 41;
  EXPECT_EQ(report.look(running(), hanatd_pid, now + 10ms), DrillObserver::State::running);
  report.look(connections(2), now + 10ms);
  EXPECT_FALSE(report.first_served());
  report.look(connections(3), now + 30ms);
  ServiceStatus later = running();
  later.servers[1].new_flows = 250;
  report.look(later, hanatd_pid, now + 2s);
  EXPECT_TRUE(report.first_served());
  EXPECT_FALSE(report.has_ended());
  back.cut.tcp = 7;
  EXPECT_EQ(report.look(over(), hanatd_pid, now + 30s + 10ms), DrillObserver::State::over);
  EXPECT_TRUE(report.is_complete());
  EXPECT_TRUE(report.seen().passed());
  report.add({override_entry("a drill: forced to backup"), entry_of(there), override_entry("the override has expired"), entry_of(back)});
  EXPECT_TRUE(report.seen().passed());
  EXPECT_EQ(text(), "web: the drill is over after 30 s: primary (10.0.0.11:8443) has the traffic again\n"
                    "  to backup (10.0.0.12:8443) at 14:00:05: committed in 14 us\n"
                    "  first new connection served there: 5 to 25 ms after that; at least 250 went there\n"
                    "  connections of primary: 3 reset, 2 ended by themselves, 41 went on there\n"
                    "  no client was seen without an answer, and none refused\n"
                    "  back at 14:00:35: committed in 14 us; connections of backup: 7 reset\n");
  const nlohmann::json values = drill_json(report.seen());
  EXPECT_EQ(values.at("ended"), "time");
  EXPECT_EQ(values.at("first_served_ms"), 25);
  EXPECT_EQ(values.at("first_served_after_ms"), 5);
  EXPECT_EQ(values.at("move").at("cut").at("tcp"), 3);
  EXPECT_EQ(values.at("way_back").at("why"), "failback");
  EXPECT_EQ(values.at("passed"), true);
}

TEST_F(Drill, WithoutClientsSaysSo) {
  report.look(running(), hanatd_pid, now);
  report.look(connections(2), now);
  report.look(connections(1), now);
  report.look(over(), hanatd_pid, now + 30s);
  EXPECT_THAT(text(), AllOf(HasSubstr("no new connection was seen there: drill again while clients connect"),
                            HasSubstr("connections of primary: none\n")));
  EXPECT_TRUE(drill_json(report.seen()).at("first_served_ms").is_null());
  EXPECT_TRUE(report.seen().passed()) << "the traffic was there, and is back";
}

TEST_F(Drill, WhoseClientsWereNotServedSaysHowManyWentThere) {
  ServiceStatus status = running();
  status.servers[1].new_flows = 100; // before it began
  report.look(status, hanatd_pid, now);
  status.servers[1].new_flows = 107;
  report.look(status, hanatd_pid, now + 1s);
  EXPECT_THAT(show_drill(report.seen(), now), HasSubstr("  new connections: at least 7 went there, and none was seen to be served\n"));
}

TEST_F(Drill, CountsNoConnectionBeforeAnybodyHasCounted) {
  DrillObserver uncounted{"web", "backup", now, std::nullopt};
  uncounted.look(running(), hanatd_pid, now);
  uncounted.look(connections(5), now);
  EXPECT_FALSE(uncounted.first_served()) << "they may be older";
  uncounted.look(connections(6), now + 40ms);
  EXPECT_TRUE(uncounted.first_served());

  DrillObserver late{"web", "backup", now, std::nullopt};
  ServiceStatus status = running();
  status.servers[1].new_flows = 100; // before it began
  late.look(status, hanatd_pid, now);
  late.look(connections(5), now);
  EXPECT_FALSE(late.first_served());
  status.servers[1].new_flows = 101;
  late.look(status, hanatd_pid, now + 1s);
  late.look(connections(5), now + 1s);
  EXPECT_TRUE(late.first_served()) << "a flow is new, and it was among them when they were first counted";
}

TEST_F(Drill, CountsTheClientsInTroubleSinceItBeganOverARestartToo) {
  ServiceStatus status = running();
  status.totals.clients_unanswered = 100;
  status.totals.clients_refused = 5;
  report.look(status, hanatd_pid, now);
  status.totals.clients_unanswered = 103;
  report.look(status, hanatd_pid, now + 1s);
  status.totals.clients_unanswered = 4; // of another hanatd
  status.totals.clients_refused = 1;
  report.look(status, hanatd_pid + 1, now + 2s);
  report.look(connections(9), now + 2s);
  EXPECT_FALSE(report.first_served()) << "one that is refused is closing, too";
  EXPECT_THAT(text(),
              HasSubstr("connections without an answer: 7; refused: 1 (at least; hanatctl doctor web looks why), counted anew since "
                        "hanatd restarted meanwhile\n"));
  EXPECT_EQ(drill_json(report.seen()).at("restarted"), true);
}

TEST_F(Drill, ThatSomebodyEndedHasNotPassed) {
  report.look(running(), hanatd_pid, now);
  back = flip_at(now + 4s, "backup", "primary", "failback");
  report.look(over(), hanatd_pid, now + 4s);
  report.add({override_entry("the override was ended by ann: health decides again")});
  EXPECT_FALSE(report.seen().passed());
  EXPECT_THAT(
      text(),
      HasSubstr("web: the drill ended after 4.0 s, before its time (the override was ended by ann: health decides again): primary"));
  EXPECT_EQ(drill_json(report.seen()).at("ended"), "early");
  report.interrupted();
  EXPECT_THAT(text(), HasSubstr("web: the drill was interrupted after 4.0 s: primary (10.0.0.11:8443) has the traffic again\n"));
  EXPECT_EQ(drill_json(report.seen()).at("ended"), "interrupted");
}

TEST_F(Drill, WhoseBackupFailedNamesEveryMove) {
  report.look(running(), hanatd_pid, now);
  ServiceStatus status = web();
  status.target = "none";
  status.why = "no-server-up";
  status.last_flip = flip_at(now + 2s, "backup", "none", "no-server-up");
  report.look(status, hanatd_pid, now + 2s);
  report.add({entry_of(there), entry_of(*status.last_flip)});
  EXPECT_FALSE(report.seen().is_back());
  EXPECT_FALSE(report.seen().passed());
  EXPECT_THAT(text(), AllOf(HasSubstr(": no server has the traffic (no-server-up): see hanatctl why web\n"),
                            HasSubstr("  !  14:00:07: backup -> none (no-server-up)\n"), Not(HasSubstr("back at"))));
}

TEST_F(Drill, ThatMovedNothingSaysSo) {
  ServiceStatus waits = web();
  waits.forced = running().forced;
  EXPECT_EQ(report.look(waits, hanatd_pid, now), DrillObserver::State::moving);
  waits.forced.reset();
  report.look(waits, hanatd_pid, now + 30s);
  EXPECT_FALSE(report.seen().passed());
  EXPECT_THAT(text(), HasSubstr("  the traffic never went to backup (10.0.0.12:8443)\n"));
}

TEST_F(Drill, OfAServiceThatAReloadRemovedIsOver) {
  report.look(running(), hanatd_pid, now);
  report.removed(now + 3s);
  EXPECT_TRUE(report.has_ended());
  EXPECT_TRUE(report.is_complete());
  EXPECT_FALSE(report.seen().passed());
  EXPECT_EQ(text(), "web: a reload removed the service 3.0 s after the drill began\n");
}

TEST_F(Drill, SaysWhatIsNotKnown) {
  there.left.reset();
  there.cut.tcp = 1;
  report.look(running(), hanatd_pid, now);
  EXPECT_THAT(text(), HasSubstr("web: the drill has not ended: backup (10.0.0.12:8443) has the traffic (drill)"));
  EXPECT_THAT(text(), HasSubstr("connections of primary: 1 reset, the rest is not counted\n"));
  EXPECT_TRUE(drill_json(report.seen()).at("ended").is_null());
}

TEST_F(Drill, LeavesConnectionsThatDrainAtTheBackup) {
  report.look(running(), hanatd_pid, now);
  back.left = 5;
  back.drain_ends_in_s = 60;
  back.cut_ms.reset();
  report.look(over(), hanatd_pid, now + 30s);
  EXPECT_FALSE(report.is_complete());
  EXPECT_TRUE(report.seen().is_back());
  EXPECT_THAT(text(), HasSubstr("connections of backup: 5 drain, 1 min at most\n"));
}

} // namespace
} // namespace hanat::cli
