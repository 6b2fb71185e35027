// The keys: none of them changes anything before its question was answered with y.
#include <gmock/gmock.h>

#include "tests/unit/cli/top/screen_fixture.hpp"

namespace hanat::cli::top {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class TopKeys : public TopScreen {
protected:
  TopKeys() { picture.list.move_to_last(); } // web

  Row backup2() {
    Row row = web();
    row.servers.push_back({.role = "backup2", .address = "198.18.1.4:8443", .health = "up"});
    return row;
  }
  void forced() {
    Row row = web();
    row.target = "backup";
    row.forced = "backup";
    picture.list.update({row});
  }
};

TEST_F(TopKeys, ForceAsksNamesServiceServerAndConnectionsAndYDoesIt) {
  const Action count = type("f");
  ASSERT_TRUE(std::holds_alternative<CountOf>(count));
  EXPECT_EQ(std::get<CountOf>(count).service, "web");
  EXPECT_THAT(text(), AllOf(HasSubstr("Force web to backup (198.18.1.3:8443)?"), HasSubstr("NO FAILOVER meanwhile"),
                            HasSubstr("The connections of primary are being counted")));
  take_standing(picture, {.service = "web", .on_forced = "drain 1m", .live = {{"primary", 41}}});
  EXPECT_THAT(flat(), HasSubstr("The 41 connections of primary go on; what is left after 1m is cut (on_forced)."));
  const Action change = type("y");
  ASSERT_TRUE(std::holds_alternative<Change>(change));
  EXPECT_EQ(std::get<Change>(change), (Change{.kind = Change::Kind::force, .service = "web", .server = "backup"}));
  EXPECT_THAT(text(), HasSubstr("Force web backup: hanatd is asked ..."));
  take_answer(picture, {.done = true, .text = "web: traffic goes to backup\nTo end that:\n-> hanatctl auto web\n"});
  EXPECT_THAT(text(), AllOf(HasSubstr("Done."), HasSubstr("web: traffic goes to backup"), HasSubstr("-> hanatctl auto web")));
  type("x");
  EXPECT_TRUE(std::holds_alternative<Browsing>(picture.mode));
}

TEST_F(TopKeys, EveryPolicyForOldConnectionsHasItsWords) {
  type("f");
  const auto with = [&](Standing standing) {
    standing.service = "web";
    take_standing(picture, standing);
    return flat();
  };
  EXPECT_THAT(with({.on_forced = "reset", .live = {{"primary", 2}}}), HasSubstr("The 2 connections of primary are RESET at once"));
  EXPECT_THAT(with({.on_forced = "reset", .live = {{"primary", 1}}}), HasSubstr("The 1 connection of primary is RESET at once"));
  EXPECT_THAT(with({.on_forced = "keep", .live = {{"primary", 2}}}), HasSubstr("The 2 connections of primary stay until they end"));
  EXPECT_THAT(with({.on_forced = "drain 1m", .live = {}}), HasSubstr("primary has no connections now."));
  EXPECT_THAT(with({.failure = "hanatd did not answer"}), HasSubstr("hanatd did not tell: hanatd did not answer"));
  take_standing(picture, {.service = "mail", .on_forced = "reset"});
  EXPECT_THAT(flat(), HasSubstr("hanatd did not tell")) << "of another service";
}

TEST_F(TopKeys, AnyOtherKeyThanYLeavesEverythingAsItIs) {
  for (const Key key : {Key::enter, Key::escape, Key::down, Key::other, Key::backspace}) {
    type("f");
    EXPECT_TRUE(std::holds_alternative<Nothing>(hit(key)));
    EXPECT_TRUE(std::holds_alternative<Browsing>(picture.mode));
  }
  for (const char* letter : {"n", "f", "q", " "}) {
    type("f");
    EXPECT_TRUE(std::holds_alternative<Nothing>(type(letter))) << letter;
  }
  EXPECT_TRUE(std::holds_alternative<Nothing>(type("y"))) << "without a question";
}

TEST_F(TopKeys, OfSeveralBackupsOneIsChosen) {
  picture.list.update({backup2()});
  EXPECT_TRUE(std::holds_alternative<Nothing>(type("f")));
  EXPECT_THAT(text(), AllOf(HasSubstr("Force web to which server?"), HasSubstr("1  primary 198.18.1.2:8443 (up, has the traffic)"),
                            HasSubstr("3  backup2 198.18.1.4:8443 (up)"), HasSubstr("1-3: this server")));
  type("3");
  EXPECT_EQ(std::get<Change>(type("y")).server, "backup2");
  picture.mode = Browsing{};
  type("f4");
  EXPECT_TRUE(std::holds_alternative<Browsing>(picture.mode)) << "there is no fourth";
}

TEST_F(TopKeys, ForceToTheServerThatHasTheTrafficSaysThatNothingMoves) {
  forced();
  type("f2");
  EXPECT_THAT(text(), AllOf(HasSubstr("backup has the traffic already, and keeps it"), Not(HasSubstr("connections"))));
}

TEST_F(TopKeys, AServerThatIsDownIsNamedBefore) {
  picture.list.move_to_first();
  type("f");
  EXPECT_THAT(text(), HasSubstr("Force mail to which server?"));
  type("2");
  EXPECT_THAT(text(), HasSubstr("backup is DOWN: hanatd refuses that."));
}

TEST_F(TopKeys, AutoEndsAnOverrideAndWithoutOneSaysSo) {
  EXPECT_TRUE(std::holds_alternative<Nothing>(type("a")));
  EXPECT_THAT(text(), HasSubstr("web is not forced: hanatd decides already."));
  hit(Key::escape);
  forced();
  type("a");
  EXPECT_THAT(text(), AllOf(HasSubstr("End the override of web to backup (198.18.1.3:8443)?"),
                            HasSubstr("When it moves, the connections of backup")));
  EXPECT_EQ(std::get<Change>(type("y")), (Change{.kind = Change::Kind::release, .service = "web"}));
}

TEST_F(TopKeys, DisableAndEnableAskForTheServerThatCanBe) {
  type("d");
  EXPECT_THAT(text(), HasSubstr("Disable which server of web?"));
  type("1");
  EXPECT_THAT(text(), AllOf(HasSubstr("Disable primary (198.18.1.2:8443) of web?"), HasSubstr("It has the traffic")));
  hit(Key::escape);
  type("e");
  EXPECT_THAT(text(), HasSubstr("no server of web is disabled."));
  hit(Key::escape);
  Row row = web();
  row.servers[1].disabled = true;
  picture.list.update({row});
  type("e");
  EXPECT_THAT(text(), HasSubstr("Enable backup (198.18.1.3:8443) of web?"));
  EXPECT_EQ(std::get<Change>(type("y")), (Change{.kind = Change::Kind::enable, .service = "web", .server = "backup"}));
}

TEST_F(TopKeys, AGroupAndModeObserveAreNamed) {
  Row row = web();
  row.group = "voice";
  row.observed = true;
  picture.list.update({row});
  type("f");
  EXPECT_THAT(text(), AllOf(HasSubstr("Every service of group voice moves with it."), HasSubstr("hanatd moves no traffic")));
}

TEST_F(TopKeys, WithoutHanatdNothingCanBeChanged) {
  picture.lost = "gone";
  for (const char* key : {"f", "a", "d", "e"}) {
    EXPECT_TRUE(std::holds_alternative<Nothing>(type(key)));
    EXPECT_THAT(text(), HasSubstr("nothing can be changed"));
    hit(Key::escape);
  }
}

TEST_F(TopKeys, TheFilterIsTypedKeptAndEnded) {
  type("/wxb");
  hit(Key::backspace);
  hit(Key::backspace);
  type("eb");
  EXPECT_EQ(picture.list.filter(), "web");
  EXPECT_THAT(text(), AllOf(HasSubstr("/web_"), HasSubstr("1 with \"web\""), HasSubstr(">   web"), Not(HasSubstr("mail  "))));
  hit(Key::enter);
  type("/q");
  EXPECT_EQ(picture.list.filter(), "webq") << "q is a letter there";
  EXPECT_THAT(text(), HasSubstr("no service has this text; Escape shows all of them"));
  hit(Key::escape);
  EXPECT_EQ(picture.list.filter(), "web");
  hit(Key::escape);
  EXPECT_EQ(picture.list.filter(), "");
  for (int number = 0; number < 200; ++number) type(number == 0 ? "/" : "x");
  EXPECT_LE(picture.list.filter().size(), 64U);
}

TEST_F(TopKeys, TheSelectionMovesByOneByPagesAndToTheEnds) {
  std::vector<Row> rows;
  for (char letter = 'a'; letter <= 'z'; ++letter)
    rows.push_back({.name = std::string(1, letter), .target = "primary", .why = "primary-up"});
  picture.list.replace(rows);
  picture.page = 10;
  const auto selected = [&] { return picture.list.selected()->name; };
  hit(Key::home);
  hit(Key::down);
  EXPECT_EQ(selected(), "b");
  hit(Key::page_down);
  EXPECT_EQ(selected(), "l");
  type("jk");
  hit(Key::up);
  EXPECT_EQ(selected(), "k");
  hit(Key::page_up);
  EXPECT_EQ(selected(), "a");
  hit(Key::end);
  EXPECT_EQ(selected(), "z");
}

TEST_F(TopKeys, HelpNamesEveryKeyAndQEnds) {
  type("?");
  EXPECT_THAT(text(),
              AllOf(HasSubstr("What the keys do"), HasSubstr("PageUp"), HasSubstr("disable a server"), HasSubstr("only y does it")));
  type("q");
  EXPECT_TRUE(std::holds_alternative<Browsing>(picture.mode)) << "it closes the help";
  EXPECT_TRUE(std::holds_alternative<Quit>(type("q")));
}

TEST_F(TopKeys, AnAnswerThatNobodyWaitsForIsShownAllTheSame) {
  type("fy");
  hit(Key::escape);
  take_answer(picture, {.done = false, .text = "backup is down"});
  EXPECT_THAT(text(), AllOf(HasSubstr("NOT DONE."), HasSubstr("backup is down")));
  type("fy");
  EXPECT_TRUE(std::holds_alternative<Quit>(type("q"))) << "hanatd may hang";
}

TEST_F(TopKeys, OnlyTheNewestEventsAreKept) {
  for (int number = 0; number < 300; ++number) add_events(picture, {{.at = noon, .service = "web", .text = std::to_string(number)}}, false);
  EXPECT_EQ(picture.events.size(), most_events);
  EXPECT_EQ(picture.events.back().text, "299");
  add_events(picture, {{.at = noon, .service = "web", .text = "anew"}}, true);
  EXPECT_EQ(picture.events.size(), 1U);
}

} // namespace
} // namespace hanat::cli::top
