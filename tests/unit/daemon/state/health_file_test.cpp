// The file of verdicts: whole or not, old or new, of this version or another. Not here: what is made of it (failover/saved_health_test),
// when it is written (health_writer_test).
#include "daemon/state/health_file.hpp"

#include <filesystem>
#include <string>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/unit/temp_dir.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;
using test::read_text;
using test::TempDir;
using test::write_text;
using testing::HasSubstr;

constexpr WallTime some_wall{std::chrono::milliseconds{1'769'853'600'123}};
constexpr Time some_time{1'234'567ms};

SavedProbe some_probe() {
  SavedProbe probe;
  probe.identity = 0xfedcba9876543210;
  probe.health = "down";
  probe.fails = {some_time - 3s, some_time - 2s, some_time - 1s};
  probe.fails_or_full = probe.fails;
  probe.passes = {.length = 2, .began = some_time - 500ms};
  probe.alive = probe.passes;
  probe.last = SavedResult{.outcome = "fail", .reason = "refused", .detail = "say \"no\" \\", .latency = 210us, .at = some_time - 7ms};
  probe.last_failure = "refused";
  return probe;
}

SavedService some_service(const std::string& name = "web") {
  SavedService service{.service = name, .target = "backup", .since = some_wall, .why = "failover", .shadow_target = {}, .servers = {}};
  SavedServer primary{.addresses = {{*Address::parse("198.18.11.2"), 8443}, {*Address::parse("fd00::11"), 0}},
                      .up_since = {},
                      .planned = true,
                      .flap_level = 3,
                      .lost_at = some_time - 1min,
                      .gained_at = {},
                      .probes = {some_probe()}};
  SavedServer backup{.addresses = {{*Address::parse("198.18.12.2"), 8443}},
                     .up_since = some_time - 1h,
                     .lost_at = {},
                     .gained_at = some_time - 1min,
                     .probes = {some_probe(), some_probe()}};
  backup.probes[0].health = "up";
  backup.probes[0].fails.clear();
  backup.probes[0].last.reset();
  backup.probes[1].alive.length = 9;
  backup.probes[1].last_failure.clear();
  service.servers = {primary, backup};
  return service;
}

std::string whole_file(const std::string& lines) {
  const TempDir dir;
  HealthFile file{dir.path(), "boot"};
  file.begin();
  file.append(lines);
  file.stamp(some_wall, some_time);
  return read_text(dir / "health");
}

