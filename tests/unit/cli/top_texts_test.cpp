// What hanatd says, as rows of the live screen: the same words as those of hanatctl status.
#include "cli/top_texts.hpp"

#include <gmock/gmock.h>

#include "tests/unit/cli/show_fixture.hpp"

namespace hanat::cli {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class TopTexts : public Show {};

std::string all_of(const top::Row& row) {
  std::string text;
  for (const top::Line& line : row.details) text += line.text + "\n";
  return text;
}

TEST_F(TopTexts, AServiceThatIsFineShowsItsLastResult) {
  const top::Row row = top_row(web(), {}, now);
  EXPECT_EQ(row.rank, top::Rank::fine);
  EXPECT_EQ(row.sentence, "primary-up: connected 0.21 ms, 0.4 s ago");
  EXPECT_THAT(all_of(row), HasSubstr("-> primary 10.0.0.11:8443  up  connected 0.21 ms, 0.4 s ago\n"));
  EXPECT_THAT(row.servers, SizeIs(2));
  EXPECT_EQ(row.since, parse_wall_time("2026-01-31T11:57:05.000Z"));
}

TEST_F(TopTexts, FlowsPerSecondStandWithTheServerThatGetsThem) {
  const top::Row row = top_row(web(), {{"primary", 12.6}, {"backup", 0}}, now);
  EXPECT_THAT(all_of(row), HasSubstr("-> primary 10.0.0.11:8443  up  13 new flows/s  connected 0.21 ms, 0.4 s ago\n"));
  EXPECT_THAT(all_of(row), HasSubstr("   backup 10.0.0.12:8443  up  connected"));
  EXPECT_EQ(row.flows_per_s, 12.6);
  EXPECT_FALSE(top_row(web(), {}, now).flows_per_s) << "not known yet";
}

TEST_F(TopTexts, TheFirstNoticeIsTheSentenceWithoutWhatACommandWouldFollow) {
  auto service = failed_over();
  service.forced = ForcedStatus{.target = "backup", .until = {}, .reason = "disk", .by = "ann"};
  service.servers[0].health = "up";
  const top::Row row = top_row(service, {}, now);
  EXPECT_EQ(row.rank, top::Rank::note);
  EXPECT_EQ(row.sentence, "forced to backup by ann: \"disk\"; no failover until it ends");
  EXPECT_EQ(row.forced, "backup");
  EXPECT_THAT(all_of(row), HasSubstr("-> hanatctl auto web"));
}

TEST_F(TopTexts, ProblemsAndServicesWithoutAServerRankFirst) {
  EXPECT_EQ(top_row(failed_over(), {}, now).rank, top::Rank::trouble);
  auto service = failed_over();
  service.target = "none";
  service.why = "no-server-up";
  const top::Row row = top_row(service, {}, now);
  EXPECT_EQ(row.rank, top::Rank::unserved);
  EXPECT_EQ(row.details.front().style, top::Style::bad);
}

TEST_F(TopTexts, AServerThatIsNoLongerConfiguredCannotBeChosen) {
  auto service = web();
  service.servers[1].former_since = "2026-01-31T11:57:05.000Z";
  EXPECT_THAT(top_row(service, {}, now).servers, SizeIs(1));
}

TEST_F(TopTexts, TheHeadNamesTheMachineAndWhatIsWrongWithHanatd) {
  auto status = with({});
  EXPECT_EQ(top_head(status.daemon, "gw1", now).title, "gw1  hanatd 0.1.0 up 3 d 4 h");
  EXPECT_THAT(top_head(status.daemon, "gw1", now).notices, IsEmpty());
  status.daemon.inconclusive = "no route";
  const auto notices = top_head(status.daemon, "", now).notices;
  ASSERT_THAT(notices, SizeIs(1));
  EXPECT_EQ(notices.front().style, top::Style::bad);
  EXPECT_THAT(notices.front().text, HasSubstr("hanatd cannot probe the servers: no route"));
}

TEST_F(TopTexts, AFlipToNoServerIsTheWorstEvent) {
  HistoryEntry entry{.at = "2026-01-31T13:59:22.000Z", .kind = "flip", .service = "web", .text = "", .flip = failed_over().last_flip};
  EXPECT_EQ(top_event(entry, now).style, top::Style::note);
  EXPECT_THAT(top_event(entry, now).text, HasSubstr("primary -> backup, failover"));
  entry.flip->to = "none";
  EXPECT_EQ(top_event(entry, now).style, top::Style::bad);
}

} // namespace
} // namespace hanat::cli
