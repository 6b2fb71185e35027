// The table of reasons: every reason has a row, the man page shows the same, and the code goes by it.
#include "daemon/decision/reason_policy.hpp"

#include <fstream>
#include <sstream>
#include <string>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hanat::reason_policy {
namespace {

std::vector<probes::Reason> every_reason() {
  std::vector<probes::Reason> all;
  for (int number = 0; number <= static_cast<int>(probes::Reason::local_error); ++number)
    all.push_back(static_cast<probes::Reason>(number));
  return all;
}

std::string text_of(const ReasonPolicy& policy) {
  const char* const standing = policy.standing == StandingFlows::stay        ? "stay"
                               : policy.standing == StandingFlows::by_policy ? "on_failover"
                                                                             : "reset";
  const char* const fresh = policy.new_flows == NewFlows::stay        ? "stay"
                            : policy.new_flows == NewFlows::elsewhere ? "move"
                                                                      : "move if they can";
  return fmt::format("new {}, standing {}{}{}", fresh, standing, may_be_ours(policy.contact) ? ", in doubt" : "",
                     policy.warns ? ", warns" : "");
}

TEST(ReasonPolicy, OfEveryReason) {
  const auto expect = [](std::initializer_list<probes::Reason> reasons, const char* text) {
    for (const auto reason : reasons) EXPECT_EQ(text_of(policy_of(reason)), text) << to_text(reason);
  };
  using enum probes::Reason;
  expect({connected, answered}, "new stay, standing stay");
  expect({full}, "new move if they can, standing stay");
  expect({refused, reset, closed, wrong_status, wrong_answer, garbled, too_large, tls_failed}, "new move, standing on_failover");
  expect({certificate_expires, slow}, "new move, standing on_failover, warns");
  expect({timeout, host_unreachable, net_unreachable, no_carrier}, "new move, standing reset, in doubt");
  expect({no_descriptors, no_buffers, no_ports, no_processes, forbidden, conntrack_full, stalled, local_error}, "new stay, standing stay");
}

TEST(ReasonPolicy, WhatTheServerSaidIsNoSilence) {
  for (const auto reason : every_reason()) {
    const Contact contact = policy_of(reason).contact;
    const bool inconclusive = reason >= probes::Reason::no_descriptors;
    EXPECT_EQ(contact == Contact::none, inconclusive) << to_text(reason);
    EXPECT_EQ(policy_of(reason).standing == StandingFlows::never_drain, may_be_ours(contact)) << to_text(reason);
  }
}

TEST(ReasonPolicy, TheManPageHasEveryReasonInItsTable) {
  std::ifstream file(HANAT_SOURCE "/packaging/man/hanatd.8.scd");
  std::stringstream page;
  page << file.rdbuf();
  const std::string text = page.str();
  const auto begin = text.find("# WHAT A REASON DOES");
  ASSERT_NE(begin, std::string::npos);
  const std::string section = text.substr(begin, text.find("\n# ", begin + 1) - begin);
  for (const auto reason : every_reason())
    EXPECT_THAT(section, testing::HasSubstr("*" + std::string{to_text(reason)} + "*")) << "is not in the section";
}

} // namespace
} // namespace hanat::reason_policy
