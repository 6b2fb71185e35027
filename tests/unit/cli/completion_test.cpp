// What can stand at the end of a command line. Not here: the names that hanatd has, and the shells (tests/netns/cli/completion_test).
#include "cli/completion.hpp"

#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "cli/arguments.hpp"

namespace hanat::cli {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using Words = std::vector<std::string>;
using Servers = Completion::Servers;

Words offered(std::string_view shell, const Words& words) {
  const std::string lines = completion_lines(shell, complete(shell, words));
  Words result;
  for (std::size_t begin = 0; begin < lines.size();) {
    const std::size_t end = lines.find('\n', begin);
    const std::string line = lines.substr(begin, end - begin);
    result.push_back(line.substr(0, line.find('\t')));
    begin = end + 1;
  }
  return result;
}
Words offered(const Words& words) { return offered("fish", words); }

TEST(Completing, OffersEveryCommandButItself) {
  const Words all = offered(Words{""});
  for (const auto& subcommand : subcommands())
    if (subcommand.command != Command::complete) {
      EXPECT_THAT(all, Contains(std::string{subcommand.name}));
    }
  EXPECT_THAT(all, Not(Contains("complete")));
  EXPECT_EQ(offered({"help", ""}), all);
  EXPECT_THAT(offered({"force"}), ElementsAre("force-backup", "force-primary"));
  EXPECT_THAT(offered(Words{}), Contains("drill")) << "no word at all is an empty one";
}

TEST(Completing, OffersEveryOptionOfACommandOnce) {
  for (const auto& subcommand : subcommands()) {
    const Words options = offered({std::string{subcommand.name}, "-"});
    for (const Option option : subcommand.options) EXPECT_THAT(options, Contains(std::string{row_of(option).name})) << subcommand.name;
    EXPECT_THAT(options, Contains("--json"));
  }
  EXPECT_THAT(offered({"-"}), AllOf(Contains("--watch"), Contains("--socket")));
  EXPECT_THAT(offered({"drill", "web", "--for", "30s", "--"}), AllOf(Contains("--reset"), Not(Contains("--for"))));
  EXPECT_THAT(offered({"drill", "web", "--for=30s", "--"}), Not(Contains("--for")));
}

TEST(Completing, DescribesThingsBrieflyButNotToBash) {
  EXPECT_THAT(completion_lines("zsh", complete("zsh", Words{"dri"})), HasSubstr("drill\trehearse a failover\n"));
  EXPECT_EQ(completion_lines("bash", complete("bash", Words{"dri"})), "drill\n");
  const std::string all = completion_lines("fish", complete("fish", Words{"force-backup", "-"}));
  for (std::size_t begin = 0; begin < all.size(); begin = all.find('\n', begin) + 1) EXPECT_LT(all.find('\n', begin) - begin, 100U);
}

TEST(Completing, WantsServicesWhereTheyStand) {
  for (const auto* command : {"status", "drill", "force-backup", "auto", "history", "events", "why", "probe", "connections", "doctor"}) {
    const Completion here = complete("fish", Words{command, "we"});
    EXPECT_TRUE(here.services) << command;
    EXPECT_EQ(here.prefix, "we");
    EXPECT_FALSE(complete("fish", Words{command, "web", ""}).services) << command;
  }
  EXPECT_TRUE(complete("fish", Words{"--json", "drill", "--for", "30s", ""}).services);
  EXPECT_FALSE(complete("fish", Words{"auto", "--all", ""}).services);
  EXPECT_FALSE(complete("fish", Words{"reload", ""}).services);
  EXPECT_THAT(offered({"nonsense", ""}), IsEmpty());
}

TEST(Completing, WantsTheServersOfTheServiceThatIsNamed) {
  const Completion first = complete("fish", Words{"disable", ""});
  EXPECT_TRUE(first.services);
  EXPECT_EQ(first.servers, Servers::all);
  EXPECT_EQ(first.service, "") << "those of the only service";
  const Completion second = complete("fish", Words{"disable", "web", "p"});
  EXPECT_FALSE(second.services);
  EXPECT_EQ(second.servers, Servers::all);
  EXPECT_EQ(second.service, "web");
  EXPECT_EQ(complete("fish", Words{"enable", "web", "primary", ""}).servers, Servers::none);
  const Completion backups = complete("fish", Words{"force-backup", "web", "--server", ""});
  EXPECT_EQ(backups.servers, Servers::backups);
  EXPECT_EQ(backups.service, "web");
}

TEST(Completing, OffersValues) {
  EXPECT_THAT(offered({"status", "--color", "a"}), ElementsAre("auto", "always"));
  EXPECT_THAT(offered({"drill", "--for", "3"}), ElementsAre("30s", "30m"));
  EXPECT_THAT(offered({"drill", "--for=3"}), ElementsAre("--for=30s", "--for=30m"));
  EXPECT_THAT(offered({"drill", "--reason", ""}), IsEmpty());
  EXPECT_THAT(offered({"import", ""}), ElementsAre("keepalived", "haproxy", "iptables"));
  for (const Words& words : {Words{"check", ""}, Words{"plan", "n"}, Words{"import", "haproxy", ""}, Words{"--socket", ""}})
    EXPECT_EQ(completion_lines("fish", complete("fish", words)), ":file\n");
  EXPECT_EQ(complete("fish", Words{"--socket", "/tmp/a", "drill", ""}).socket, "/tmp/a");
  EXPECT_EQ(complete("fish", Words{"--socket=/tmp/a", "drill", ""}).socket, "/tmp/a");
}

TEST(Completing, PutsTogetherWhatBashHasSplit) {
  EXPECT_THAT(offered("bash", {"drill", "--for", "=", "3"}), ElementsAre("30s", "30m"));
  EXPECT_THAT(offered("bash", {"drill", "--for", "="}), Contains("30s"));
  EXPECT_THAT(offered("bash", {"why", "web", "--at", "14", ":", "02", "-"}), AllOf(Contains("--json"), Not(Contains("--at"))));
  EXPECT_TRUE(complete("bash", Words{"why", "--at", "14", ":", "02", ""}).services);
  EXPECT_TRUE(complete("bash", Words{"drill", "--for", "=", "30s", ""}).services);
  EXPECT_EQ(complete("bash", Words{"--socket", "=", "/tmp/a", "drill", ""}).socket, "/tmp/a");
}

} // namespace
} // namespace hanat::cli
