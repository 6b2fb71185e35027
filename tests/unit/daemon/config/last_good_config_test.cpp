// The copy of the last good configuration: when it is replaced, and that it survives an interrupted replacement.
// Not here: when hanatd uses it (tests/netns/daemon/lifecycle_test).
#include "daemon/config/last_good_config.hpp"

#include <filesystem>
#include <iterator>
#include <string>

#include <gtest/gtest.h>

#include "daemon/config/fingerprint.hpp"
#include "tests/unit/temp_dir.hpp"

namespace hanat {
namespace {

using test::read_text;
using test::TempDir;
using test::write_text;

std::string service(const std::string& name) {
  return "[service." + name + "]\nlisten = \"203.0.113.10:443/tcp\"\nprimary = \"198.18.11.2:8443\"\n";
}

class LastGoodConfig : public testing::Test {
protected:
  LastGoodConfig() {
    std::filesystem::create_directory(etc / "conf.d");
    write_text(etc / "hanat.toml", "[hanatd]\n");
    write_text(etc / "conf.d" / "web.toml", service("web"));
  }
  void save() const { save_last_good(state, config::read_config_files(etc / "hanat.toml")); }
  std::filesystem::path copy() const { return last_good_config(state, etc / "hanat.toml"); }
  std::string saved(const std::string& name) const { return read_text(copy().parent_path() / "conf.d" / name); }

  TempDir etc_dir, state_dir;
  const std::filesystem::path etc = etc_dir.path(), state = state_dir.path();
};

TEST_F(LastGoodConfig, IsACopyOfTheFiles) {
  save();
  EXPECT_EQ(copy(), state / "accepted" / "hanat.toml");
  EXPECT_EQ(read_text(copy()), "[hanatd]\n");
  EXPECT_EQ(saved("web.toml"), service("web"));
  write_text(etc / "conf.d" / "web.toml", service("renamed"));
  save();
  EXPECT_EQ(saved("web.toml"), service("renamed"));
  std::filesystem::remove(etc / "conf.d" / "web.toml");
  save();
  EXPECT_FALSE(std::filesystem::exists(state / "accepted" / "conf.d" / "web.toml"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator{state}, {}), 1) << "no other file is left";
}

TEST_F(LastGoodConfig, StaysIfAFileCannotBeRead) {
  save();
  // A service whose file cannot be read is not a removed service.
  std::filesystem::rename(etc / "conf.d" / "web.toml", etc / "elsewhere");
  std::filesystem::create_symlink(etc / "elsewhere", etc / "conf.d" / "web.toml");
  save();
  EXPECT_EQ(saved("web.toml"), service("web"));
  EXPECT_FALSE(std::filesystem::exists(state / "accepted.new"));
  std::filesystem::remove(etc / "hanat.toml");
  save();
  EXPECT_EQ(read_text(copy()), "[hanatd]\n");
}

TEST_F(LastGoodConfig, SurvivesAnInterruptedReplacement) {
  save();
  std::filesystem::rename(state / "accepted", state / "accepted.old");
  EXPECT_EQ(copy(), state / "accepted.old" / "hanat.toml");
  EXPECT_EQ(saved("web.toml"), service("web"));
  std::filesystem::create_directory(state / "accepted.new");
  save();
  EXPECT_EQ(copy(), state / "accepted" / "hanat.toml");
  EXPECT_FALSE(std::filesystem::exists(state / "accepted.old"));
  EXPECT_FALSE(std::filesystem::exists(state / "accepted.new"));
}

TEST_F(LastGoodConfig, RemembersWhichConfigurationIsOnTrial) {
  EXPECT_EQ(unconfirmed_content(state), std::nullopt);
  forget_unconfirmed(state);
  const std::uint64_t content = config_content_hash(etc / "hanat.toml");
  save_unconfirmed(state, content);
  EXPECT_EQ(unconfirmed_content(state), content);
  save_unconfirmed(state, content + 1);
  EXPECT_EQ(unconfirmed_content(state), content + 1);
  forget_unconfirmed(state);
  EXPECT_EQ(unconfirmed_content(state), std::nullopt);
  write_text(state / "unconfirmed", "rubbish");
  EXPECT_EQ(unconfirmed_content(state), std::nullopt);
  save();
  EXPECT_EQ(config_content_hash(copy()), content) << "a copy has the same content";
}

} // namespace
} // namespace hanat
