// The program hanatd with arguments that start nothing: exit status, stdout and stderr.
// Not here: every wrong argument (tests/unit/daemon/arguments_test).
#include <gmock/gmock.h>

#include "daemon/arguments.hpp"
#include "daemon/util/version.hpp"
#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/process.hpp"
#include "tests/unit/temp_dir.hpp"

namespace hanat {
namespace {

test::Output hanatd(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), test::hanatd_program());
  return test::collect(arguments, std::chrono::seconds{20});
}

TEST(HanatdProgram, WithBadArgumentsExitsWithTwoAndSaysWhatWasMeant) {
  const auto mistyped = hanatd({"--cofnig", "/nowhere/hanat.toml"});
  EXPECT_EQ(mistyped.exit, 2);
  EXPECT_EQ(mistyped.out, "");
  EXPECT_EQ(mistyped.err, "hanatd: unknown option --cofnig: did you mean \"--config\"?\nhanatd --help shows all options\n");
  for (const auto& arguments : std::vector<std::vector<std::string>>{{"check"}, {"--config"}, {"--check=yes"}, {"--check", "--remove"}})
    EXPECT_EQ(hanatd(arguments).exit, 2) << arguments.front();
}

TEST(HanatdProgram, PrintsItsHelpAndItsVersion) {
  const auto help = hanatd({"--help"});
  EXPECT_EQ(help.exit, 0);
  EXPECT_EQ(help.out, help_text());
  EXPECT_EQ(help.err, "");
  const auto shown = hanatd({"--version"});
  EXPECT_EQ(shown.exit, 0);
  EXPECT_EQ(shown.out, std::string{version()} + "\n");
}

TEST(HanatdProgram, ChecksAConfigurationWithoutStarting) {
  const test::TempDir dir;
  const std::string file = dir / "hanat.toml";
  test::write_text(file, "[service.web]\nlisten = \"203.0.113.10:443/tcp\"\nprimary = \"198.18.1.2:8443\"\n");
  const auto good = hanatd({"--check", "--config", file});
  EXPECT_EQ(good.exit, 0);
  EXPECT_EQ(good.out, file + ": 1 service, ok\n");
  EXPECT_EQ(hanatd({"--check", "--config=/nowhere/hanat.toml"}).exit, 2);
}

} // namespace
} // namespace hanat
