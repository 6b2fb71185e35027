// Who could change a program that hanatd runs. Not here: what a configuration says of it (read_hook_test).
#include "daemon/util/trusted_program.hpp"

#include <array>
#include <filesystem>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/temp_dir.hpp"

namespace hanat {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class TrustedProgram : public testing::Test {
protected:
  TrustedProgram() {
    std::filesystem::create_directory(folder / "bin");
    test::write_text(program, "#!/bin/sh\n");
    mode(program, 0755);
    mode(folder / "bin", 0755);
  }
  static void mode(const std::string& path, mode_t bits) { ASSERT_EQ(::chmod(path.c_str(), bits), 0); }
  std::string why(const std::string& path) const { return untrusted(path, std::array{geteuid()}); }

  test::TempDir folder;
  std::string program = folder / "bin/tell";
};

TEST_F(TrustedProgram, OfOneselfOrRootIsTrusted) {
  EXPECT_EQ(why(program), "");
  EXPECT_EQ(why("/bin/sh"), "") << "also behind links";
  EXPECT_EQ(untrusted("/bin/sh", {}), "");
}

TEST_F(TrustedProgram, ThatOthersCanWriteIsNot) {
  mode(program, 0757);
  EXPECT_EQ(why(program), program + " can be written by everyone, who could change what is run: chmod go-w " + program);
  mode(program, 0775);
  EXPECT_EQ(why(program), program + " can be written by its group, who could change what is run: chmod go-w " + program);
}

TEST_F(TrustedProgram, NorAreAllDirectoriesOnTheWay) {
  mode(folder / "bin", 0777);
  EXPECT_EQ(why(program),
            "directory " + (folder / "bin") + " can be written by everyone, who could change what is run: chmod go-w " + (folder / "bin"));
  mode(folder / "bin", 01777);
  EXPECT_EQ(why(program), "") << "with the sticky bit nobody can replace it";
}

TEST_F(TrustedProgram, LinksAreFollowedAndTheirTargetsAreLookedAt) {
  std::filesystem::create_symlink("../bin/tell", folder / "bin/relative");
  std::filesystem::create_symlink(program, folder / "absolute");
  std::filesystem::create_symlink("bin", folder / "directory");
  std::filesystem::create_symlink("loop", folder / "loop");
  for (const char* name : {"bin/relative", "absolute", "directory/tell"}) EXPECT_EQ(why(folder / name), "") << name;
  EXPECT_THAT(why(folder / "loop"), HasSubstr("Too many levels of symbolic links"));
  mode(program, 0777);
  for (const char* name : {"bin/relative", "absolute", "directory/tell"})
    EXPECT_THAT(why(folder / name), StartsWith(program + " can be written")) << name;
}

TEST_F(TrustedProgram, OfSomebodyElseIsNot) {
  const std::array<uid_t, 1> somebody{65'533};
  if (geteuid() == 0) { // only root can give files away
    ASSERT_EQ(::chown(program.c_str(), 65'532, 0), 0);
  }
  const std::string owner = geteuid() == 0 ? program : "directory " + folder.path().string();
  EXPECT_THAT(untrusted(program, somebody), StartsWith(owner + " belongs to "));
  EXPECT_THAT(untrusted(program, somebody), HasSubstr(", who could change what is run: give it to root (chown -h root "));
}

TEST_F(TrustedProgram, MustBeAProgram) {
  EXPECT_EQ(why(folder / "none"), (folder / "none") + ": No such file or directory");
  EXPECT_EQ(why(folder / "bin"), (folder / "bin") + " is not a file: name a program");
  mode(program, 0644);
  EXPECT_EQ(why(program), program + " is not executable: chmod +x " + program);
  EXPECT_EQ(why(program + "/more"), program + "/more: Not a directory");
}

} // namespace
} // namespace hanat
