// The picture on screens of every size.
#include <clocale>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "cli/top/cells.hpp"
#include "tests/unit/cli/top/screen_fixture.hpp"

namespace hanat::cli::top {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::Each;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class TopDraw : public TopScreen {};

TEST_F(TopDraw, ProblemsStandFirstThenTheOthersThenTheSelectedOneThenEvents) {
  picture.events = {{.at = noon - std::chrono::seconds{43}, .service = "mail", .text = "primary is down: refused"}};
  const auto lines = texts();
  EXPECT_THAT(lines[0], StartsWith("12:00:00  gw1  hanatd 0.1.0 up 3 d 4 h"));
  EXPECT_EQ(lines[1], "1 problem; 1 of 2 services at their primary");
  EXPECT_THAT(lines[2], StartsWith("    SERVICE TARGET  SINCE  FLOWS/S WHAT"));
  EXPECT_EQ(lines[3], ">!! mail    none    43s            no server is up: clients are turned away unt~");
  EXPECT_EQ(lines[4], "    web     primary 2h03m  3.4     primary-up: connected 0.21 ms, 0.4 s ago");
  EXPECT_THAT(lines, Contains(StartsWith("-- mail ---")));
  EXPECT_EQ(lines[22], "11:59:17 mail  primary is down: refused");
  EXPECT_THAT(lines[23], HasSubstr("q quit  ? help  / filter  f force  a auto  d disable  e enable"));
}

TEST_F(TopDraw, EverySizeIsFilledExactly) {
  picture.head.notices = {{.text = "!! hanatd cannot probe the servers: no route; no failover until it can", .style = Style::bad}};
  for (int number = 0; number < 30; ++number) picture.events.push_back({.at = noon, .service = "web", .text = "something happened here"});
  for (const char* keys : {"", "f", "?", "/we", "d"}) {
    picture.mode = Browsing{};
    type(keys);
    for (std::size_t rows = 0; rows <= 30; ++rows)
      for (std::size_t columns = 1; columns <= 100; columns += 3) {
        const auto lines = texts({rows, columns});
        ASSERT_EQ(lines.size(), rows);
        for (const std::string& line : lines) ASSERT_LE(columns_of(line), columns) << rows << "x" << columns << ": " << line;
      }
  }
}

TEST_F(TopDraw, ASmallScreenShowsTheSelectedServiceAndTheKeys) {
  const auto lines = texts({10, 40});
  EXPECT_THAT(lines, Contains(StartsWith(">!! mail")));
  EXPECT_THAT(lines, Contains(StartsWith("    web ")));
  EXPECT_THAT(lines.back(), StartsWith(" q quit  ? help  / filter"));
  EXPECT_THAT(texts({3, 40}), Contains(StartsWith(">!! mail"))) << "the smallest one that shows anything of the list";
}

TEST_F(TopDraw, AQuestionIsWholeAtFortyByTenWithTheServiceInSight) {
  type("f2");
  EXPECT_THAT(text({10, 40}), AllOf(HasSubstr(">!! mail"), HasSubstr("Force mail to backup (198.18.1.3:27)?"), HasSubstr("y: do it")));
}

TEST_F(TopDraw, AThousandServicesScrollAndSayWhereTheyAre) {
  std::vector<Row> rows;
  for (int number = 0; number < 1000; ++number)
    rows.push_back({.name = fmt::format("service-{:04}", number), .target = "primary", .why = "primary-up", .since = noon});
  picture.list.replace(std::move(rows));
  hit(Key::end);
  EXPECT_THAT(text(), AllOf(HasSubstr(">   service-0999"), HasSubstr(" of 1000")));
  hit(Key::home);
  text();
  hit(Key::page_down);
  EXPECT_THAT(picture.list.selected()->name, fmt::format("service-{:04}", picture.page));
}

TEST_F(TopDraw, NothingThatHanatdSaysReachesTheTerminalAsItIs) {
  Row row = web();
  row.name = "we\x1b[31mb";
  row.sentence = row.why = "\x1b]0;title\x07";
  row.target = "\r\n";
  row.group = "\x1b[2J";
  row.details = {{.text = "\x1b[H"}};
  picture.list.replace({row});
  picture.head = {.title = "\x1b"
                           "c",
                  .notices = {{.text = "\x1b[1m"}}};
  picture.events = {{.at = {},
                     .service = "\x1b[5m",
                     .text = "\x9b"
                             "5m"}};
  for (const char* keys : {"", "f", "d", "/\x1b"}) {
    picture.mode = Browsing{};
    type(keys);
    EXPECT_THAT(texts(), Each(Not(testing::ContainsRegex("[\x01-\x1f\x7f-\xff]"))));
  }
  picture.lost = "\x1b[0m";
  picture.mode = Answered{{.done = false, .text = "\x1b[7m\nsecond line"}};
  EXPECT_THAT(text(), HasSubstr("second line"));
  EXPECT_THAT(texts(), Each(Not(testing::ContainsRegex("[\x01-\x1f\x7f-\xff]"))));
}

TEST_F(TopDraw, WideCharactersKeepTheColumnsStraight) {
  std::setlocale(LC_CTYPE, "C.UTF-8");
  picture.utf8 = true;
  Row row = web();
  row.name = "東京";
  picture.list.replace({row, web()});
  const auto lines = texts();
  EXPECT_EQ(columns_of(lines[3].substr(0, lines[3].find("primary"))), columns_of(lines[4].substr(0, lines[4].find("primary"))));
  std::setlocale(LC_CTYPE, "C");
}

TEST_F(TopDraw, HanatdThatIsGoneIsTheFirstThingOnTheScreen) {
  picture.lost = "no hanatd at /run/hanat/control.sock: it is not running (systemctl start hanatd), or it has another --socket";
  picture.heard = noon - std::chrono::seconds{12};
  const auto lines = draw(picture, {24, 80}, noon);
  EXPECT_THAT(lines[1].text, StartsWith("hanatd DOES NOT ANSWER. What follows is of 11:59:48. Trying again."));
  EXPECT_EQ(lines[1].style, Style::bad);
  EXPECT_THAT(text(), AllOf(HasSubstr("systemctl start hanatd"), HasSubstr("no server is up")));
  picture.heard.reset();
  picture.list.replace({});
  EXPECT_THAT(text(), AllOf(HasSubstr("hanatd DOES NOT ANSWER. Trying again."), Not(HasSubstr("services at"))));
}

TEST_F(TopDraw, AStatusThatGrowsOldIsSaidToBe) {
  picture.heard = noon - std::chrono::seconds{7};
  EXPECT_THAT(text(), HasSubstr("hanatd has not answered for 7s: what follows is old"));
}

TEST_F(TopDraw, WithoutServicesAndBeforeTheFirstStatusItSaysSo) {
  picture.list.replace({});
  EXPECT_THAT(text(), HasSubstr("no services: write one into /etc/hanat/conf.d/NAME.toml, then hanatctl reload"));
  picture.heard.reset();
  EXPECT_THAT(text(), HasSubstr("waiting for hanatd"));
}

TEST_F(TopDraw, ProblemsOfHanatdItselfCountAndStandAboveTheList) {
  picture.head.notices = {{.text = "!! hanatd cannot probe the servers: x; no failover until it can", .style = Style::bad},
                          {.text = " ! the configuration on disk is not the one in use", .style = Style::note}};
  const auto lines = texts();
  EXPECT_EQ(lines[1], "2 problems, 1 note; 1 of 2 services at their primary");
  EXPECT_THAT(lines[2], StartsWith("!! hanatd cannot probe"));
  for (int number = 0; number < 20; ++number) picture.head.notices.push_back({.text = "!! more", .style = Style::bad});
  EXPECT_THAT(text(), AllOf(HasSubstr("more of hanatd itself: hanatctl status"), HasSubstr(">!! mail")));
}

TEST_F(TopDraw, OnlyTheSelectedRowIsReversed) {
  const auto lines = draw(picture, {24, 80}, noon);
  EXPECT_TRUE(lines[3].reverse);
  EXPECT_EQ(lines[3].style, Style::bad);
  EXPECT_FALSE(lines[4].reverse);
  EXPECT_EQ(lines[4].style, Style::plain);
}

} // namespace
} // namespace hanat::cli::top
