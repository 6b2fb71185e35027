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
using TypedWords = std::vector<std::string>;

TypedWords offered(std::string_view shell, const TypedWords& words) {
  const std::string lines = completion_lines(shell, complete(shell, words));
  TypedWords result;
  for (std::size_t begin = 0; begin < lines.size();) {
    const std::size_t end = lines.find('\n', begin);
    const std::string line = lines.substr(begin, end - begin);
    result.push_back(line.substr(0, line.find('\t')));
    begin = end + 1;
  }
  return result;
}
TypedWords offered(const TypedWords& words) { return offered("fish", words); }

TEST(Completing, OffersEveryCommandButItself) {
  const TypedWords all = offered(TypedWords{""});
  for (const auto& subcommand : subcommands())
    if (subcommand.command != Command::complete) {
      EXPECT_THAT(all, Contains(std::string{subcommand.name}));
    }
  EXPECT_THAT(all, Not(Contains("complete")));
  EXPECT_EQ(offered({"help", ""}), all);
  EXPECT_THAT(offered({"force"}), ElementsAre("force-backup", "force-primary"));
  EXPECT_THAT(offered(TypedWords{}), Contains("drill")) << "no word at all is an empty one";
}

TEST(Completing, OffersEveryOptionOfACommandOnce) {
  for (const auto& subcommand : subcommands()) {
    const TypedWords options = offered({std::string{subcommand.name}, "-"});
    for (const Option option : subcommand.options) EXPECT_THAT(options, Contains(std::string{row_of(option).name})) << subcommand.name;
    EXPECT_THAT(options, Contains("--json"));
  }
  EXPECT_THAT(offered({"-"}), AllOf(Contains("--watch"), Contains("--socket")));
  EXPECT_THAT(offered({"drill", "web", "--for", "30s", "--"}), AllOf(Contains("--reset"), Not(Contains("--for"))));
  EXPECT_THAT(offered({"drill", "web", "--for=30s", "--"}), Not(Contains("--for")));
}

TEST(Completing, DescribesThingsBrieflyButNotToBash) {
  EXPECT_THAT(completion_lines("zsh", complete("zsh", TypedWords{"dri"})), HasSubstr("drill\trehearse a failover\n"));
  EXPECT_EQ(completion_lines("bash", complete("bash", TypedWords{"dri"})), "drill\n");
  const std::string all = completion_lines("fish", complete("fish", TypedWords{"force-backup", "-"}));
  for (std::size_t begin = 0; begin < all.size(); begin = all.find('\n', begin) + 1) EXPECT_LT(all.find('\n', begin) - begin, 100U);
}

TEST(Completing, WantsServicesWhereTheyStand) {
  for (const auto* command : {"status", "drill", "force-backup", "auto", "history", "events", "why", "probe", "connections", "doctor"}) {
    const Completion here = complete("fish", TypedWords{command, "we"});
    EXPECT_TRUE(here.services) << command;
    EXPECT_EQ(here.prefix, "we");
    EXPECT_FALSE(complete("fish", TypedWords{command, "web", ""}).services) << command;
  }
  EXPECT_TRUE(complete("fish", TypedWords{"--json", "drill", "--for", "30s", ""}).services);
  EXPECT_FALSE(complete("fish", TypedWords{"auto", "--all", ""}).services);
  EXPECT_FALSE(complete("fish", TypedWords{"reload", ""}).services);
  EXPECT_THAT(offered({"nonsense", ""}), IsEmpty());
}

TEST(Completing, WantsTheServersOfTheServiceThatIsNamed) {
  const Completion first = complete("fish", TypedWords{"disable", ""});
  EXPECT_TRUE(first.services);
  EXPECT_EQ(first.servers, Completion::Servers::all);
  EXPECT_EQ(first.service, "") << "those of the only service";
  const Completion second = complete("fish", TypedWords{"disable", "web", "p"});
  EXPECT_FALSE(second.services);
  EXPECT_EQ(second.servers, Completion::Servers::all);
  EXPECT_EQ(second.service, "web");
  EXPECT_EQ(complete("fish", TypedWords{"enable", "web", "primary", ""}).servers, Completion::Servers::none);
  const Completion backups = complete("fish", TypedWords{"force-backup", "web", "--server", ""});
  EXPECT_EQ(backups.servers, Completion::Servers::backups);
  EXPECT_EQ(backups.service, "web");
}

TEST(Completing, OffersValues) {
  EXPECT_THAT(offered({"status", "--color", "a"}), ElementsAre("auto", "always"));
  EXPECT_THAT(offered({"drill", "--for", "3"}), ElementsAre("30s", "30m"));
  EXPECT_THAT(offered({"drill", "--for=3"}), ElementsAre("--for=30s", "--for=30m"));
  EXPECT_THAT(offered({"drill", "--reason", ""}), IsEmpty());
  EXPECT_THAT(offered({"import", ""}), ElementsAre("keepalived", "haproxy", "iptables"));
  for (const TypedWords& words :
       {TypedWords{"check", ""}, TypedWords{"plan", "n"}, TypedWords{"import", "haproxy", ""}, TypedWords{"--socket", ""}})
    EXPECT_EQ(completion_lines("fish", complete("fish", words)), ":file\n");
  EXPECT_EQ(complete("fish", TypedWords{"--socket", "/tmp/a", "drill", ""}).socket, "/tmp/a");
  EXPECT_EQ(complete("fish", TypedWords{"--socket=/tmp/a", "drill", ""}).socket, "/tmp/a");
}

TEST(Completing, PutsTogetherWhatBashHasSplit) {
  EXPECT_THAT(offered("bash", {"drill", "--for", "=", "3"}), ElementsAre("30s", "30m"));
  EXPECT_THAT(offered("bash", {"drill", "--for", "="}), Contains("30s"));
  EXPECT_THAT(offered("bash", {"why", "web", "--at", "14", ":", "02", "-"}), AllOf(Contains("--json"), Not(Contains("--at"))));
  EXPECT_TRUE(complete("bash", TypedWords{"why", "--at", "14", ":", "02", ""}).services);
  EXPECT_TRUE(complete("bash", TypedWords{"drill", "--for", "=", "30s", ""}).services);
  EXPECT_EQ(complete("bash", TypedWords{"--socket", "=", "/tmp/a", "drill", ""}).socket, "/tmp/a");
}

} // namespace
} // namespace hanat::cli
