// The list of kernel modules, which the package repeats for systemd. Not here: a kernel without one of them (tests/vm).
#include "nat/kernel_modules.hpp"

#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "tests/unit/temp_dir.hpp"

namespace hanat {
namespace {

TEST(KernelModules, AreAllListedInThePackage) {
  const test::TempDir none_loaded;
  std::ifstream file{HANAT_SOURCE "/packaging/modules-load.conf"};
  std::set<std::string> listed;
  for (std::string line; std::getline(file, line);)
    if (!line.starts_with('#')) listed.insert(line);
  const auto needed = nat::modules_not_loaded(none_loaded / "");
  EXPECT_GT(needed.size(), 5U);
  for (const std::string& name : needed) EXPECT_TRUE(listed.contains(name)) << name;
}

TEST(KernelModules, AreNotReportedIfLoadedOrUnknown) {
  const test::TempDir loaded;
  std::filesystem::create_directory(loaded / "nft_masq");
  for (const std::string& name : nat::modules_not_loaded(loaded / "")) EXPECT_NE(name, "nft_masq");
  EXPECT_TRUE(nat::modules_not_loaded(loaded / "missing").empty());
}

} // namespace
} // namespace hanat
