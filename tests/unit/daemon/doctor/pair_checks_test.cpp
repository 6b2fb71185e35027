// What the doctor says of a gateway of a pair.
#include "daemon/doctor/pair_checks.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/temp_dir.hpp"

namespace hanat {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;

PairStatus active() { return {.role = "active", .since = "", .address = "203.0.113.10", .keepalived = "ok"}; }
ServiceCheck service_of_a_pair(bool masquerades = false, PairStatus pair = active()) {
  ServiceCheck service;
  service.name = "web";
  service.masquerades = masquerades;
  service.pair = std::make_shared<const PairStatus>(std::move(pair));
  return service;
}

TEST(PairChecks, NothingIsSaidOfAGatewayThatIsAlone) {
  ServiceCheck alone = service_of_a_pair(true);
  alone.pair.reset();
  EXPECT_THAT(
      check_pair({alone}, {.conntrackd = FlowSync::absent, .speaks_vrrp = true, .harmful_scripts = {"/etc/keepalived/keepalived.conf:3"}}),
      IsEmpty());
  EXPECT_FALSE(is_pair({alone}));
}

TEST(PairChecks, NothingIsSaidOfAHealthyPair) {
  for (const FlowSync state : {FlowSync::ok, FlowSync::unknown})
    EXPECT_THAT(
        check_pair({service_of_a_pair()}, {.conntrackd = state, .speaks_vrrp = true, .instances = {"/etc/keepalived/keepalived.conf"}}),
        IsEmpty());
}

TEST(PairChecks, EveryFindingHasItsRemedy) {
  const auto found =
      check_pair({service_of_a_pair(true)},
                 {.conntrackd = FlowSync::absent, .speaks_vrrp = true, .harmful_scripts = {"/etc/keepalived/keepalived.conf:3"}});
  ASSERT_EQ(found.size(), 3U);
  for (const Finding& finding : found) EXPECT_EQ(finding.severity, Severity::warning);
  EXPECT_EQ(found[0].code, "pair-masquerade");
  EXPECT_EQ(found[0].service, "web");
  EXPECT_EQ(found[0].remedy, "snat = \"ADDRESS\" in [service.web], an address that moves with 203.0.113.10, then hanatctl reload");
  EXPECT_EQ(found[1].code, "conntrackd-dead");
  EXPECT_EQ(found[1].remedy, "systemctl restart conntrackd");
  EXPECT_EQ(found[2].code, "pair-script");
  EXPECT_THAT(found[2].what, HasSubstr("/etc/keepalived/keepalived.conf:3 runs primary-backup.sh"));
}

TEST(PairChecks, AConntrackdThatDoesNotKeepUpIsAWarning) {
  const auto found = check_pair({service_of_a_pair()}, {.conntrackd = FlowSync::behind, .speaks_vrrp = true});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found.front().code, "conntrackd-behind");
  EXPECT_THAT(found.front().remedy, HasSubstr("NetlinkBufferSize"));
}

std::vector<std::string> codes_of(const PairStatus& pair, const PairFacts& facts) {
  std::vector<std::string> codes;
  for (const Finding& finding : check_pair({service_of_a_pair(false, pair)}, facts)) codes.push_back(finding.code);
  return codes;
}

TEST(PairChecks, AKeepalivedThatIsGoneIsAWarningAndOneThatWasNeverUsedIsNot) {
  PairStatus pair = active();
  EXPECT_THAT(codes_of(pair, {}), IsEmpty()) << "it was there a moment ago";
  pair.keepalived = "unknown";
  EXPECT_THAT(codes_of(pair, {}), IsEmpty()) << "something else moves the address";
  EXPECT_THAT(codes_of(pair, {.instances = {"/etc/keepalived/keepalived.conf"}}), ElementsAre("keepalived-dead"));
  pair.keepalived = "absent";
  EXPECT_THAT(codes_of(pair, {.speaks_vrrp = true}), IsEmpty()) << "it is back just now";
  const auto found = check_pair({service_of_a_pair(false, pair)}, {});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found.front().severity, Severity::warning);
  EXPECT_THAT(found.front().remedy, HasSubstr("systemctl status keepalived"));
}

TEST(PairChecks, WhatIsWrongOnTheOtherGatewayIsSaidHere) {
  PairStatus pair = active();
  pair.peer = PeerStatus{
      .address = "198.18.9.2:9718", .seen_s = 0.1, .role = "standby", .conntrackd = "absent", .keepalived = "absent", .agrees = true};
  const auto found = check_pair({service_of_a_pair(false, pair)}, {.speaks_vrrp = true});
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].code, "keepalived-dead");
  EXPECT_THAT(found[0].what, HasSubstr("on the other gateway (198.18.9.2:9718)"));
  EXPECT_EQ(found[1].code, "conntrackd-dead");
  EXPECT_THAT(found[1].remedy, HasSubstr("on the other gateway: systemctl restart conntrackd"));
  pair.peer->seen_s = 60;
  EXPECT_THAT(codes_of(pair, {.speaks_vrrp = true}), ElementsAre("peer-silent")) << "what is known of it is old";
}

TEST(PairChecks, TwoActiveGatewaysAndNoneAreProblems) {
  PairStatus pair = active();
  pair.peer = PeerStatus{.address = "198.18.9.2:9718", .seen_s = 0.1, .role = "active", .both_active = true};
  const auto found = check_pair({service_of_a_pair(false, pair)}, {.speaks_vrrp = true});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found.front().code, "pair-split");
  EXPECT_EQ(found.front().severity, Severity::problem);
  EXPECT_THAT(found.front().what, HasSubstr("they do not hear each other's VRRP"));
  EXPECT_THAT(found.front().remedy, HasSubstr("tcpdump -ni any proto 112"));
  pair.role = pair.peer->role.emplace("standby");
  pair.peer->both_active = false;
  pair.peer->none_active = true;
  EXPECT_THAT(codes_of(pair, {.speaks_vrrp = true}), ElementsAre("pair-idle"));
}

TEST(PairChecks, ALineThatRunsTheScriptIsFoundAndACommentIsNot) {
  EXPECT_THAT(harmful_lines_in("vrrp_sync_group G {\n  notify_master \"/etc/conntrackd/primary-backup.sh primary\"\n  # primary-backup.sh\n"
                               "  ! primary-backup.sh\n  notify_backup /etc/conntrackd/primary-backup.sh\n}"),
              ElementsAre(2, 5));
  EXPECT_THAT(harmful_lines_in(""), IsEmpty());
}

TEST(PairChecks, EveryFileOfKeepalivedIsRead) {
  const test::TempDir dir;
  test::write_text(dir / "keepalived.conf", "include conf.d/*.conf\n");
  std::filesystem::create_directory(dir.path() / "conf.d");
  test::write_text(dir / "conf.d/a.conf", "\nnotify_master \"/etc/conntrackd/primary-backup.sh primary\"\n");
  test::write_text(dir / "keepalived.conf.old", "notify_master /etc/conntrackd/primary-backup.sh\n");
  test::write_text(dir / "conf.d/b.conf", "vrrp_instance VI_1 {\n}\n");
  EXPECT_THAT(read_pair(dir.path()).harmful_scripts, ElementsAre(EndsWith("conf.d/a.conf:2")));
  EXPECT_THAT(read_pair(dir.path()).instances, ElementsAre(EndsWith("conf.d/b.conf")));
  EXPECT_THAT(read_pair(dir.path() / "none").harmful_scripts, IsEmpty());
}

} // namespace
} // namespace hanat
