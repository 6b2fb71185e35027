#include "cli/words.hpp"

#include <gmock/gmock.h>

#include "cli/text.hpp"
#include "tests/unit/temp_dir.hpp"

namespace hanat::cli {
namespace {

using testing::HasSubstr;

Invocation parse(std::vector<std::string_view> arguments) { return parse_arguments(arguments); }
std::string complaint(std::vector<std::string_view> arguments) {
  try {
    parse_arguments(arguments);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

TEST(Arguments, WithoutAWordAreStatus) {
  EXPECT_EQ(parse({}).command, Command::status);
  EXPECT_EQ(parse({"--json"}).command, Command::status);
  EXPECT_TRUE(parse({"--json"}).json);
}

TEST(Arguments, TakeOptionsBeforeAndAfterTheWord) {
  for (const auto& arguments : std::vector<std::vector<std::string_view>>{
           {"--socket", "/s", "force-backup", "web", "--for", "30m", "--reason", "disk", "--json"},
           {"force-backup", "--for=30m", "--reason=disk", "web", "--json", "--socket=/s"},
           {"--for", "30m", "--reason", "disk", "--json", "--socket", "/s", "force-backup", "web"}}) {
    const auto made = parse(arguments);
    EXPECT_EQ(made.command, Command::force_backup);
    EXPECT_EQ(made.operand, "web");
    EXPECT_EQ(made.socket, "/s");
    EXPECT_EQ(made.for_time, std::chrono::minutes{30});
    EXPECT_EQ(made.reason, "disk");
    EXPECT_EQ(made.server, "backup");
    EXPECT_TRUE(made.json);
  }
}

TEST(Arguments, OfEveryWordAreUnderstood) {
  EXPECT_EQ(parse({"status", "web"}).operand, "web");
  EXPECT_EQ(parse({"force-primary", "--all", "--even-if-down"}).server, "primary");
  EXPECT_TRUE(parse({"force-primary", "--all", "--even-if-down"}).even_if_down);
  EXPECT_EQ(parse({"force-backup", "web", "--server", "backup2"}).server, "backup2");
  EXPECT_EQ(parse({"auto", "--all"}).command, Command::automatic);
  EXPECT_TRUE(parse({"auto", "--all"}).all);
  EXPECT_EQ(parse({"reload"}).command, Command::reload);
  EXPECT_EQ(parse({"check", "/tmp/x.toml"}).operand, "/tmp/x.toml");
  EXPECT_EQ(parse({"version"}).command, Command::version);
  EXPECT_EQ(parse({"--version"}).command, Command::version);
  EXPECT_EQ(parse({"help", "auto"}).operand, "auto");
  EXPECT_EQ(parse({"-h"}).command, Command::help);
  EXPECT_EQ(parse({"auto", "--help"}).operand, "auto");
  EXPECT_EQ(parse({"check", "--", "--odd-name"}).operand, "--odd-name");
}

TEST(Arguments, ThatAreMistypedGetTheValidOnes) {
  EXPECT_THAT(complaint({"staus"}), AllOf(HasSubstr("did you mean status?"), HasSubstr("words: status, force-backup")));
  EXPECT_THAT(complaint({"force"}), HasSubstr("did you mean force-backup?"));
  EXPECT_THAT(complaint({"web"}), HasSubstr("hanatctl status web"));
  EXPECT_THAT(complaint({"--jason"}), AllOf(HasSubstr("did you mean --json?"), HasSubstr("options: --socket")));
  EXPECT_THAT(complaint({"help", "autp"}), "");
  EXPECT_THROW(help_text("autp"), UsageError);
  EXPECT_THAT(complaint({"\x1b[2J"}), HasSubstr("\\x1b[2J"));
}

TEST(Arguments, ThatDoNotFitAreRefused) {
  EXPECT_THAT(complaint({"status", "a", "b"}), HasSubstr("\"b\" is one too many"));
  EXPECT_THAT(complaint({"reload", "web"}), HasSubstr("reload stands alone"));
  EXPECT_THAT(complaint({"auto", "web", "--all"}), HasSubstr("either web or --all"));
  EXPECT_THAT(complaint({"auto", "web", "--for", "1m"}),
              HasSubstr("--for does not go with auto; it goes with: force-backup, force-primary"));
  EXPECT_THAT(complaint({"force-primary", "--server", "backup"}), HasSubstr("--server does not go with force-primary"));
  EXPECT_THAT(complaint({"force-backup", "--server", "primary"}), HasSubstr("force-primary"));
  for (const auto* server : {"backup1", "backup0", "backup02", "backupx", "web", "backup-2"})
    EXPECT_THAT(complaint({"force-backup", "--server", server}), HasSubstr("backup2")) << server;
  EXPECT_THAT(complaint({"--socket"}), HasSubstr("--socket needs a value"));
  EXPECT_THAT(complaint({"--socket", "--json"}), HasSubstr("--socket needs a value"));
  EXPECT_THAT(complaint({"--socket="}), HasSubstr("not empty"));
  EXPECT_THAT(complaint({"--json=1"}), HasSubstr("takes no value"));
  EXPECT_THAT(complaint({"--json", "--json"}), HasSubstr("twice"));
  EXPECT_THAT(complaint({"force-backup", "--for", "soon"}), HasSubstr("--for soon: not a time"));
}

TEST(Arguments, OfEveryOptionStandInTheHelpOfItsWords) {
  for (const auto& word : words()) {
    EXPECT_THAT(help_text(), HasSubstr(std::string{word.name}));
    EXPECT_THAT(help_text(word.name), HasSubstr(std::string{word.help}));
  }
  EXPECT_THAT(help_text("force-backup"), AllOf(HasSubstr("--server NAME"), HasSubstr("--for TIME"), HasSubstr("--socket PATH")));
}

TEST(Arguments, OfEveryKindStandInTheManPageAndTheCompletion) {
  const auto packaging = std::filesystem::path{HANAT_SOURCE} / "packaging";
  const auto man = test::read_text(packaging / "man/hanatctl.8.scd"), completion = test::read_text(packaging / "completions/hanatctl.bash");
  for (const auto& word : words()) {
    EXPECT_THAT(man, HasSubstr("*" + std::string{word.name} + "*"));
    EXPECT_THAT(completion, HasSubstr(std::string{word.name} + (word.command == Command::help ? "\"" : " ")));
  }
  for (const auto* option : {"--socket", "--json", "--help", "--all", "--for", "--reason", "--server", "--even-if-down"}) {
    EXPECT_THAT(man, HasSubstr("*" + std::string{option} + "*"));
    EXPECT_THAT(completion, HasSubstr(option));
  }
}

TEST(Duration, IsReadInEveryUnit) {
  using namespace std::chrono_literals;
  EXPECT_EQ(parse_duration("500ms"), 500ms);
  EXPECT_EQ(parse_duration("10s"), 10s);
  EXPECT_EQ(parse_duration("30m"), 30min);
  EXPECT_EQ(parse_duration("1h30m"), 90min);
  EXPECT_EQ(parse_duration("2d"), 48h);
  for (const auto* bad : {"", "0s", "30", "m", "-5m", "+5m", "5 m", "1.5h", "5x", "99999999999999999999s", "9223372036854775807d", "3651d",
                          "5m-1s", "3650d1ms"})
    EXPECT_EQ(parse_duration(bad), std::nullopt) << bad;
}

TEST(Nearest, FindsSlipsAndBeginnings) {
  const std::vector<std::string_view> known = {"web", "status", "force-primary"};
  EXPECT_EQ(nearest("wbe", known), "web");
  EXPECT_EQ(nearest("bwe", known), "");
  EXPECT_EQ(nearest("wev", known), "web");
  EXPECT_EQ(nearest("stats", known), "status");
  EXPECT_EQ(nearest("force-p", known), "force-primary");
  EXPECT_EQ(nearest("zzz", known), "");
  EXPECT_EQ(nearest("", known), "");
}

TEST(Text, OfOthersIsMadeHarmless) {
  EXPECT_EQ(printable("web-1 (a)"), "web-1 (a)");
  EXPECT_EQ(printable(std::string_view{"\x1b]0;x\x07\n\0\xc3\xbc", 10}), "\\x1b]0;x\\x07\\x0a\\x00\\xc3\\xbc");
}

TEST(Text, OfADurationHasTwoUnitsAtMost) {
  EXPECT_EQ(duration(0.42), "0.4 s");
  EXPECT_EQ(duration(43.2), "43 s");
  EXPECT_EQ(duration(59.7), "1 min");
  EXPECT_EQ(duration(545), "9 min 5 s");
  EXPECT_EQ(duration(1800), "30 min");
  EXPECT_EQ(duration(7380), "2 h 3 min");
  EXPECT_EQ(duration(273600), "3 d 4 h");
  EXPECT_EQ(duration(-5), "0.0 s");
  EXPECT_EQ(duration(1e300), duration(1e12));
}

} // namespace
} // namespace hanat::cli
