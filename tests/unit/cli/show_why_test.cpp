// The screens of why, on 80 columns, in the time zone UTC. Not here: which entries they have (report/make_why_test).
#include "cli/show_why.hpp"

#include <gmock/gmock.h>

#include "daemon/api/reload_plan.hpp"
#include "tests/golden/golden.hpp"
#include "tests/unit/cli/show_fixture.hpp"

namespace hanat::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

ObservationStatus observed(const char* at, const char* kind, const char* reason, std::uint64_t count = 0, std::uint64_t of = 0) {
  ObservationStatus made;
  made.at = std::string{"2026-01-31T"} + at + "Z";
  made.kind = kind;
  made.server = "primary";
  made.reason = reason;
  made.count = count;
  made.of = of;
  if (made.kind != "event") made.probe = "tcp 10.0.0.11:8443";
  return made;
}

HistoryEntry entry(const char* at, const char* kind, const char* text) {
  HistoryEntry made;
  made.at = std::string{"2026-01-31T"} + at + "Z";
  made.kind = kind;
  made.service = "web";
  made.text = text;
  return made;
}

HistoryEntry went_down() {
  HistoryEntry made = entry("13:59:21.999", "health", "primary (10.0.0.11:8443) is down: 3 failed probes within 10 s");
  made.health = std::make_shared<const HealthChangeStatus>(
      HealthChangeStatus{.server = "primary",
                         .address = "10.0.0.11:8443",
                         .health = "down",
                         .of = 3,
                         .within_s = 10,
                         .observations = {observed("13:59:21.920", "event", "refused"), observed("13:59:21.931", "fail", "refused", 1, 3),
                                          observed("13:59:21.999", "fail", "refused", 3, 3)}});
  return made;
}
HistoryEntry came_up() {
  HistoryEntry made = entry("14:00:05.000", "health", "primary is up");
  made.health = std::make_shared<const HealthChangeStatus>(HealthChangeStatus{
      .server = "primary",
      .address = "10.0.0.11:8443",
      .health = "up",
      .of = 2,
      .within_s = 5,
      .observations = {observed("13:59:59.900", "pass", "connected", 1, 2), observed("14:00:04.950", "pass", "connected", 6, 2)}});
  return made;
}
HistoryEntry flipped() {
  HistoryEntry made = entry("13:59:22.000", "flip", "new connections go from primary to backup");
  made.flip = failed_over().last_flip;
  made.from_address = "10.0.0.11:8443";
  made.to_address = "10.0.0.12:8443";
  return made;
}
HistoryEntry reloaded() {
  HistoryEntry made = entry("13:55:02.000", "reload", "configuration read again");
  made.service = "";
  made.by = "root";
  made.reload = ReloadCounts{.added = 0, .changed = 1, .removed = 0};
  made.changes = std::make_shared<const std::vector<ServicePlan>>(std::vector<ServicePlan>{
      {.service = "web", .change = "changed", .keys = {{.key = "probe.body", .before = "\"ok\"", .after = "\"okay\""}}}});
  return made;
}

WhyReport now_at_backup() {
  WhyReport report;
  report.service = "web";
  report.status = failed_over();
  report.target = report.status->target;
  report.why = report.status->why;
  report.since = report.status->since;
  report.chain = {went_down(), flipped()};
  report.last_reload = reloaded();
  return report;
}

constexpr std::size_t screen = 80;
View view() { return {.colour = false, .now = now, .width = screen}; }

void expect_lines_fit(const std::string& text) {
  std::istringstream lines{text};
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), screen) << line;
}

class ShowWhy : public Show {};

TEST_F(ShowWhy, TellsTheWayFromTheFirstSignToTheFlip) {
  const std::string text = show_why(now_at_backup(), Detail::full, view());
  test::expect_golden("why.txt", text);
  expect_lines_fit(text);
}

TEST_F(ShowWhy, TellsWhatFailbackWaitsForAndTheWordThatEndsTheWait) {
  WhyReport report = now_at_backup();
  report.status->servers[0] = server("primary", "10.0.0.11:8443", "up", "connected", 0);
  report.status->failback = {.mode = "manual", .to = "primary", .waits_for = "operator"};
  report.chain.push_back(came_up());
  report.last_override = entry("12:00:00.000", "override", "the override was ended by root: health decides again");
  const std::string text = show_why(report, Detail::full, view());
  test::expect_golden("why_failback.txt", text);
  expect_lines_fit(text);
  EXPECT_THAT(text, HasSubstr("hanatctl force-primary web"));
}

