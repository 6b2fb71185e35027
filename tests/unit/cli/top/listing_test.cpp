// The list: its order, its filter, what is selected and what is in view.
#include "cli/top/listing.hpp"

#include <chrono>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hanat::cli::top {
namespace {

using testing::ElementsAre;

Row row_named(std::string name, Rank rank = Rank::fine, std::string target = "primary") {
  return {.name = std::move(name), .rank = rank, .target = std::move(target), .why = "primary-up"};
}

std::vector<std::string> names_in(Listing& list, std::size_t lines) {
  std::vector<std::string> names;
  for (const Row* row : list.view(lines).rows) names.push_back(row->name);
  return names;
}

Listing listing_of(std::size_t number) {
  std::vector<Row> rows;
  for (std::size_t index = 0; index < number; ++index) rows.push_back(row_named(fmt::format("service-{:05}", index)));
  Listing list;
  list.replace(std::move(rows));
  return list;
}

TEST(TopListing, ProblemsComeFirstThenNames) {
  Listing list;
  list.replace({row_named("web"), row_named("mail", Rank::unserved, "none"), row_named("dns", Rank::note), row_named("api"),
                row_named("shop", Rank::trouble)});
  EXPECT_THAT(names_in(list, 10), ElementsAre("mail", "shop", "dns", "api", "web"));
  EXPECT_EQ(list.number(Rank::fine), 2U);
  EXPECT_EQ(list.at_primary(), 4U);
}

TEST(TopListing, ARowMovesWhenItsRankChanges) {
  Listing list;
  list.replace({row_named("api"), row_named("web")});
  list.update({row_named("web", Rank::unserved, "none")});
  EXPECT_THAT(names_in(list, 10), ElementsAre("web", "api"));
  EXPECT_EQ(list.number(Rank::unserved), 1U);
  EXPECT_EQ(list.at_primary(), 1U);
  list.update({row_named("new")});
  list.remove("api");
  EXPECT_THAT(names_in(list, 10), ElementsAre("web", "new"));
  EXPECT_EQ(list.size(), 2U);
}

TEST(TopListing, TheSelectedServiceStaysSelectedWhenRowsMove) {
  Listing list;
  list.replace({row_named("api"), row_named("dns"), row_named("web")});
  EXPECT_EQ(list.selected()->name, "api");
  list.move(1);
  ASSERT_EQ(list.selected()->name, "dns");
  list.update({row_named("web", Rank::unserved)});
  EXPECT_EQ(list.selected()->name, "dns");
  list.replace({row_named("web", Rank::unserved), row_named("dns", Rank::trouble), row_named("api")});
  EXPECT_EQ(list.selected()->name, "dns");
}

TEST(TopListing, UntilAKeyMovesItTheFirstRowIsSelected) {
  Listing list;
  list.replace({row_named("api"), row_named("web")});
  list.update({row_named("web", Rank::unserved)});
  EXPECT_EQ(list.selected()->name, "web") << "what is wrong is in sight";
  list.move(1);
  list.move_to_first();
  list.update({row_named("api", Rank::unserved)});
  EXPECT_EQ(list.selected()->name, "api");
}

TEST(TopListing, ASelectedServiceThatIsGoneLeavesItsPlace) {
  Listing list;
  list.replace({row_named("a"), row_named("b"), row_named("c")});
  list.move(1);
  list.remove("b");
  EXPECT_EQ(list.selected()->name, "c");
  list.remove("c");
  EXPECT_EQ(list.selected()->name, "a");
  list.remove("a");
  EXPECT_EQ(list.selected(), nullptr);
  list.move(1);
  EXPECT_TRUE(list.view(5).rows.empty());
}

TEST(TopListing, ScrollsAsLittleAsShowsTheSelectedRow) {
  Listing list = listing_of(100);
  EXPECT_EQ(list.view(10).first, 0U);
  list.move(9);
  EXPECT_EQ(list.view(10).first, 0U);
  list.move(1);
  EXPECT_EQ(list.view(10).first, 1U);
  list.move(-5);
  EXPECT_EQ(list.view(10).first, 1U);
  EXPECT_EQ(list.view(10).selected, 4U);
  list.move_to_last();
  EXPECT_EQ(list.view(10).first, 90U);
  EXPECT_EQ(list.view(30).first, 70U) << "a higher screen is filled";
  EXPECT_EQ(list.view(1).rows.size(), 1U);
  EXPECT_EQ(list.view(1).rows.front()->name, "service-00099");
  list.move(1000);
  EXPECT_EQ(list.selected()->name, "service-00099");
  list.move(-1000);
  EXPECT_EQ(list.selected()->name, "service-00000");
}

TEST(TopListing, TheFilterLooksAtEverythingThatIsShown) {
  Listing list;
  Row mail = row_named("mail", Rank::unserved, "none");
  mail.sentence = "no server is up";
  Row web = row_named("Web");
  web.servers = {{.role = "primary", .address = "198.18.1.2:8443", .health = "up"}};
  Row voice = row_named("sip");
  voice.group = "voice";
  list.replace({mail, web, voice});
  const auto with = [&](const std::string& text) {
    list.set_filter(text);
    return names_in(list, 10);
  };
  EXPECT_THAT(with("WEB"), ElementsAre("Web"));
  EXPECT_THAT(with("18.1.2"), ElementsAre("Web"));
  EXPECT_THAT(with("is up"), ElementsAre("mail"));
  EXPECT_THAT(with("voice"), ElementsAre("sip"));
  EXPECT_THAT(with("nothing"), ElementsAre());
  EXPECT_EQ(list.shown(), 0U);
  EXPECT_EQ(list.size(), 3U);
  EXPECT_THAT(with(""), ElementsAre("mail", "Web", "sip"));
}

TEST(TopListing, ARowThatComesToMatchTheFilterAppears) {
  Listing list;
  list.replace({row_named("api"), row_named("web")});
  list.set_filter("backup");
  EXPECT_EQ(list.shown(), 0U);
  list.update({row_named("web", Rank::note, "backup")});
  EXPECT_THAT(names_in(list, 10), ElementsAre("web"));
}

} // namespace
} // namespace hanat::cli::top
