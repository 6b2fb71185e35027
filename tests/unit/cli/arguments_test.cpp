// The command line of hanatctl, and small texts for people.
#include "cli/arguments.hpp"

#include <sstream>

#include <gmock/gmock.h>

#include "cli/other_tools.hpp"
#include "cli/text.hpp"
#include "tests/unit/temp_dir.hpp"

namespace hanat::cli {
namespace {

using testing::HasSubstr;

Invocation parse(std::vector<std::string_view> arguments) { return parse_arguments(arguments); }
std::string error_text(std::vector<std::string_view> arguments) {
  try {
    parse_arguments(arguments);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

TEST(Arguments, WithoutACommandAreStatus) {
  EXPECT_EQ(parse({}).command, Command::status);
  EXPECT_EQ(parse({"--json"}).command, Command::status);
  EXPECT_TRUE(parse({"--json"}).json);
}

TEST(Arguments, OfAReportWithoutATimeAreShownWithTheHealthThatWasAskedFor) {
  EXPECT_THAT(error_text({"report", "web", "backup", "--health", "drain"}),
              HasSubstr("hanatctl report web backup --health drain --for 30s"));
  EXPECT_THAT(error_text({"report", "primary", "--for", "5s"}), HasSubstr("hanatctl report primary --health down --for 30s"));
}

TEST(Arguments, OfSettledAreNone) {
  EXPECT_EQ(parse({"settled"}).command, Command::settled);
  EXPECT_THAT(error_text({"settled", "web"}), HasSubstr("settled"));
}

TEST(Arguments, TakeOptionsBeforeAndAfterTheCommand) {
  for (const auto& arguments : std::vector<std::vector<std::string_view>>{
           {"--socket", "/s", "force-backup", "web", "--for", "30m", "--reason", "disk", "--json"},
           {"force-backup", "--for=30m", "--reason=disk", "web", "--json", "--socket=/s"},
           {"--for", "30m", "--reason", "disk", "--json", "--socket", "/s", "force-backup", "web"}}) {
    const auto parsed = parse(arguments);
    EXPECT_EQ(parsed.command, Command::force_backup);
    EXPECT_EQ(parsed.operand, "web");
    EXPECT_EQ(parsed.socket, "/s");
    EXPECT_EQ(parsed.for_time, std::chrono::minutes{30});
    EXPECT_EQ(parsed.reason, "disk");
    EXPECT_EQ(parsed.server, "") << "whichever is up";
    EXPECT_TRUE(parsed.json);
  }
}

TEST(Arguments, OfEveryCommandAreUnderstood) {
  EXPECT_EQ(parse({"status", "web"}).operand, "web");
  EXPECT_EQ(parse({"force-primary", "--all", "--even-if-down"}).server, "primary");
  EXPECT_TRUE(parse({"force-primary", "--all", "--even-if-down"}).even_if_down);
  EXPECT_EQ(parse({"force-backup", "web", "--server", "backup2"}).server, "backup2");
  EXPECT_EQ(parse({"auto", "--all"}).command, Command::automatic);
  EXPECT_TRUE(parse({"auto", "--all"}).all);
  EXPECT_EQ(parse({"disable", "web", "backup2", "--yes"}).operand, "web");
  EXPECT_EQ(parse({"disable", "web", "backup2", "--yes"}).server, "backup2");
  EXPECT_TRUE(parse({"disable", "web", "backup2", "--yes"}).yes);
  EXPECT_EQ(parse({"enable", "10.0.0.12"}).operand, "") << "the only service";
  EXPECT_EQ(parse({"enable", "10.0.0.12"}).server, "10.0.0.12");
  EXPECT_EQ(parse({"force-backup", "--drain", "10m"}).drain, std::chrono::minutes{10});
  EXPECT_TRUE(parse({"auto", "--reset", "--wait"}).reset);
  EXPECT_TRUE(parse({"auto", "--reset", "--wait"}).wait);
  EXPECT_TRUE(parse({"force-primary", "--until-down"}).until_down);
  EXPECT_EQ(parse({"reload"}).command, Command::reload);
  EXPECT_EQ(parse({"check", "/tmp/x.toml"}).operand, "/tmp/x.toml");
  EXPECT_EQ(parse({"events", "web", "--follow"}).command, Command::events);
  EXPECT_TRUE(parse({"events", "web", "--follow"}).follow);
  EXPECT_EQ(parse({"why", "web"}).operand, "web");
  EXPECT_TRUE(parse({"why", "--at", "14:02"}).at);
  EXPECT_EQ(parse({"plan", "/tmp/x.toml"}).operand, "/tmp/x.toml");
  EXPECT_EQ(parse({"probe", "web"}).command, Command::probe);
  EXPECT_EQ(parse({"connections", "web", "--list", "20"}).list, 20);
  EXPECT_TRUE(parse({"check", "--ask"}).ask);
  EXPECT_TRUE(parse({"check", "--strict"}).strict);
  EXPECT_EQ(parse({"version"}).command, Command::version);
  EXPECT_EQ(parse({"--version"}).command, Command::version);
  EXPECT_EQ(parse({"-V", "--json"}).command, Command::version);
  EXPECT_EQ(parse({"help", "auto"}).operand, "auto");
  EXPECT_EQ(parse({"-h"}).command, Command::help);
  EXPECT_EQ(parse({"auto", "--help"}).operand, "auto");
  EXPECT_EQ(parse({"check", "--", "--odd-name"}).operand, "--odd-name");
}

TEST(Arguments, ThatAreMistypedGetASuggestion) {
  EXPECT_EQ(error_text({"staus"}), "unknown command \"staus\": did you mean \"status\"?");
  EXPECT_EQ(error_text({"force"}), "unknown command \"force\": did you mean \"force-backup\"?");
  EXPECT_THAT(error_text({"web"}), AllOf(HasSubstr(": write \"status\", \"top\", \"force-backup\""), HasSubstr("hanatctl status web")));
  EXPECT_THAT(error_text({"--jason"}), HasSubstr(": did you mean \"--json\"?"));
  EXPECT_THAT(error_text({"help", "autp"}), "");
  EXPECT_THROW(help_text("autp"), UsageError);
  EXPECT_THAT(error_text({"\x1b[2J"}), HasSubstr("\\x1b[2J"));
}

TEST(Arguments, ThatDoNotBelongTogetherAreRefused) {
  EXPECT_THAT(error_text({"status", "a", "b"}), HasSubstr("unexpected argument \"b\"; usage: hanatctl status [SERVICE|--all]"));
  EXPECT_THAT(error_text({"reload", "web"}), HasSubstr("unexpected argument \"web\"; usage: hanatctl reload"));
  EXPECT_THAT(error_text({"auto", "web", "--all"}), HasSubstr("either web or --all"));
  EXPECT_THAT(error_text({"auto", "web", "--for", "1m"}),
              HasSubstr("auto has no option --for; it belongs to: force-backup, force-primary, drill, disable"));
  EXPECT_THAT(error_text({"disable"}), HasSubstr("name a server: hanatctl disable [SERVICE] SERVER"));
  EXPECT_THAT(error_text({"enable", "a", "b", "c"}), HasSubstr("unexpected argument \"c\"; usage: hanatctl enable [SERVICE] SERVER"));
  EXPECT_THAT(error_text({"force-backup", "--drain", "1m", "--reset"}), HasSubstr("either --drain or --reset"));
  EXPECT_THAT(error_text({"force-backup", "--until-down", "--even-if-down"}), HasSubstr("either --until-down or --even-if-down"));
  for (const auto* time : {"0s", "500ms", "31d", "soon"})
    EXPECT_THAT(error_text({"disable", "web", "backup", "--drain", time}), HasSubstr("not a time from 1s to 30d")) << time;
  EXPECT_THAT(error_text({"force-primary", "--server", "backup"}), HasSubstr("force-primary has no option --server"));
  EXPECT_THAT(error_text({"force-backup", "--server", "primary"}), HasSubstr("force-primary"));
  for (const auto* server : {"backup1", "backup0", "backup02", "backupx", "web", "backup-2"})
    EXPECT_THAT(error_text({"force-backup", "--server", server}), HasSubstr("backup2")) << server;
  EXPECT_THAT(error_text({"--socket"}), HasSubstr("--socket needs a value"));
  EXPECT_THAT(error_text({"--socket", "--json"}), HasSubstr("--socket needs a value"));
  EXPECT_THAT(error_text({"--socket="}), HasSubstr("not empty"));
  EXPECT_THAT(error_text({"--json=1"}), HasSubstr("takes no value"));
  EXPECT_THAT(error_text({"--json", "--json"}), HasSubstr("twice"));
  EXPECT_THAT(error_text({"force-backup", "--for", "soon"}), HasSubstr("--for soon: not a time"));
}

TEST(Arguments, OfImportAreASystemAndItsFile) {
  const auto invocation = parse({"import", "haproxy", "/etc/haproxy/haproxy.cfg", "--address", "203.0.113.10,2001:db8::10", "-j"});
  EXPECT_EQ(invocation.command, Command::import_file);
  EXPECT_EQ(invocation.operand, "haproxy");
  EXPECT_EQ(invocation.file, "/etc/haproxy/haproxy.cfg");
  EXPECT_EQ(invocation.addresses, (std::vector<std::string>{"203.0.113.10", "2001:db8::10"}));
  EXPECT_TRUE(invocation.json);
  EXPECT_EQ(parse({"import", "iptables", "-"}).file, "-");
  EXPECT_THAT(error_text({"import"}), HasSubstr("hanatctl import keepalived|haproxy|iptables FILE"));
  EXPECT_THAT(error_text({"import", "haproxi", "f"}), HasSubstr("did you mean \"haproxy\"?"));
  EXPECT_THAT(error_text({"import", "keepalived"}), HasSubstr("name the file: hanatctl import keepalived FILE"));
  EXPECT_THAT(error_text({"import", "keepalived", "a", "b"}), HasSubstr("unexpected argument \"b\""));
  for (const auto* address : {"host", "203.0.113.10:80", "0.0.0.0", "203.0.113.10;"})
    EXPECT_THAT(error_text({"import", "iptables", "f", "--address", address}), HasSubstr("203.0.113.10,2001:db8::10")) << address;
}

TEST(Arguments, OfNeighbouringProgramsGetAHint) {
  EXPECT_THAT(error_text({"maintenance"}), HasSubstr("unknown command \"maintenance\"; in hanat that is: hanatctl disable SERVER"));
  EXPECT_THAT(error_text({"show"}), HasSubstr("hanatctl status"));
  EXPECT_THAT(error_text({"down"}), HasSubstr("hanatctl disable"));
  EXPECT_THAT(error_text({"up"}), HasSubstr("hanatctl enable"));
  EXPECT_THAT(error_text({"failover", "web"}), HasSubstr("hanatctl force-backup"));
  for (const auto& subcommand : subcommands()) EXPECT_EQ(hint_for(subcommand.name), "") << subcommand.name;
}

TEST(Arguments, OfEveryCommandStandInTheHelp) {
  for (const auto& subcommand : subcommands()) {
    EXPECT_THAT(help_text(), HasSubstr(std::string{subcommand.name}));
    EXPECT_THAT(help_text(subcommand.name), HasSubstr(std::string{subcommand.help}));
  }
  EXPECT_THAT(help_text("force-backup"), AllOf(HasSubstr("--server NAME"), HasSubstr("--for TIME"), HasSubstr("--socket PATH")));
}

TEST(Arguments, HelpFitsTheScreenAndAnswersWhatIsAskedAtNight) {
  std::string all = help_text({}, 80);
  EXPECT_THAT(all, AllOf(HasSubstr("hanatctl doctor\n"), HasSubstr("hanatctl why SERVICE --at 14:02\n"),
                         HasSubstr("hanatctl connections SERVICE\n")));
  for (const auto& subcommand : subcommands()) all += help_text(subcommand.name, 80);
  std::istringstream lines{all};
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80U) << line;
}

TEST(Arguments, OfEveryKindStandInTheManPage) {
  const auto man = test::read_text(std::filesystem::path{HANAT_SOURCE} / "packaging/man/hanatctl.8.scd");
  for (const auto& subcommand : subcommands()) EXPECT_THAT(man, HasSubstr("*" + std::string{subcommand.name} + "*"));
  for (std::size_t option = 0; option < option_count; ++option)
    EXPECT_THAT(man, HasSubstr("*" + std::string{row_of(static_cast<Option>(option)).name} + "*"));
}

TEST(Arguments, OfADrillAreThoseOfAMoveAndATimeOfADayAtMost) {
  const Invocation drill = parse({"drill", "web", "--for", "10s", "--server", "backup2", "--reset", "--reason", "monthly"});
  EXPECT_EQ(drill.command, Command::drill);
  EXPECT_EQ(drill.operand, "web");
  EXPECT_EQ(drill.for_time, std::chrono::seconds{10});
  EXPECT_EQ(drill.server, "backup2");
  EXPECT_TRUE(drill.reset);
  for (const auto* time : {"999ms", "25h"})
    EXPECT_THAT(error_text({"drill", "web", "--for", time}), HasSubstr("a drill lasts from 1s to 24h")) << time;
  EXPECT_THAT(error_text({"drill", "--all"}), HasSubstr("drill has no option --all"));
  EXPECT_THAT(error_text({"rehearse"}), HasSubstr("hanatctl drill SERVICE"));
}

TEST(Arguments, OfACompletionAreNotUnderstoodHere) {
  const Invocation typed = parse({"complete", "zsh", "--nonsense", "--for"});
  EXPECT_EQ(typed.command, Command::complete);
  EXPECT_EQ(typed.operand, "zsh");
  EXPECT_THAT(typed.words, testing::ElementsAre("--nonsense", "--for"));
  EXPECT_THAT(error_text({"complete"}), HasSubstr("name the shell"));
}

TEST(Arguments, OfForTakeATimeOfTenYearsAtMost) {
  using namespace std::chrono_literals;
  const auto time_of = [](std::string_view text) { return parse({"force-backup", "--for", text}).for_time; };
  EXPECT_EQ(time_of("500ms"), 500ms);
  EXPECT_EQ(time_of("1h30m"), 90min);
  EXPECT_EQ(time_of("3650d"), std::chrono::days{3650});
  for (const auto* bad : {"0s", "30", "-5m", "soon", "99999999999999999999s", "3651d", "3650d1ms"})
    EXPECT_THAT(error_text({"force-backup", "--for", bad}), HasSubstr("not a time")) << bad;
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

TEST(Arguments, OfStatusAndHistory) {
  EXPECT_TRUE(parse({"status", "--all"}).all);
  EXPECT_EQ(parse({"status", "web*"}).operand, "web*");
  EXPECT_TRUE(parse({"--watch"}).watch);
  EXPECT_TRUE(parse({"status", "--check", "web"}).check);
  EXPECT_EQ(parse({"--color", "always"}).color, Color::always);
  EXPECT_EQ(parse({"history", "--color=never"}).color, Color::never);
  EXPECT_EQ(parse({"history", "-n", "5"}).number, 5);
  EXPECT_EQ(parse({"history", "web", "--number=12"}).number, 12);
  EXPECT_TRUE(parse({"history", "-f"}).follow);
  EXPECT_LT(parse({"history", "--since", "2h"}).since.value(), parse({"history", "--until", "1h"}).until.value());
  EXPECT_EQ(error_text({"--color", "red"}), "--color red: write auto, always or never");
  EXPECT_EQ(error_text({"history", "-n", "0"}), "--number 0: write a number from 1 on");
  EXPECT_EQ(error_text({"history", "-n", "5x"}), "--number 5x: write a number from 1 on");
  EXPECT_THAT(error_text({"history", "--since", "soon"}), HasSubstr("--since soon: not a time; write for example 14:00"));
  EXPECT_EQ(error_text({"history", "--since", "2999-01-01"}), "--since 2999-01-01: that is in the future");
  EXPECT_THAT(error_text({"--watch", "--json"}), HasSubstr("--watch is for a screen"));
  EXPECT_THAT(error_text({"history", "-f", "--until", "14:00"}), HasSubstr("give either --follow or --until, not both"));
  EXPECT_THAT(error_text({"history", "--all"}), HasSubstr("history has no option --all; it belongs to: status"));
}

} // namespace
} // namespace hanat::cli