TEST_F(ShowWhy, OfAnEarlierTimeHasNoPresentState) {
  WhyReport report = now_at_backup();
  report.status.reset();
  report.at = "2026-01-31T13:59:59.999Z";
  report.last_reload.reset();
  report.chain.insert(report.chain.begin(), reloaded());
  const std::string text = show_why(report, Detail::full, view());
  test::expect_golden("why_at.txt", text);
  expect_lines_fit(text);
}

TEST_F(ShowWhy, OfAMinuteCountsItsMoves) {
  WhyReport report = now_at_backup();
  report.status.reset();
  report.from = "2026-01-31T13:59:00.000Z";
  report.at = "2026-01-31T13:59:59.999Z";
  report.omitted = 3;
  EXPECT_THAT(show_why(report, Detail::full, view()), HasSubstr("web was at BACKUP 10.0.0.12:8443 at 13:59:59, since 13:59:22"));
  report.chain.push_back(flipped());
  const std::string text = show_why(report, Detail::full, {.colour = false, .now = now});
  EXPECT_THAT(text, HasSubstr("web moved 2 times from 13:59:00 to 13:59:59, and then was at BACKUP 10.0.0.12:8443 (failover), because\n"));
  EXPECT_THAT(text, HasSubstr("\n  (3 more, older, are left out)\n"));
}

TEST_F(ShowWhy, InBriefHasTheLastTwoSteps) {
  const std::string text = show_why(now_at_backup(), Detail::overview, view());
  EXPECT_THAT(text, HasSubstr("is down"));
  EXPECT_THAT(text, HasSubstr("flip primary 10.0.0.11:8443 -> backup 10.0.0.12:8443"));
  EXPECT_THAT(text, Not(HasSubstr("1 of 3")));
  EXPECT_THAT(text, Not(HasSubstr("Besides")));
}

TEST_F(ShowWhy, TellsEachFactOnceInOrderAndSafely) {
  WhyReport report = now_at_backup();
  report.pending = {observed("14:00:01.000", "fail", "timeout", 1, 3)};
  report.pending[0].detail = "\x1b[2J";
  const std::string text = show_why(report, Detail::full, view());
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  std::istringstream lines{text};
  std::string before;
  for (std::string line; std::getline(lines, line);) {
    if (line.size() < 14 || line[4] != ':' || line[10] != '.') continue;
    EXPECT_LE(before, line.substr(2, 12)) << text;
    before = line.substr(2, 12);
  }
  EXPECT_EQ(text.find("3 of 3"), text.rfind("3 of 3"));
}

/// Its target is what hanatd sets, so it has none: that is no outage.
TEST_F(ShowWhy, OfAnObservedServiceTellsWhereItWouldBe) {
  WhyReport report = now_at_backup();
  report.status->mode = "observe";
  report.target = report.status->target = "none";
  report.why = report.status->why = "observe";
  report.status->target_address.reset();
  report.status->would_target = "backup";
  report.status->would_why = "failover";
  report.chain = {went_down(), entry("13:59:22.000", "target", "observe: would fail over from primary to backup: failover")};
  const auto text = [&] { return show_why(report, Detail::full, view()); };
  test::expect_golden("why_observed.txt", text());
  expect_lines_fit(text());
  EXPECT_THAT(text(), Not(HasSubstr("NO SERVER")));
  report.chain.clear();
  const auto head = [&] { return show_why(report, Detail::overview, {.colour = false, .now = now}); };
  const std::string begin =
      "web (203.0.113.10:443/tcp) is only observed: hanat sends no traffic anywhere, other rules of this machine decide; "
      "no failover by hanat until mode = \"auto\". hanat ";
  report.status->would_target = "none";
  report.status->would_why = "no-server-up";
  EXPECT_EQ(head(), begin + "would turn clients away (no-server-up)\n");
  report.status->would_why = "starting";
  EXPECT_EQ(head(), begin + "has not decided yet where it would go\n");
}

TEST_F(ShowWhy, WithoutAHistorySaysSo) {
  WhyReport report;
  report.service = "web";
  report.at = "2026-01-31T13:59:59.999Z";
  EXPECT_THAT(show_why(report, Detail::full, view()), HasSubstr("web: the history does not say where it was at 13:59:59\n"));
  report.known_from = "2026-01-31T14:00:01.000Z";
  EXPECT_THAT(show_why(report, Detail::full, {.colour = false, .now = now}), HasSubstr("; its first entry is of 14:00:01\n"));
}

} // namespace
} // namespace hanat::cli
