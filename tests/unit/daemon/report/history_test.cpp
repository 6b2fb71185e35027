// The file and the memory of the history, without a daemon. Not here: which events it keeps (event_text_test), a real flip in it (netns).
#include "daemon/report/history.hpp"

#include <cstdlib>
#include <ctime>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include "cli/show_history.hpp"
#include "daemon/report/event_text.hpp"
#include "tests/unit/temp_dir.hpp"

namespace hanat {
namespace {

using test::read_text;
using test::TempDir;
using test::write_text;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using namespace std::chrono_literals;

const WallTime moment{std::chrono::milliseconds{1'769'853'600'123}}; // 2026-01-31T10:00:00.123Z

FlipStatus flip_of_web(WallTime at, const std::string& from, const std::string& to) {
  return {.at = to_text(at), .from = from, .to = to, .why = "failover", .commit_us = 14, .cut = {}, .cut_ms = {}};
}
Event flip_event(const std::string& service, const FlipStatus& flip) {
  return {.at = moment, .service = service, .what = events::Flipped{.from = {}, .to = {}, .group = {}, .flip = flip}};
}
Event flip_event(const std::string& service, const std::string& to) { return flip_event(service, flip_of_web(moment, "primary", to)); }
/// The cut of the flip has ended.
Event cut_event(const std::string& service, FlipStatus flip, std::uint64_t tcp) {
  flip.cut.tcp = tcp;
  flip.cut_ms = 3.1;
  return {.at = moment + 2s, .service = service, .what = events::FlowsCut{.flows = "web primary", .cut = {}, .flip = flip}};
}
Event cut_event(const std::string& service, const std::string& to, std::uint64_t tcp) {
  return cut_event(service, flip_of_web(moment, "primary", to), tcp);
}
/// An event with any text that the history keeps.
Event health_event(const std::string& text) {
  return {.at = moment,
          .service = "web",
          .what = events::HealthChanged{.server = {.role = text, .address = {}}, .health = Health::up, .last = {}}};
}
HistoryEntry entry(const Event& event) {
  if (const auto* changed = std::get_if<events::HealthChanged>(&event.what)) return history_entry_of(event, changed->server.role).value();
  return history_entry_of(event).value();
}
std::vector<std::string> texts(const HistoryRing& ring) {
  std::vector<std::string> result;
  for (auto number = ring.begin(); number < ring.end(); ++number) result.push_back(ring[number].text);
  return result;
}

TEST(History, SurvivesARestart) {
  const TempDir dir;
  append_history(dir.path(), {entry(flip_event("web", "backup")), entry(health_event("primary is down"))});
  append_history(dir.path(), {entry(cut_event("web", "backup", 41))});
  const HistoryRing ring = read_history(dir.path());
  ASSERT_EQ(ring.end() - ring.begin(), 2U) << "what was cut belongs to the flip";
  EXPECT_EQ(ring[0].kind, "flip");
  EXPECT_EQ(ring[0].at, "2026-01-31T10:00:00.123Z");
  ASSERT_TRUE(ring[0].flip);
  EXPECT_EQ(ring[0].flip->cut.tcp, 41U);
  EXPECT_EQ(ring[0].flip->cut_ms, 3.1);
  EXPECT_EQ(ring[1].text, "primary is down");
  struct stat info {};
  ASSERT_EQ(stat((dir / "history").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0640U);
}

TEST(History, SkipsDamagedLines) {
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
    const HistoryRing ring = read_history(dir.path());
    EXPECT_EQ(ring.end(), length + 1 >= whole.size() ? 2U : length >= first_line ? 1U : 0U) << length;
  }
}

TEST(History, IsBoundedOnDiskAndInMemory) {
  const TempDir dir;
  const std::vector<HistoryEntry> many(1'000, entry(health_event(std::string(200, 'x'))));
  for (int round = 0; round < 12; ++round) append_history(dir.path(), many);
  EXPECT_LE(std::filesystem::file_size(dir / "history"), std::size_t{2} << 20);
  EXPECT_LE(std::filesystem::file_size(dir / "history.old"), std::size_t{2} << 20);
  const HistoryRing ring = read_history(dir.path());
  EXPECT_EQ(ring.end() - ring.begin(), HistoryRing::at_most);
  EXPECT_GT(ring.begin(), 0U);
}

TEST(History, TheCutOfAFlipThatIsForgottenChangesNothing) {
  HistoryRing ring;
  ring.add(entry(flip_event("web", "backup")));
  for (std::size_t count = 0; count < HistoryRing::at_most; ++count) ring.add(entry(health_event("x")));
  ring.add(entry(cut_event("web", "backup", 41)));
  ring.add(entry(cut_event("other", "backup", 41)));
  EXPECT_EQ(ring.end() - ring.begin(), HistoryRing::at_most);
}

// Fast flips: the cut of the first ends after the second has begun, and each has its own clients.
TEST(History, ACutBelongsToItsOwnFlipNotToTheLast) {
  const FlipStatus first = flip_of_web(moment, "primary", "backup"), second = flip_of_web(moment + 300ms, "backup", "backup2");
  HistoryRing ring;
  ring.add(entry(flip_event("web", first)));
  ring.add(entry(flip_event("web", second)));
  ring.add(entry(flip_event("mail", first))); // another service flips in the same millisecond
  FlipStatus nudged = first;
  nudged.nudged = 40;
  ring.add(entry(cut_event("web", nudged, 41)));
  ASSERT_EQ(ring.end(), 3U);
  EXPECT_EQ(ring[0].flip->cut.tcp, 41U);
  EXPECT_EQ(ring[0].flip->nudged, 40U);
  EXPECT_TRUE(ring[0].flip->cut_ms);
  EXPECT_FALSE(ring[1].flip->cut_ms) << "this one is still cutting";
  EXPECT_FALSE(ring[2].flip->cut_ms);
  ring.add(entry(cut_event("web", second, 7)));
  EXPECT_EQ(ring[0].flip->cut.tcp, 41U);
  EXPECT_EQ(ring[1].flip->cut.tcp, 7U);
}

// A follower has shown the flip before its cut was over.
TEST(History, ACutHasItsOwnTimeAndIsALineForAFollower) {
  HistoryEntry cut = entry(cut_event("web", "backup", 41));
  cut.flip->nudged = 40;
  EXPECT_EQ(cut.at, to_text(moment + 2s));
  EXPECT_EQ(cut.flip->at, to_text(moment));
  const HistoryEntry read = nlohmann::json(cut).get<HistoryEntry>();
  EXPECT_EQ(read.at, cut.at);
  EXPECT_EQ(read.flip, cut.flip);
  EXPECT_THAT(cli::show_history({cut}, {.colour = false, .now = moment}),
              HasSubstr("  web  cut no flows of primary; conntrack is clean; nudge sent to 40 clients\n"));
  HistoryRing ring;
  ring.add(entry(flip_event("web", "backup")));
  ring.add(read);
  EXPECT_EQ(ring[0].flip->cut.tcp, 41U);
  EXPECT_EQ(ring[0].at, to_text(moment));
}

TEST(History, FlipsThereAndBackInOneMillisecondAreTwo) {
  const FlipStatus there = flip_of_web(moment, "primary", "backup"), back = flip_of_web(moment, "backup", "primary");
  HistoryRing ring;
  ring.add(entry(flip_event("web", there)));
  ring.add(entry(flip_event("web", back)));
  ring.add(entry(cut_event("web", there, 41)));
  EXPECT_EQ(ring[0].flip->cut.tcp, 41U);
  EXPECT_FALSE(ring[1].flip->cut_ms);
}

TEST(History, ADrainOrACancelledCutUpdatesItsFlipToo) {
  HistoryRing ring;
  ring.add(entry(flip_event("web", "backup")));
  FlipStatus flip = flip_of_web(moment, "primary", "backup");
  const auto update = [&](events::Payload what) { ring.add(entry({.at = moment + 1s, .service = "web", .what = std::move(what)})); };
  flip.drained = 1;
  update(events::Drained{.flows = {}, .flip = flip});
  EXPECT_EQ(ring[0].flip->drained, 1U);
  flip.drained = 2;
  update(events::DrainEnded{.flows = {}, .left = {}, .flip = flip});
  EXPECT_EQ(ring[0].flip->drained, 2U);
  flip.cut_ms = 0.5;
  update(events::CutCancelled{.flows = {}, .cut = {}, .flip = flip});
  EXPECT_EQ(ring[0].flip->cut_ms, 0.5);
  EXPECT_EQ(ring.end(), 1U);
}

TEST(History, ACutThatARestartInterruptedIsNoLongerCutting) {
  const TempDir dir;
  const FlipStatus done = flip_of_web(moment, "primary", "backup"), open = flip_of_web(moment + 300ms, "backup", "primary");
  append_history(dir.path(), {entry(flip_event("web", done)), entry(flip_event("web", open)), entry(cut_event("web", done, 41))});
  const HistoryRing ring = read_history(dir.path());
  ASSERT_EQ(ring.end(), 2U);
  EXPECT_FALSE(ring[0].flip->interrupted);
  EXPECT_TRUE(ring[1].flip->interrupted);
  EXPECT_FALSE(ring[1].flip->cut_ms);
  const nlohmann::json whole = ring[0], cut_short = ring[1];
  EXPECT_FALSE(whole.contains("interrupted"));
  EXPECT_EQ(cut_short.at("interrupted"), true);
  EXPECT_TRUE(cut_short.at("cut_ms").is_null());
  EXPECT_EQ(cut_short.get<HistoryEntry>().flip, ring[1].flip);
  const std::string shown = cli::show_history({ring[1]}, {.colour = false, .now = moment});
  EXPECT_THAT(shown, HasSubstr("; a restart interrupted the cut\n"));
  EXPECT_THAT(cli::show_history({entry(flip_event("web", open))}, {.colour = false, .now = moment}),
              HasSubstr("; looking for flows to cut\n"));
}

TEST(History, TheSameFlipTwiceIsUpdatedOnce) { // a file that somebody copied together
  HistoryRing ring;
  ring.add(entry(flip_event("web", "backup")));
  ring.add(entry(flip_event("web", "backup")));
  ring.add(entry(cut_event("web", "backup", 41)));
  EXPECT_EQ(ring[0].flip->cut.tcp, 0U);
  EXPECT_EQ(ring[1].flip->cut.tcp, 41U);
  for (std::size_t count = 0; count < HistoryRing::at_most; ++count) ring.add(entry(health_event("x")));
  ring.add(entry(cut_event("web", "backup", 42))); // of nothing any more
  EXPECT_EQ(ring.end() - ring.begin(), HistoryRing::at_most);
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

TEST(History, ADiskThatFailsIsLoggedOnceAndSoIsItsRecovery) {
  const TempDir dir;
  std::filesystem::create_directory(dir / "history"); // nothing can be appended to that
  uv_loop_t loop;
  ASSERT_EQ(uv_loop_init(&loop), 0);
  std::vector<std::string> logged;
  {
    History history{&loop, dir.path(), [&](const Event& event) { logged.push_back(text_of(event)); }};
    const auto add = [&](const std::string& text) {
      history.add(health_event(text), text);
      uv_run(&loop, UV_RUN_DEFAULT); // until the thread has nothing to do
    };
    add("one");
    add("two");
    ASSERT_EQ(logged.size(), 1U);
    EXPECT_THAT(logged[0], HasSubstr("the history cannot be written: "));
    EXPECT_EQ(history.end(), 2U) << "memory has both";
    std::filesystem::remove(dir / "history");
    add("three");
    EXPECT_THAT(logged, ElementsAre(HasSubstr("cannot be written"), "the history is written again"));
    history.add(health_event("four"), "four");
    history.add(health_event("five"), "five");
    EXPECT_TRUE(history.knows("web"));
    EXPECT_FALSE(history.knows("mail"));
  } // the end waits for the last line
  uv_run(&loop, UV_RUN_DEFAULT);
  EXPECT_EQ(uv_loop_close(&loop), 0);
  EXPECT_THAT(texts(read_history(dir.path())), ElementsAre("three", "four", "five"));
}

TEST(History, IsShownALineAnEntry) {
  auto moved = entry(cut_event("web", "backup", 41));
  moved.flip->nudged = 40;
  moved.kind = "flip";
  moved.to_address = "10.0.0.12:8443";
  const std::string shown = cli::show_history({moved, entry(health_event("up\x1b[2J\n"))}, {.colour = false, .now = moment});
  EXPECT_THAT(
      shown,
      HasSubstr("  web  primary -> backup 10.0.0.12:8443, failover; committed in 14 us; cut 41 tcp in 3.1 ms; nudge sent to 40 clients\n"));
  EXPECT_THAT(shown, HasSubstr("  web  up\\x1b[2J\\x0a\n"));
  EXPECT_THAT(shown, Not(HasSubstr("\x1b")));
  EXPECT_EQ(cli::show_history({}, {.colour = true, .now = moment}), "nothing has happened yet\n");
}

TEST(History, KnowsTheLastFlipOfAServiceAsLongAsItIsAmongTheEntries) {
  HistoryRing ring;
  EXPECT_FALSE(ring.last_flip("web"));
  ring.add(entry(flip_event("web", "backup")));
  ring.add(entry(flip_event("mail", "backup")));
  ring.add(entry(flip_event("web", flip_of_web(moment + 5s, "backup", "primary"))));
  ring.add(entry(health_event("x")));
  EXPECT_EQ(ring.last_flip("web").value().to, "primary");
  EXPECT_EQ(ring.last_flip("mail").value().to, "backup");
  for (std::size_t count = 0; count < HistoryRing::at_most - 2; ++count) ring.add(entry(health_event("x")));
  EXPECT_FALSE(ring.last_flip("mail")) << "it is gone";
  EXPECT_EQ(ring.last_flip("web").value().to, "primary");
  ring.add(entry(health_event("x")));
  EXPECT_FALSE(ring.last_flip("web"));
}

TEST(History, AFilterTakesAServiceWithTheReloadsAndTimes) {
  const HistoryEntry web = entry(health_event("up"));
  HistoryEntry reload = web, mail = web;
  reload.kind = "reload";
  reload.service.clear();
  mail.service = "mail";
  const HistoryFilter all{}, of_web{.service = "web", .since = {}, .until = {}};
  for (const HistoryEntry& one : {web, reload, mail}) EXPECT_TRUE(all.accepts(one));
  EXPECT_TRUE(of_web.accepts(web));
  EXPECT_TRUE(of_web.accepts(reload)) << "it may have moved the service";
  EXPECT_FALSE(of_web.accepts(mail));
  EXPECT_TRUE((HistoryFilter{.service = {}, .since = web.at, .until = web.at}.accepts(web)));
  EXPECT_FALSE((HistoryFilter{.service = {}, .since = to_text(moment + 1ms), .until = {}}.accepts(web)));
  EXPECT_FALSE((HistoryFilter{.service = {}, .since = {}, .until = to_text(moment - 1ms)}.accepts(web)));
}

TEST(History, OfSeveralDaysHasALineBeforeEach) {
  setenv("TZ", "UTC", 1);
  tzset();
  HistoryEntry first = entry(health_event("one")), second = first, third = first;
  second.at = "2026-02-01T09:00:00.000Z";
  third.at = "2026-02-01T09:00:01.000Z";
  second.until = "2026-02-01T09:30:00.000Z";
  EXPECT_EQ(cli::show_history({first, second, third}, {.colour = false, .now = moment + 24h}),
            "2026-01-31 (UTC)\n10:00:00  web  one\n2026-02-01 (UTC)\n09:00:00  web  one; until 09:30:00\n09:00:01  web  one\n");
  std::string day = "2026-02-01";
  EXPECT_EQ(cli::show_history({third}, {.colour = false, .now = moment}, day), "09:00:01  web  one\n") << "the day has its line already";
  EXPECT_EQ(cli::show_history({}, {.colour = false, .now = moment}, day), "");
}

} // namespace
} // namespace hanat