TEST(HealthFile, GivesBackWhatWasWritten) {
  const TempDir dir;
  EXPECT_TRUE(load_health(dir.path()).services.empty());
  EXPECT_EQ(load_health(dir.path()).warning, "");
  HealthFile file{dir.path(), "a-boot"};
  file.begin();
  SavedService observed = some_service("seen");
  observed.shadow_target = "none";
  observed.in_outage = true;
  file.append(line_of(some_service()) + line_of(observed));
  file.stamp(some_wall, some_time);
  const SavedHealth loaded = load_health(dir.path());
  EXPECT_EQ(loaded.warning, "");
  EXPECT_EQ(loaded.stamp, (HealthStamp{.boot = "a-boot", .wall = some_wall, .steady = some_time}));
  EXPECT_EQ(loaded.services.at("web"), some_service());
  EXPECT_EQ(loaded.services.at("seen"), observed);
  struct stat info {};
  ASSERT_EQ(stat((dir / "health").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0007U, 0U);
}

TEST(HealthFile, OfTwoLinesForAServiceTheLaterCounts) {
  SavedService later = some_service();
  later.target = "none";
  const SavedHealth loaded =
      parse_health(whole_file(line_of(some_service()) + line_of(some_service("mail")) + line_of(later) + gone_line("mail")));
  EXPECT_EQ(loaded.services.size(), 1U);
  EXPECT_EQ(loaded.services.at("web"), later);
}

TEST(HealthFile, AStampIsWrittenWhereItStands) {
  const TempDir dir;
  HealthFile file{dir.path(), "boot"};
  file.begin();
  file.append(line_of(some_service()));
  file.stamp(some_wall, some_time);
  const auto bytes = std::filesystem::file_size(dir / "health");
  file.stamp(some_wall + 5s, Time{900'000'000s});
  EXPECT_EQ(std::filesystem::file_size(dir / "health"), bytes);
  EXPECT_EQ(load_health(dir.path()).stamp, (HealthStamp{.boot = "boot", .wall = some_wall + 5s, .steady = Time{900'000'000s}}));
  EXPECT_EQ(load_health(dir.path()).services.size(), 1U);
}

TEST(HealthFile, TheOldOneStandsUntilTheNewOneIsComplete) {
  const TempDir dir;
  {
    HealthFile old{dir.path(), "boot"};
    old.begin();
    old.append(line_of(some_service("old")));
    old.stamp(some_wall, some_time);
  }
  test::write_text(dir / "precious", "precious");
  std::filesystem::create_symlink("precious", dir / "health.new"); // a leftover, or worse
  HealthFile file{dir.path(), "boot"};
  file.begin();
  file.append(line_of(some_service("new")));
  EXPECT_TRUE(load_health(dir.path()).services.contains("old"));
  file.stamp(some_wall, some_time);
  EXPECT_FALSE(load_health(dir.path()).services.contains("old"));
  EXPECT_TRUE(load_health(dir.path()).services.contains("new"));
  EXPECT_EQ(read_text(dir / "precious"), "precious");
  EXPECT_FALSE(file.is_lost());
  std::filesystem::remove(dir / "health");
  EXPECT_TRUE(file.is_lost());
}

TEST(HealthFile, OutdatedLinesAreDroppedNowAndThen) {
  const TempDir dir;
  HealthFile file{dir.path(), "boot"};
  file.begin();
  file.append(line_of(some_service("gone")) + line_of(some_service("still")) + gone_line("gone"));
  std::uintmax_t most = 0;
  for (unsigned round = 0; round < 5'000; ++round) {
    SavedService service = some_service();
    service.servers[0].flap_level = round % 50;
    file.append(line_of(service));
    file.stamp(some_wall, some_time);
    if (round % 100 == 0) most = std::max(most, std::filesystem::file_size(dir / "health"));
  }
  EXPECT_LT(most, 300'000U);
  EXPECT_GT(most, 100'000U);
  const SavedHealth loaded = load_health(dir.path());
  EXPECT_EQ(loaded.warning, "");
  EXPECT_EQ(loaded.services.size(), 2U);
  EXPECT_EQ(loaded.services.at("web").servers[0].flap_level, 4'999U % 50);
  EXPECT_EQ(loaded.services.at("still"), some_service("still"));
}

TEST(HealthFile, TruncatedAnywhereItGivesTheCompleteLines) {
  const std::string whole = whole_file(line_of(some_service("a")) + line_of(some_service("b")));
  std::size_t most = 0;
  for (std::size_t length = 0; length <= whole.size(); ++length) {
    const SavedHealth loaded = parse_health(whole.substr(0, length));
    ASSERT_EQ(loaded.warning, "") << "an interrupted write is no damage";
    ASSERT_GE(loaded.services.size(), most);
    most = loaded.services.size();
    for (const auto& [name, service] : loaded.services) ASSERT_EQ(service, some_service(name)) << length;
  }
  EXPECT_EQ(most, 2U);
}

TEST(HealthFile, WithAnyByteDamagedNeverThrows) {
  const std::string whole = whole_file(line_of(some_service("a")) + line_of(some_service("b")));
  constexpr std::string_view bytes{"\0\xff{]\"9-\n", 8};
  for (std::size_t index = 0; index < whole.size(); ++index) {
    std::string changed = whole;
    changed[index] = bytes[index % bytes.size()];
    ASSERT_NO_THROW(parse_health(changed)) << index;
  }
}

TEST(HealthFile, LosesOnlyDamagedLinesAndIsRenamed) {
  const TempDir dir;
  const std::string good = line_of(some_service("good"));
  std::string bad;
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{{"1234", "-1234"},
                                                                                 {"\"level\":3", "\"level\":99999999999"},
                                                                                 {"\"id\":\"fedc", "\"id\":\"zzzz"},
                                                                                 {"198.18.11.2:8443", "here"},
                                                                                 {"2026-01", "2026-13"},
                                                                                 {"\"probes\":", "\"probe\":"},
                                                                                 {"\"at\":[", "\"at\":[["}}) {
    std::string line = line_of(some_service("bad"));
    ASSERT_NE(line.find(from), std::string::npos) << from;
    bad += line.replace(line.find(from), from.size(), to);
  }
  write_text(dir / "health", whole_file(bad + good));
  const SavedHealth loaded = load_health(dir.path());
  EXPECT_EQ(loaded.services.size(), 1U);
  EXPECT_EQ(loaded.services.at("good"), some_service("good"));
  EXPECT_THAT(loaded.warning, HasSubstr("has 7 damaged lines: 1 services were read from it; the file is now"));
  EXPECT_TRUE(std::filesystem::exists(dir / "health.bad"));
}

TEST(HealthFile, OfAnotherVersionIsNotReadAndDoesNoHarm) {
  for (const std::string& text :
       {std::string{}, std::string{"{}\n"}, std::string{"garbage\nmore\n"}, std::string(100'000, '['), std::string(100'000, '[') + "\n",
        "{\"version\":2}\n" + line_of(some_service()), std::string{"{\"version\":1,\"boot\":1,\"at\":2,\"steady_ms\":3}\n"}}) {
    const SavedHealth loaded = parse_health(text);
    EXPECT_TRUE(loaded.services.empty());
    EXPECT_EQ(loaded.warning, "");
    EXPECT_EQ(loaded.stamp.boot, "");
  }
}

TEST(HealthFile, ThatIsNotARegularFileIsNotRead) {
  const TempDir dir;
  ASSERT_EQ(mkfifo((dir / "health").c_str(), 0600), 0);
  EXPECT_THAT(load_health(dir.path()).warning, HasSubstr("is not a regular file"));
}

TEST(HealthFile, KnowsTheBootOfTheMachine) {
  EXPECT_EQ(boot_id().size(), 36U);
  EXPECT_EQ(boot_id(), boot_id());
}

} // namespace
} // namespace hanat
