// The state files: what is written is read back, damaged files lose only their damaged items, and the lock.
// Not here: when they are written (state_writer_test).
#include "daemon/state/state_file.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/temp_dir.hpp"

namespace hanat {
namespace {

using test::read_text;
using test::TempDir;
using test::write_text;
using testing::HasSubstr;

std::vector<SavedOverride> some_overrides() {
  const WallTime since{std::chrono::milliseconds{1'769'853'600'123}};
  return {{.service = "web",
           .target = "backup",
           .until = since + std::chrono::minutes{30},
           .reason = "disk \"sdb\"\n\x1b[2J",
           .by = "root",
           .since = since},
          {.service = "sip", .target = "backup2", .until = std::nullopt, .reason = "", .by = "uid 1000", .since = since}};
}

TEST(StateFile, ThatIsMissingGivesNoOverride) {
  const TempDir dir;
  const auto loaded = load_state(dir.path());
  EXPECT_TRUE(loaded.state.overrides.empty());
  EXPECT_EQ(loaded.warning, "");
  EXPECT_EQ(load_state(dir.path() / "nowhere").warning, "");
}

TEST(StateFile, GivesBackWhatWasSaved) {
  const TempDir dir;
  save_state(dir.path(), {.overrides = some_overrides(), .drains = {}});
  const auto loaded = load_state(dir.path());
  EXPECT_EQ(loaded.state.overrides, some_overrides());
  EXPECT_EQ(loaded.warning, "");
  save_state(dir.path(), {.overrides = {}, .drains = {}});
  EXPECT_TRUE(load_state(dir.path()).state.overrides.empty());
  EXPECT_FALSE(std::filesystem::exists(dir / "state.json.new"));
  EXPECT_FALSE(std::filesystem::exists(dir / "state.json.bad"));
}

std::vector<SavedDrain> some_drains() {
  const Vip web4{*Address::parse("203.0.113.10"), Protocol::tcp, 443}, web6{*Address::parse("2001:db8::10"), Protocol::udp, 443};
  const Mapping four{web4, {*Address::parse("198.18.11.2"), 8443}}, six{web6, {*Address::parse("fd00::11"), 8443}};
  const Vip ports{.address = web6.address, .protocol = Protocol::udp, .port = 10'000, .last = 20'000};
  const Vip every{.address = web4.address, .protocol = Protocol::sctp, .port = 1, .last = UINT16_MAX};
  const Mapping range{ports, {*Address::parse("fd00::11"), 0}}, all{every, {*Address::parse("198.18.11.2"), 0}};
  return {{.service = "web", .comment = "web primary", .until = some_overrides()[0].until, .flows = {four, six}},
          {.service = "sip", .comment = "sip backup", .until = std::nullopt, .until_down = true, .flows = {four, range, all}}};
}

TEST(StateFile, GivesBackDrainsToo) {
  const TempDir dir;
  const State state{.overrides = some_overrides(), .drains = some_drains()};
  save_state(dir.path(), state);
  const auto loaded = load_state(dir.path());
  EXPECT_EQ(loaded.state, state);
  EXPECT_EQ(loaded.warning, "");
  save_state(dir.path(), {.overrides = some_overrides(), .drains = {}});
  EXPECT_FALSE(std::filesystem::exists(dir / "drains.json"));
  EXPECT_EQ(load_state(dir.path()).state.overrides, some_overrides());
}

TEST(StateFile, WithDrainsThatIsDamagedOrTruncatedAnywhereNeverThrows) {
  const TempDir dir;
  save_state(dir.path(), {.overrides = some_overrides(), .drains = some_drains()});
  const auto whole = read_text(dir / "drains.json");
  ASSERT_EQ(parse_state(whole).state.drains, some_drains());
  const std::string_view bytes{"\0\xff{]\"9:/ ", 9};
  for (std::size_t i = 0; i < whole.size(); ++i) {
    auto changed = whole;
    changed[i] = bytes[i % bytes.size()];
    ASSERT_NO_THROW(parse_state(changed)) << i;
    const auto shorter = parse_state(whole.substr(0, i));
    for (std::size_t drain = 0; drain < shorter.state.drains.size(); ++drain) ASSERT_EQ(shorter.state.drains[drain], some_drains()[drain]);
  }
}

TEST(StateFile, LosesOnlyInvalidDrains) {
  const auto parsed = [](const std::string& drain) { return parse_state(R"({"version": 1, "overrides": [], "drains": [)" + drain + "]}"); };
  const auto drain = [](const std::string& until, const std::string& flow, const std::string& comment = "web primary") {
    return fmt::format(R"({{"service": "web", "comment": "{}", "until": {}, "flows": ["{}"]}})", comment, until, flow);
  };
  const std::string good = "203.0.113.10:443/tcp 198.18.11.2:8443";
  EXPECT_EQ(parsed(drain("null", good)).state.drains.size(), 1U);
  EXPECT_EQ(parsed(drain("null", good)).warning, "");
  for (const std::string& bad :
       {drain("\"soon\"", good), drain("1", good), drain("null", good, "other primary"), drain("null", good, "web \\n"),
        drain("null", "203.0.113.10:443/tcp"), drain("null", "203.0.113.10:443/tcp 198.18.11.2"),
        drain("null", "203.0.113.10:443/icmp 198.18.11.2:1"), drain("null", "203.0.113.10:0/tcp 198.18.11.2:1"),
        drain("null", "203.0.113.10:443/tcp [fd00::1]:1"), drain("null", "203.0.113.10:443/tcp 198.18.11.2:65536"),
        drain("null", "[203.0.113.10]:443/tcp 198.18.11.2:1"), drain("null", "203.0.113.10:5-9/tcp 198.18.11.2:1"), drain("null", " /"),
        std::string{R"({"service": "web"})"}}) {
    const auto loaded = parsed(bad + ", " + drain("null", good));
    EXPECT_EQ(loaded.state.drains.size(), 1U) << bad;
    EXPECT_EQ(loaded.warning, "has 1 invalid drains") << bad;
  }
}

std::vector<SavedMaintenance> some_maintenance() {
  const WallTime since{std::chrono::milliseconds{1'769'853'600'123}};
  const auto at = [](const char* address, std::uint16_t port) {
    return Endpoint{.address = Address::parse(address).value(), .port = port};
  };
  return {{.service = "web",
           .server = "backup2",
           .addresses = {at("198.18.11.2", 8443), at("fd00::1", 0)},
           .until = since + std::chrono::hours{2},
           .reason = "disk \"sdb\"",
           .by = "root",
           .since = since},
          {.service = "sip",
           .server = "primary",
           .addresses = {at("198.18.11.2", 0)},
           .until = {},
           .reason = "",
           .by = "root",
           .since = since}};
}

TEST(StateFile, GivesBackDisabledServersAndWhatOverridesFollow) {
  const TempDir dir;
  State state{.overrides = some_overrides(), .maintenance = some_maintenance(), .drains = {}};
  state.overrides[0].addresses = some_maintenance()[0].addresses;
  state.overrides[1].until_down = true;
  state.overrides[1].drill = true;
  save_state(dir.path(), state);
  const auto loaded = load_state(dir.path());
  EXPECT_EQ(loaded.state, state);
  EXPECT_EQ(loaded.warning, "");
  save_state(dir.path(), {.overrides = {}, .drains = {}});
  EXPECT_EQ(read_text(dir / "state.json").find("disabled"), std::string::npos);
}

TEST(StateFile, LosesOnlyInvalidDisabledServers) {
  const std::string good =
      R"({"service": "web", "target": "backup", "until": null, "reason": "", "by": "root", "since": "2026-01-31T10:00:00.123Z", "addresses": ["10.0.0.1:1"]})";
  const auto parsed = [&good](const std::string& from, const std::string& to) {
    std::string bad = good;
    bad.replace(bad.find(from), from.size(), to);
    return parse_state(R"({"version": 1, "overrides": [], "disabled": [)" + bad + ", " + good + "]}");
  };
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{{"[\"10.0.0.1:1\"]", "[]"},
                                                                                 {"[\"10.0.0.1:1\"]", "5"},
                                                                                 {"10.0.0.1:1", "10.0.0.1:1-5"},
                                                                                 {"10.0.0.1:1", "here"},
                                                                                 {"null", "\"soon\""},
                                                                                 {"\"backup\"", "\"\""},
                                                                                 {"2026-01", "2026-13"}}) {
    const auto loaded = parsed(from, to);
    EXPECT_EQ(loaded.state.maintenance.size(), 1U) << to;
    EXPECT_EQ(loaded.warning, "has 1 invalid disabled servers") << to;
  }
}

TEST(StateFile, OfANewerHanatdIsReadWithoutWhatIsUnknown) {
  const auto loaded = parse_state(R"({"version": 1, "overrides": [], "tomorrow": [{"service": "web"}]})");
  EXPECT_EQ(loaded.warning, "") << "as an older hanatd reads the disabled servers of this one";
}

TEST(StateFile, IsNotWorldReadable) {
  const TempDir dir;
  save_state(dir.path(), {.overrides = some_overrides(), .drains = {}});
  struct stat info {};
  ASSERT_EQ(stat((dir / "state.json").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0007U, 0U);
}

TEST(StateFile, TruncatedAtAnyByteGivesTheCompleteOverridesAndIsRenamed) {
  const TempDir dir;
  save_state(dir.path(), {.overrides = some_overrides(), .drains = {}});
  const auto whole = read_text(dir / "state.json");
  const auto all = some_overrides();
  std::size_t most = 0;
  const auto last_brace = whole.rfind('}');
  for (std::size_t length = 0; length < whole.size(); ++length) {
    write_text(dir / "state.json", whole.substr(0, length));
    const auto loaded = load_state(dir.path());
    ASSERT_LE(loaded.state.overrides.size(), all.size());
    for (std::size_t i = 0; i < loaded.state.overrides.size(); ++i) ASSERT_EQ(loaded.state.overrides[i], all[i]) << length;
    ASSERT_GE(loaded.state.overrides.size(), most) << length; // a longer file never gives fewer overrides
    most = loaded.state.overrides.size();
    if (length > last_brace) {
      ASSERT_EQ(loaded.warning, "") << length;
    } else {
      ASSERT_THAT(loaded.warning, HasSubstr("is now")) << length;
      ASSERT_EQ(read_text(dir / "state.json.bad"), whole.substr(0, length));
      ASSERT_FALSE(std::filesystem::exists(dir / "state.json"));
    }
  }
  EXPECT_EQ(most, all.size());
}

TEST(StateFile, WithAnyByteDamagedNeverThrows) {
  const TempDir dir;
  save_state(dir.path(), {.overrides = some_overrides(), .drains = {}});
  const auto whole = read_text(dir / "state.json");
  const std::string_view bytes{"\0\xff{]\"9", 6};
  for (std::size_t i = 0; i < whole.size(); ++i) {
    auto changed = whole;
    changed[i] = bytes[i % bytes.size()];
    write_text(dir / "state.json", changed);
    ASSERT_NO_THROW(load_state(dir.path())) << i;
  }
}

TEST(StateFile, WithOtherContentGivesNoOverride) {
  const TempDir dir;
  for (
      const auto* text :
      {"[]", "null", "1", "{}", R"({"overrides": {}})", R"({"overrides": 1})", "\xef\xbb\xbf{",
       R"({"other": [{"service": "web", "target": "backup", "until": null, "reason": "", "by": "x", "since": "2026-01-31T10:00:00Z"}]})"}) {
    write_text(dir / "state.json", text);
    const auto loaded = load_state(dir.path());
    EXPECT_TRUE(loaded.state.overrides.empty()) << text;
    EXPECT_NE(loaded.warning, "") << text;
  }
  write_text(dir / "state.json", std::string(100'000, '['));
  EXPECT_NE(load_state(dir.path()).warning, "");
}

TEST(StateFile, LosesOnlyInvalidOverrides) {
  const TempDir dir;
  const std::string good =
      R"({"service": "web", "target": "backup", "until": null, "reason": "", "by": "x", "since": "2026-01-31T10:00:00Z"})";
  // The third has an invalid end: it must not become an override without an end.
  write_text(dir / "state.json", R"({"version": 1, "overrides": [)" + good +
                                     R"(, {"service": "a"}, {"service": "b", "target": "backup", "until": "soon",
    "reason": "", "by": "x", "since": "2026-01-31T10:00:00Z"}, 7, )" +
                                     good + "]}");
  const auto loaded = load_state(dir.path());
  EXPECT_EQ(loaded.state.overrides.size(), 2U);
  EXPECT_THAT(loaded.warning, HasSubstr("has 2 invalid overrides"));
}

TEST(StateFile, ThatIsNotARegularFileIsNotRead) {
  const TempDir dir;
  ASSERT_EQ(mkfifo((dir / "state.json").c_str(), 0600), 0);
  EXPECT_THAT(load_state(dir.path()).warning, HasSubstr("is not a regular file"));

  save_state(dir.path(), {.overrides = some_overrides(), .drains = {}});
  std::filesystem::rename(dir / "state.json", dir / "elsewhere");
  std::filesystem::create_symlink("elsewhere", dir / "state.json");
  EXPECT_TRUE(load_state(dir.path()).state.overrides.empty());

  save_state(dir.path(), {.overrides = some_overrides(), .drains = {}});
  ASSERT_EQ(chmod((dir / "state.json").c_str(), 0666), 0);
  const auto loaded = load_state(dir.path());
  EXPECT_TRUE(loaded.state.overrides.empty());
  EXPECT_THAT(loaded.warning, HasSubstr("is world-writable"));
}

TEST(StateFile, ThatCannotBeWrittenThrowsAndLeavesTheOldOne) {
  const TempDir dir;
  EXPECT_THROW(save_state(dir.path() / "nowhere", {}), std::system_error);
  save_state(dir.path(), {.overrides = some_overrides(), .drains = {}});
  std::filesystem::create_directory(dir / "state.json.new");
  EXPECT_THROW(save_state(dir.path(), {.overrides = {}, .drains = {}}), std::system_error);
  EXPECT_EQ(load_state(dir.path()).state.overrides, some_overrides());
}

TEST(StateFile, ReplacesTheLeftoverOfAnInterruptedWrite) {
  const TempDir dir;
  write_text(dir / "precious", "precious");
  std::filesystem::create_symlink("precious", dir / "state.json.new");
  save_state(dir.path(), {.overrides = some_overrides(), .drains = {}});
  EXPECT_EQ(load_state(dir.path()).state.overrides, some_overrides());
  EXPECT_EQ(read_text(dir / "precious"), "precious");
}

TEST(StateLock, RejectsASecondDaemonAndNamesTheFirst) {
  const TempDir dir;
  {
    const StateLock first{dir.path()};
    try {
      const StateLock second{dir.path()};
      FAIL() << "locked twice";
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code().value(), EBUSY);
      EXPECT_THAT(error.what(), HasSubstr("(pid " + std::to_string(getpid()) + ")"));
    }
  }
  EXPECT_NO_THROW(StateLock{dir.path()});
}

TEST(StateLock, WithoutADirectorySaysSo) {
  const TempDir dir;
  EXPECT_THROW(StateLock{dir.path() / "nowhere"}, std::system_error);
}

} // namespace
} // namespace hanat
