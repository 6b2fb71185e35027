// The options of hanatd.
#include "daemon/arguments.hpp"

#include <gmock/gmock.h>

#include "daemon/util/arguments.hpp"
#include "tests/unit/temp_dir.hpp"

namespace hanat {
namespace {

using testing::AnyOf;
using testing::HasSubstr;

Arguments parse(std::vector<std::string_view> arguments) { return parse_arguments(arguments); }
std::string error_text(std::vector<std::string_view> arguments) {
  try {
    parse_arguments(arguments);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

constexpr const char* all_options[] = {"--config",   "--socket", "--state",  "--table",   "--shared-table",
                                       "--fallback", "--check",  "--remove", "--version", "--help"};

TEST(HanatdArguments, HaveDefaultsThatTheHelpNames) {
  const auto parsed = parse({});
  EXPECT_EQ(parsed.action, Action::run);
  EXPECT_FALSE(parsed.fallback);
  EXPECT_FALSE(parsed.paths.shared_table);
  for (const auto& value : {parsed.paths.config, parsed.paths.socket, parsed.paths.state, parsed.paths.table})
    EXPECT_THAT(help_text(), HasSubstr("(default: " + value + ")"));
}

TEST(HanatdArguments, SetPathsAndFlags) {
  const auto parsed = parse({"--config", "/c", "--socket=/s", "--state", "/d", "--table", "other", "--shared-table", "--fallback"});
  EXPECT_EQ(parsed.paths.config, "/c");
  EXPECT_EQ(parsed.paths.socket, "/s");
  EXPECT_EQ(parsed.paths.state, "/d");
  EXPECT_EQ(parsed.paths.table, "other");
  EXPECT_TRUE(parsed.paths.shared_table);
  EXPECT_TRUE(parsed.fallback);
}

TEST(HanatdArguments, NameOneAction) {
  EXPECT_EQ(parse({"--check", "--config", "/c"}).action, Action::check);
  EXPECT_EQ(parse({"--remove", "--table", "other"}).action, Action::remove);
  EXPECT_EQ(parse({"--version"}).action, Action::version);
  EXPECT_EQ(parse({"-V"}).action, Action::version);
  EXPECT_EQ(parse({"--help"}).action, Action::help);
  EXPECT_EQ(parse({"-h"}).action, Action::help);
  EXPECT_THAT(error_text({"--check", "--remove"}), HasSubstr("only one of"));
}

TEST(HanatdArguments, ThatAreWrongSayWhatWasMeant) {
  EXPECT_EQ(error_text({"--cofnig", "/c"}), "unknown option --cofnig: did you mean \"--config\"?");
  EXPECT_EQ(error_text({"--foreground"}),
            "unknown option --foreground: write \"--config\", \"--socket\", \"--state\", \"--table\", \"--shared-table\", \"--fallback\", "
            "\"--check\", \"--remove\", \"--version\" or \"--help\"");
  EXPECT_EQ(error_text({"check"}), "unexpected argument \"check\": did you mean \"--check\"?");
  EXPECT_EQ(error_text({"/etc/hanat/hanat.toml"}), "unexpected argument \"/etc/hanat/hanat.toml\": hanatd takes options only");
  EXPECT_EQ(error_text({"--config"}), "--config needs a value: --config FILE");
  EXPECT_EQ(error_text({"--table", "a", "--table", "b"}), "--table is given twice");
}

TEST(HanatdArguments, StandInTheHelpAndTheManPage) {
  const auto man = test::read_text(std::filesystem::path{HANAT_SOURCE} / "packaging/man/hanatd.8.scd");
  for (const std::string option : all_options) {
    EXPECT_THAT(help_text(), AnyOf(HasSubstr("  " + option), HasSubstr(", " + option))); // behind its letter
    EXPECT_THAT(man, HasSubstr("*" + option + "*"));
  }
}

} // namespace
} // namespace hanat
