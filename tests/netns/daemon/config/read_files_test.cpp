// Configuration files of another owner: only root can give a file away. Not here: all else about them as files (the unit test of this
// name).
#include <filesystem>
#include <string>
#include <variant>
#include <vector>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/config/load_config.hpp"
#include "tests/unit/temp_dir.hpp"

namespace hanat::test {
namespace {

TEST(ConfigFiles, AFileOfAnotherOwnerInConfDIsAnError) {
  const TempDir dir;
  std::filesystem::create_directory(dir / "conf.d");
  const std::string main_file = dir / "hanat.toml", other_file = dir / "conf.d/b.toml";
  write_text(main_file, "[service.a]\nlisten = \"203.0.113.10:1/tcp\"\nprimary = \"10.0.0.1\"\n");
  write_text(other_file, "[service.b]\nlisten = \"203.0.113.10:2/tcp\"\nprimary = \"10.0.0.1\"\n");
  for (const std::string& file : {main_file, other_file}) ASSERT_EQ(chmod(file.c_str(), 0644), 0);
  const auto errors = [&] {
    const auto result = load_config(main_file);
    std::string lines;
    if (const auto* found = std::get_if<std::vector<ConfigError>>(&result))
      for (const ConfigError& error : *found) lines += to_text(error) + "\n";
    return lines;
  };
  ASSERT_EQ(chown(other_file.c_str(), 12'345, 0), 0);
  EXPECT_EQ(errors(), other_file + ": this file belongs to uid 12345, who could redirect traffic: check its content, then run `chown root "
                                   "FILE`\n");
  ASSERT_EQ(chown(main_file.c_str(), 12'345, 0), 0); // the owner of the main file may own the others
  EXPECT_EQ(errors(), "");
}

} // namespace
} // namespace hanat::test
