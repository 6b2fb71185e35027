// The man page explains every word that status and journal use.
#include <array>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <variant>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/config/load_config.hpp"
#include "daemon/decision/decision.hpp"
#include "probes/result.hpp"

namespace hanat {
namespace {

std::string man_page() {
  std::ifstream file(HANAT_SOURCE "/packaging/man/hanatd.8.scd");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(ManPage, ExplainsEveryReasonOfAnAnswer) {
  const std::string page = man_page();
  ASSERT_FALSE(page.empty());
  for (int number = 0; number <= static_cast<int>(probes::Reason::local_error); ++number) {
    const std::string word{to_text(static_cast<probes::Reason>(number))};
    EXPECT_THAT(page, testing::HasSubstr("\n*" + word + "*\n\t")) << word;
  }
}

TEST(ManPage, ExplainsEveryReasonOfADecision) {
  const std::string page = man_page();
  for (int number = 0; number <= static_cast<int>(Reason::no_server_up_kept); ++number) {
    const std::string word{to_text(static_cast<Reason>(number))};
    EXPECT_THAT(page, testing::HasSubstr("*" + word + "*\n\t")) << word;
  }
}

/// What stands between ``` and ``` behind "# EXAMPLES".
std::vector<std::string> examples_of(const char* page) {
  std::ifstream file(std::string{HANAT_SOURCE "/packaging/man/"} + page);
  std::vector<std::string> examples;
  bool behind = false, inside = false;
  for (std::string line; std::getline(file, line);) {
    behind |= line == "# EXAMPLES";
    if (line == "```") {
      inside = !inside;
      if (inside && behind) examples.emplace_back();
    } else if (inside && behind) {
      examples.back() += line + "\n";
    }
  }
  return examples;
}

TEST(ManPage, OfTheConfigurationHasExamplesThatAreAccepted) {
  const auto examples = examples_of("hanat.toml.5.scd");
  EXPECT_GE(examples.size(), 5U);
  for (const std::string& text : examples) {
    const auto result = parse_config(text, "example");
    EXPECT_TRUE(std::holds_alternative<Config>(result)) << text;
  }
}

TEST(ManPage, EachHasExamples) {
  for (const char* page : {"hanatd.8.scd", "hanatctl.8.scd", "hanat.toml.5.scd"}) EXPECT_FALSE(examples_of(page).empty()) << page;
}

/// Code words in the sources of the doctor: those behind a severity, and what make() and a ternary begin with.
std::set<std::string> finding_codes() {
  std::set<std::string> codes;
  const std::regex code{R"re((?:make\(|Severity::\w+,|\.code =|\?|:)\s*"([a-z0-9]+(?:-[a-z0-9]+)+)")re"};
  for (const auto& file : std::filesystem::directory_iterator(HANAT_SOURCE "/daemon/doctor")) {
    if (file.path().extension() != ".cpp") continue;
    std::ifstream stream(file.path());
    std::stringstream text;
    text << stream.rdbuf();
    const std::string source = text.str();
    for (std::sregex_iterator found(source.begin(), source.end(), code), end; found != end; ++found) codes.insert((*found)[1]);
  }
  return codes;
}

// hanatctl prints them, so that they can be looked up.
TEST(ManPage, ExplainsEveryCodeOfAFindingOnce) {
  const std::string page = man_page();
  const std::set<std::string> codes = finding_codes();
  EXPECT_GT(codes.size(), 20U);
  for (const std::string& code : codes) {
    const std::string word = "*" + code + "*";
    const auto begins_line = [&](std::size_t at) {
      return page.rfind('\n', at) != std::string::npos && page[page.rfind('\n', at) + 1] == '*';
    };
    std::size_t explained = 0;
    for (std::size_t at = page.find(word); at != std::string::npos; at = page.find(word, at + 1))
      if (begins_line(at)) ++explained;
    EXPECT_EQ(explained, code == "conntrack-full" ? 3U : 1U) << code; // that is a result of a probe, too: in two tables
  }
}

} // namespace
} // namespace hanat
