// The table of options that both programs read their arguments by.
#include "daemon/util/arguments.hpp"

#include <array>

#include <gmock/gmock.h>

namespace hanat {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::array rows = {OptionRow{"--config", "FILE", "the configuration file"}, OptionRow{"--check", "", "check it and exit"},
                             OptionRow{"--help", "", "this text", "-h"}};
enum Row : std::size_t { config, check, help };

CommandLine parse(std::vector<std::string_view> arguments) { return parse_command_line(rows, arguments); }
std::string error_text(std::vector<std::string_view> arguments) {
  try {
    parse(std::move(arguments));
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

TEST(CommandLine, HasOptionsWithTheirValuesAndOperands) {
  for (const auto& arguments : std::vector<std::vector<std::string_view>>{
           {"--config", "/x", "web", "--check"}, {"web", "--config=/x", "--check"}, {"--config=/x", "--check", "--", "web"}}) {
    const auto line = parse(arguments);
    ASSERT_EQ(line.options.size(), 2U);
    EXPECT_EQ(line.options[0].row, config);
    EXPECT_EQ(line.options[0].value, "/x");
    EXPECT_TRUE(line.has(check));
    EXPECT_FALSE(line.has(help));
    EXPECT_THAT(line.operands, ElementsAre("web"));
  }
  EXPECT_THAT(parse({}).options, IsEmpty());
}

TEST(CommandLine, AfterTwoDashesHasOperandsOnly) {
  EXPECT_THAT(parse({"--", "--check", "--", "-"}).operands, ElementsAre("--check", "--", "-"));
  EXPECT_THAT(parse({"-", ""}).operands, ElementsAre("-", ""));
}

TEST(CommandLine, KnowsLettersAndValuesThatLookLikeOptions) {
  EXPECT_TRUE(parse({"-h"}).has(help));
  EXPECT_EQ(parse({"--config", "-x"}).options[0].value, "-x");
  EXPECT_EQ(parse({"--config=--x=y"}).options[0].value, "--x=y");
}

TEST(CommandLine, ThatCannotBeReadSaysWhatWasMeant) {
  EXPECT_EQ(error_text({"--chekc"}), "unknown option --chekc: did you mean \"--check\"?");
  EXPECT_EQ(error_text({"--conf=/x"}), "unknown option --conf: did you mean \"--config\"?");
  EXPECT_EQ(error_text({"--table"}), "unknown option --table: write \"--config\", \"--check\" or \"--help\"");
  EXPECT_EQ(error_text({"-x"}), "unknown option -x: write \"--config\", \"--check\" or \"--help\"");
  EXPECT_THAT(error_text({"--\x1b[2J"}), testing::StartsWith("unknown option --\\x1b[2J:"));
  EXPECT_EQ(error_text({"--config"}), "--config needs a value: --config FILE");
  EXPECT_EQ(error_text({"--config", "--check"}), "--config needs a value: --config FILE");
  EXPECT_EQ(error_text({"--config", ""}), "--config needs a value that is not empty: --config FILE");
  EXPECT_EQ(error_text({"--config="}), "--config needs a value that is not empty: --config FILE");
  EXPECT_EQ(error_text({"--check=yes"}), "--check takes no value");
  EXPECT_EQ(error_text({"--check", "--check"}), "--check is given twice");
}

TEST(CommandLine, HasALineOfHelpForEveryOption) {
  EXPECT_EQ(option_help(rows[config]), "  --config FILE     the configuration file\n");
  EXPECT_EQ(option_help(rows[check]), "  --check           check it and exit\n");
}

} // namespace
} // namespace hanat
