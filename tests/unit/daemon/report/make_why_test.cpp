// Which entries of a history led to a target: the near ones, or the last; of the service and its group; each once. Not here: what is in an
// entry (event_text_test), the text (cli/show_why_test).
#include "daemon/report/make_why.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "daemon/api/health_change.hpp"
#include "daemon/api/reload_plan.hpp"

namespace hanat {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::string at(int minute, int second = 0, int millisecond = 0) {
  return fmt::format("2026-01-31T14:{:02}:{:02}.{:03}Z", minute, second, millisecond);
}
HistoryEntry entry(std::string when, std::string kind, std::string service, std::string text) {
  HistoryEntry made;
  made.at = std::move(when);
  made.kind = std::move(kind);
  made.service = std::move(service);
  made.text = std::move(text);
  return made;
}
HistoryEntry flip(const std::string& when, const std::string& from, const std::string& to, const std::string& service = "web") {
  HistoryEntry made = entry(when, "flip", service, from + " -> " + to);
  made.flip = FlipStatus{.at = when, .from = from, .to = to, .why = "failover", .commit_us = 14, .cut = {}, .cut_ms = 1.0};
  return made;
}
HistoryRing ring(std::vector<HistoryEntry> entries) {
  HistoryRing made;
  for (HistoryEntry& one : entries) made.add(std::move(one));
  return made;
}
std::vector<std::string> texts(const WhyReport& report) {
  std::vector<std::string> all;
  for (const HistoryEntry& one : report.chain) all.push_back(one.text);
  return all;
}
WhyReport why(const HistoryRing& history, const std::string& when = {}, const std::set<std::string>& group = {"web"}) {
  return make_why(history, {.service = "web", .at = when, .group = group});
}
HistoryEntry reload(const std::string& when, const std::string& text, const std::string& service = "web") {
  HistoryEntry made = entry(when, "reload", "", text);
  made.reload = ReloadCounts{.added = 0, .changed = 1, .removed = 0};
  made.changes = std::make_shared<const std::vector<ServicePlan>>(std::vector<ServicePlan>{{.service = service, .change = "changed"}});
  return made;
}
HistoryEntry health(const std::string& when, const std::string& server, const std::string& now) {
  HistoryEntry made = entry(when, "health", "web", server + " is " + now);
  made.health = std::make_shared<const HealthChangeStatus>(
      HealthChangeStatus{.server = server, .address = "a", .health = now, .of = 3, .within_s = 10, .observations = {}});
  return made;
}
HistoryEntry first_target(const std::string& when, const std::string& target) {
  HistoryEntry made = entry(when, "target", "web", "connections go to " + target);
  made.target = target;
  return made;
}

const std::vector<HistoryEntry> day = {reload(at(0), "first reload"),
                                       entry(at(1), "health", "web", "primary is up"),
                                       entry(at(1), "target", "web", "first target"),
                                       entry(at(2), "health", "mail", "mail is down"),
                                       entry(at(2, 1), "health", "web", "is down"),
                                       flip(at(2, 1, 1), "primary", "backup"),
                                       entry(at(2, 30), "health", "web", "is up"),
                                       entry(at(3), "override", "web", "forced"),
                                       flip(at(3, 0, 1), "backup", "primary"),
                                       reload(at(9), "last reload")};

TEST(WhyOfAService, IsWhatStoodNearItsLastChange) {
  const WhyReport report = why(ring(day));
  EXPECT_THAT(texts(report), ElementsAre("is up", "forced", "backup -> primary"));
  EXPECT_EQ(report.target, "primary");
  EXPECT_EQ(report.since, at(3, 0, 1));
  ASSERT_TRUE(report.last_reload);
  EXPECT_EQ(report.last_reload->text, "last reload");
  EXPECT_FALSE(report.last_override) << "it is in the chain";
}

TEST(WhyOfAService, AtATimeKnowsNothingOfWhatCameLater) {
  const WhyReport report = why(ring(day), at(2, 59, 999));
  EXPECT_THAT(texts(report), ElementsAre("is down", "primary -> backup", "is up"));
  EXPECT_EQ(report.target, "backup");
  EXPECT_EQ(report.last_reload->text, "first reload");
  EXPECT_FALSE(report.last_override);
  EXPECT_EQ(report.at, at(2, 59, 999));
}

TEST(WhyOfAService, GoesBackToTheLastCauseWhereNoneIsNear) {
  const HistoryRing history = ring({flip(at(1), "primary", "backup"), entry(at(2), "health", "web", "primary is up"),
                                    flip(at(40), "backup", "primary")}); // failback after half an hour
  EXPECT_THAT(texts(why(history)), ElementsAre("primary is up", "backup -> primary"));
}

TEST(WhyOfAService, GoesBackBehindARestartThatKeptTheTarget) {
  const HistoryRing history = ring({entry(at(1), "health", "web", "is down"), flip(at(1, 0, 1), "primary", "backup"),
                                    entry(at(5), "target", "web", "found loaded rules: connections stay on backup")});
  const WhyReport report = why(history);
  EXPECT_THAT(texts(report), ElementsAre("is down", "primary -> backup", "found loaded rules: connections stay on backup"));
  EXPECT_EQ(report.target, "backup");
}

TEST(WhyOfAService, HasTheReloadThatMovedIt) {
  const HistoryRing history = ring({reload(at(1), "moved it"), flip(at(1, 0, 2), "primary", "backup")});
  const WhyReport report = why(history);
  EXPECT_THAT(texts(report), ElementsAre("moved it", "primary -> backup"));
  EXPECT_FALSE(report.last_reload);
}

TEST(WhyOfAService, HasTheMaintenanceThatMovedItAndTheDoubtSinceThen) {
  HistoryEntry left = flip(at(2, 0, 1), "primary", "backup");
  left.flip->why = "disabled";
  const HistoryRing history =
      ring({health(at(1, 30), "backup2", "down"), entry(at(2), "maintenance", "web", "primary is disabled"), left,
            entry(at(3), "maintenance", "mail", "not of this service"), entry(at(4), "maintenance", "web", "primary is enabled again"),
            entry(at(5), "outage", "web", "no server answers")});
  EXPECT_THAT(texts(why(history)),
              ElementsAre("primary is disabled", "primary -> backup", "primary is enabled again", "no server answers"));
}

TEST(WhyOfAService, HasWhatAnotherServiceOfItsGroupLearnt) {
  const HistoryRing history = ring({entry(at(1), "health", "rtp", "rtp primary is down"), entry(at(1), "health", "mail", "mail is down"),
                                    flip(at(1, 0, 1), "primary", "backup", "rtp"), flip(at(1, 0, 1), "primary", "backup")});
  EXPECT_THAT(texts(why(history, {}, {"web", "rtp"})), ElementsAre("rtp primary is down", "primary -> backup"));
  EXPECT_THAT(texts(why(history)), ElementsAre("primary -> backup"));
}

TEST(WhyOfAService, BeforeTheHistoryBeginsIsTakenFromItsFirstFlip) {
  const HistoryRing history = ring({entry(at(1), "health", "web", "is down"), flip(at(2), "primary", "backup")});
  const WhyReport report = why(history, at(1, 30));
  EXPECT_EQ(report.target, "primary");
  EXPECT_THAT(texts(report), ElementsAre("is down"));
  EXPECT_EQ(why(ring({}), at(1)).target, "");
  EXPECT_THAT(why(ring({}), at(1)).chain, IsEmpty());
}

TEST(WhyOfAService, OfAMinuteHasEveryMoveOfThatMinuteWithItsCauses) {
  HistoryEntry recovered = flip(at(2, 40, 1), "none", "primary");
  recovered.flip->why = "recovered";
  const HistoryRing history =
      ring({flip(at(1), "backup", "primary"), health(at(2, 1), "primary", "down"), flip(at(2, 1, 1), "primary", "backup"),
            health(at(2, 20), "backup", "down"), flip(at(2, 20, 1), "backup", "none"), health(at(2, 40), "primary", "up"), recovered,
            flip(at(3, 10), "primary", "backup")});
  const WhyReport report = make_why(history, {.service = "web", .from = at(2), .at = at(2, 59, 999), .group = {"web"}});
  EXPECT_THAT(texts(report),
              ElementsAre("primary is down", "primary -> backup", "backup is down", "backup -> none", "primary is up", "none -> primary"));
  EXPECT_EQ(report.target, "primary");
  EXPECT_EQ(report.since, at(2, 40, 1));
  const WhyReport quiet = make_why(history, {.service = "web", .from = at(1, 30), .at = at(1, 59), .group = {"web"}});
  EXPECT_EQ(quiet.since, at(1)) << "nothing moved then: the move before";
}

TEST(WhyOfAService, HasNoFactsThatExplainNothing) {
  HistoryEntry refused = entry(at(2), "reload", "", "reload refused");
  const HistoryRing history =
      ring({reload(at(0), "a reload"), health(at(1), "backup", "down"), health(at(1, 30), "backup", "up"),
            health(at(1, 59), "primary", "down"), refused, reload(at(2), "of another", "mail"), flip(at(2, 0, 1), "primary", "backup"),
            entry(at(3), "path", "web", "clients get no answer"),
            entry(at(3, 9), "path", "web", "clients are answered again; it lasted 9 s"), health(at(4), "primary", "up"),
            health(at(5), "primary", "down"), health(at(6), "primary", "up"), entry(at(7), "path", "web", "clients get no answer")});
  const WhyReport report = why(history);
  EXPECT_THAT(texts(report), ElementsAre("primary is down", "primary -> backup", "primary is up", "clients get no answer"));
  EXPECT_EQ(report.chain[2].at, at(6)) << "the newest";
  EXPECT_EQ(report.chain[3].at, at(7)) << "the trouble that is not over";
  ASSERT_TRUE(report.last_reload);
  EXPECT_EQ(report.last_reload->text, "of another") << "the last that was accepted";
}

TEST(WhyOfAService, OfItsFirstTargetIsWhereItIs) {
  HistoryEntry shadow = entry(at(3), "target", "web", "observe: would send connections to backup");
  const HistoryRing history =
      ring({health(at(1), "primary", "down"), health(at(1, 1), "backup", "up"), first_target(at(1, 2), "backup"), shadow});
  const WhyReport report = why(history, at(4));
  EXPECT_EQ(report.target, "backup");
  EXPECT_EQ(report.since, at(1, 2)) << "what mode observe would do sets nothing";
  EXPECT_THAT(texts(report), ElementsAre("primary is down", "backup is up", "connections go to backup"));
  EXPECT_EQ(why(history, at(1)).target, "") << "there was none before";
  EXPECT_EQ(report.known_from, at(1));
  HistoryEntry adopted = first_target(at(1), "backup");
  adopted.text = "found loaded rules: connections stay on backup";
  EXPECT_EQ(why(ring({entry(at(0), "health", "web", "x"), adopted}), at(0, 30)).target, "backup") << "a restart keeps what is loaded";
}

TEST(WhyOfAnObservedService, IsWhatLedToWhereItWouldBe) {
  HistoryEntry go = entry(at(2, 1), "target", "web", "observe: would send connections to primary");
  HistoryEntry over = entry(at(5, 1), "target", "web", "observe: would fail over from primary to backup");
  const HistoryRing history = ring({first_target(at(1), "backup"), reload(at(1, 59), "to observe"), health(at(2), "primary", "up"), go,
                                    health(at(4), "backup", "down"), health(at(4, 30), "backup", "up"), health(at(5), "primary", "down"),
                                    over, health(at(6), "primary", "up")});
  const WhyReport report = make_why(history, {.service = "web", .group = {"web"}, .observed = true});
  EXPECT_THAT(texts(report), ElementsAre("backup is up", "primary is down", over.text, "primary is up"));
  EXPECT_EQ(why(history).target, "backup") << "what it would do sets nothing";
}

TEST(WhyOfAService, IsBounded) {
  std::vector<HistoryEntry> many{flip(at(0), "primary", "backup")};
  for (int number = 0; number < 1'000; ++number) many.push_back(entry(at(1, number / 20 % 60, number % 20), "health", "web", "is down"));
  const WhyReport report = why(ring(many));
  EXPECT_LE(report.chain.size(), 24U);
  EXPECT_EQ(report.chain.size() + report.omitted, many.size());
  EXPECT_EQ(report.chain.front().text, "primary -> backup");
}

TEST(WhyOfAllServices, NamesThoseThatChangedBefore) {
  EXPECT_THAT(services_changed_before(ring(day), {.at = at(2, 59)}, 8), ElementsAre("web", "mail"));
  EXPECT_THAT(services_changed_before(ring(day), {.at = at(2, 59)}, 1), ElementsAre("web"));
  EXPECT_THAT(services_changed_before(ring(day), {.at = at(20)}, 8), IsEmpty());
  EXPECT_THAT(services_changed_before(ring(day), {.from = at(0), .at = at(20)}, 8), ElementsAre("web", "mail")) << "a whole day";
}

} // namespace
} // namespace hanat
