// The history's file and memory, without a gateway. Not here: which events there are (words), a real flip in it (netns/history_test).
#include "daemon/history.hpp"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include "cli/show.hpp"
#include "tests/unit/temp_dir.hpp"

namespace hanat {
namespace {

using test::read_text;
using test::TempDir;
using test::write_text;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const WallTime moment{std::chrono::milliseconds{1'769'853'600'123}}; // 2026-01-31T10:00:00.123Z

Event flip_event(const std::string& service, const std::string& to, std::uint64_t tcp = 0, EventKind kind = EventKind::flip) {
  FlipStatus flip{
      .at = to_text(moment), .from = "primary", .to = to, .why = "failover", .commit_us = 14, .cut = {}, .nudged = 0, .cut_ms = {}};
  if (kind == EventKind::cut) flip.cut.tcp = tcp, flip.cut_ms = 3.1;
  return {.level = Level::warning, .service = service, .text = "moved", .fields = {}, .kind = kind, .flip = flip};
}
Event health_event(const std::string& text) {
  return {.level = Level::warning, .service = "web", .text = text, .fields = {}, .kind = EventKind::health};
}
HistoryEntry entry(const Event& event) { return entry_of(event, moment).value(); }
std::vector<std::string> texts(const Facts& facts) {
  std::vector<std::string> result;
  for (auto number = facts.begin(); number < facts.end(); ++number) result.push_back(facts[number].text);
  return result;
}

TEST(History, KeepsWhatMattersOverARestart) {
  const TempDir dir;
  EXPECT_FALSE(entry_of({.level = Level::info, .service = {}, .text = "stopping"}, moment));
  append_history(dir.path(), {entry(flip_event("web", "backup")), entry(health_event("primary is down"))});
  append_history(dir.path(), {entry(flip_event("web", "backup", 41, EventKind::cut))});
  const Facts facts = read_history(dir.path());
  ASSERT_EQ(facts.end() - facts.begin(), 2U) << "what was cut belongs to the flip";
  EXPECT_EQ(facts[0].kind, "flip");
  EXPECT_EQ(facts[0].at, "2026-01-31T10:00:00.123Z");
  ASSERT_TRUE(facts[0].flip);
  EXPECT_EQ(facts[0].flip->cut.tcp, 41U);
  EXPECT_EQ(facts[0].flip->cut_ms, 3.1);
  EXPECT_EQ(facts[1].text, "primary is down");
  struct stat info {};
  ASSERT_EQ(stat((dir / "history").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0640U);
}

TEST(History, PassesOverDamagedLines) {
  const TempDir dir;
  append_history(dir.path(), {entry(health_event("one"))});
  const std::string good = read_text(dir / "history");
  write_text(dir / "history",
             good + "{\"at\": 1}\n\n\xff\xfe{[\n" + std::string(100'000, '[') + "\n" + good + good.substr(0, good.size() / 2));
  append_history(dir.path(), {entry(health_event("two"))}); // behind a line that was cut short
  EXPECT_THAT(texts(read_history(dir.path())), ElementsAre("one", "one", "two"));
}

TEST(History, EveryCutOfTheFileIsReadAsFarAsItGoes) {
  const TempDir dir;
  append_history(dir.path(), {entry(flip_event("web", "backup")), entry(health_event("two"))});
  const std::string whole = read_text(dir / "history");
  const std::size_t first_line = whole.find('\n');
  for (std::size_t length = 0; length < whole.size(); ++length) {
    write_text(dir / "history", whole.substr(0, length));
    const Facts facts = read_history(dir.path());
    EXPECT_EQ(facts.end(), length + 1 >= whole.size() ? 2U : length >= first_line ? 1U : 0U) << length;
  }
}

TEST(History, IsBoundedOnDiskAndInMemory) {
  const TempDir dir;
  const std::vector<HistoryEntry> many(1'000, entry(health_event(std::string(200, 'x'))));
  for (int round = 0; round < 12; ++round) append_history(dir.path(), many);
  EXPECT_LE(std::filesystem::file_size(dir / "history"), std::size_t{1} << 20);
  EXPECT_LE(std::filesystem::file_size(dir / "history.old"), std::size_t{1} << 20);
  const Facts facts = read_history(dir.path());
  EXPECT_EQ(facts.end() - facts.begin(), Facts::at_most);
  EXPECT_GT(facts.begin(), 0U);
}

TEST(History, ACutOfAFlipThatIsForgottenIsNobodys) {
  Facts facts;
  facts.add(entry(flip_event("web", "backup")));
  for (std::size_t count = 0; count < Facts::at_most; ++count) facts.add(entry(health_event("x")));
  facts.add(entry(flip_event("web", "backup", 41, EventKind::cut)));
  facts.add(entry(flip_event("other", "backup", 41, EventKind::cut)));
  EXPECT_EQ(facts.end() - facts.begin(), Facts::at_most);
}

TEST(History, IsNotWrittenToALinkOrAFifo) {
  const TempDir dir;
  ASSERT_EQ(mkfifo((dir / "history").c_str(), 0600), 0);
  EXPECT_THROW(append_history(dir.path(), {entry(health_event("one"))}), std::system_error);
  EXPECT_EQ(read_history(dir.path()).end(), 0U);
  std::filesystem::remove(dir / "history");
  std::filesystem::create_symlink(dir / "elsewhere", dir / "history");
  EXPECT_THROW(append_history(dir.path(), {entry(health_event("one"))}), std::system_error);
  EXPECT_FALSE(std::filesystem::exists(dir / "elsewhere"));
}

TEST(History, ADiskThatFailsIsToldOnceAndSoIsItsRecovery) {
  const TempDir dir;
  std::filesystem::create_directory(dir / "history"); // nothing can be appended to that
  uv_loop_t loop;
  ASSERT_EQ(uv_loop_init(&loop), 0);
  std::vector<std::string> told;
  {
    History history{&loop, dir.path(), [&](Level, const std::string& text) { told.push_back(text); }};
    const auto settle = [&](const std::string& text) {
      history.note(health_event(text), moment);
      uv_run(&loop, UV_RUN_DEFAULT); // until the thread has nothing to do
    };
    settle("one");
    settle("two");
    ASSERT_EQ(told.size(), 1U);
    EXPECT_THAT(told[0], HasSubstr("the history cannot be written: "));
    EXPECT_EQ(history.end(), 2U) << "memory has both";
    std::filesystem::remove(dir / "history");
    settle("three");
    EXPECT_THAT(told, ElementsAre(HasSubstr("cannot be written"), "the history is written again"));
    history.note(health_event("four"), moment);
    history.note(health_event("five"), moment);
    EXPECT_TRUE(history.knows("web"));
    EXPECT_FALSE(history.knows("mail"));
  } // the end waits for the last line
  uv_run(&loop, UV_RUN_DEFAULT);
  EXPECT_EQ(uv_loop_close(&loop), 0);
  EXPECT_THAT(texts(read_history(dir.path())), ElementsAre("three", "four", "five"));
}

TEST(History, IsShownALineAFact) {
  auto moved = entry(flip_event("web", "backup", 41, EventKind::cut));
  moved.flip->nudged = 40;
  const std::string shown = cli::show_history({moved, entry(health_event("up\x1b[2J\n"))}, {.colour = false, .now = moment});
  EXPECT_THAT(shown,
              HasSubstr("  web  primary -> backup, failover; committed in 14 us; cut 41 tcp, 0 udp, 0 sctp in 3.1 ms; 40 clients told\n"));
  EXPECT_THAT(shown, HasSubstr("  web  up\\x1b[2J\\x0a\n"));
  EXPECT_THAT(shown, Not(HasSubstr("\x1b")));
  EXPECT_EQ(cli::show_history({}, {.colour = true, .now = moment}), "nothing has happened yet\n");
}

} // namespace
} // namespace hanat
