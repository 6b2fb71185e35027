// The man page explains every word that status and journal use.
#include <array>
#include <fstream>
#include <sstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

} // namespace
} // namespace hanat
