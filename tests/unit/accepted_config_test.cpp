#include "daemon/accepted_config.hpp"

#include <filesystem>
#include <iterator>
#include <string>

#include <gtest/gtest.h>

#include "tests/unit/temp_dir.hpp"

namespace hanat {
namespace {

using test::read_text;
using test::TempDir;
using test::write_text;

std::string service(const std::string& name) {
  return "[service." + name + "]\nlisten = \"203.0.113.10:443/tcp\"\nprimary = \"198.18.11.2:8443\"\n";
}

class AcceptedConfig : public testing::Test {
protected:
  AcceptedConfig() {
    std::filesystem::create_directory(etc / "conf.d");
    write_text(etc / "hanat.toml", "[hanatd]\n");
    write_text(etc / "conf.d" / "web.toml", service("web"));
  }
  void keep() const { keep_accepted(state, etc / "hanat.toml"); }
  std::filesystem::path copy() const { return accepted_config(state, etc / "hanat.toml"); }
  std::string kept(const std::string& name) const { return read_text(copy().parent_path() / "conf.d" / name); }

  TempDir etc_dir, state_dir;
  const std::filesystem::path etc = etc_dir.path(), state = state_dir.path();
};

TEST_F(AcceptedConfig, IsTheFilesAsTheyWereLast) {
  keep();
  EXPECT_EQ(copy(), state / "accepted" / "hanat.toml");
  EXPECT_EQ(read_text(copy()), "[hanatd]\n");
  EXPECT_EQ(kept("web.toml"), service("web"));
  write_text(etc / "conf.d" / "web.toml", service("renamed"));
  keep();
  EXPECT_EQ(kept("web.toml"), service("renamed"));
  std::filesystem::remove(etc / "conf.d" / "web.toml");
  keep();
  EXPECT_FALSE(std::filesystem::exists(state / "accepted" / "conf.d" / "web.toml"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator{state}, {}), 1) << "nothing else is left";
}

TEST_F(AcceptedConfig, StaysWhereTheFilesHaveAnErrorOrOneOfThemCannotBeRead) {
  keep();
  write_text(etc / "conf.d" / "bad.toml", "listen = 5\n");
  keep();
  EXPECT_FALSE(std::filesystem::exists(state / "accepted" / "conf.d" / "bad.toml"));
  EXPECT_FALSE(std::filesystem::exists(state / "accepted.new"));
  std::filesystem::remove(etc / "conf.d" / "bad.toml");
  // A service whose file cannot be read now is not a service that was removed.
  std::filesystem::rename(etc / "conf.d" / "web.toml", etc / "elsewhere");
  std::filesystem::create_symlink(etc / "elsewhere", etc / "conf.d" / "web.toml");
  keep();
  EXPECT_EQ(kept("web.toml"), service("web"));
  std::filesystem::remove(etc / "hanat.toml");
  keep();
  EXPECT_EQ(read_text(copy()), "[hanatd]\n");
}

TEST_F(AcceptedConfig, IsThereHoweverItsReplacementWasBrokenOff) {
  keep();
  std::filesystem::rename(state / "accepted", state / "accepted.old");
  EXPECT_EQ(copy(), state / "accepted.old" / "hanat.toml");
  EXPECT_EQ(kept("web.toml"), service("web"));
  std::filesystem::create_directory(state / "accepted.new");
  keep();
  EXPECT_EQ(copy(), state / "accepted" / "hanat.toml");
  EXPECT_FALSE(std::filesystem::exists(state / "accepted.old"));
  EXPECT_FALSE(std::filesystem::exists(state / "accepted.new"));
}

} // namespace
} // namespace hanat
