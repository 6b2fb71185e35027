// What the doctor says of a gateway of a pair.
#include "daemon/doctor/pair_checks.hpp"

#include <filesystem>
#include <string>
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

ServiceCheck service_of_a_pair(bool masquerades = false) {
  ServiceCheck service;
  service.name = "web";
  service.masquerades = masquerades;
  service.pair = Address::parse("203.0.113.10");
  return service;
}

TEST(PairChecks, NothingIsSaidOfAGatewayThatIsAlone) {
  ServiceCheck alone = service_of_a_pair(true);
  alone.pair.reset();
  EXPECT_THAT(check_pair({alone}, {.conntrackd = FlowSync::absent, .harmful_scripts = {"/etc/keepalived/keepalived.conf:3"}}), IsEmpty());
  EXPECT_FALSE(is_pair({alone}));
}

TEST(PairChecks, NothingIsSaidOfAHealthyPair) {
  for (const FlowSync state : {FlowSync::ok, FlowSync::unknown})
    EXPECT_THAT(check_pair({service_of_a_pair()}, {.conntrackd = state, .harmful_scripts = {}}), IsEmpty());
}

TEST(PairChecks, EveryFindingHasItsRemedy) {
  const auto found =
      check_pair({service_of_a_pair(true)}, {.conntrackd = FlowSync::absent, .harmful_scripts = {"/etc/keepalived/keepalived.conf:3"}});
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
  const auto found = check_pair({service_of_a_pair()}, {.conntrackd = FlowSync::behind, .harmful_scripts = {}});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found.front().code, "conntrackd-behind");
  EXPECT_THAT(found.front().remedy, HasSubstr("NetlinkBufferSize"));
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
  EXPECT_THAT(read_pair(dir.path()).harmful_scripts, ElementsAre(EndsWith("conf.d/a.conf:2")));
  EXPECT_THAT(read_pair(dir.path() / "none").harmful_scripts, IsEmpty());
}

} // namespace
} // namespace hanat
