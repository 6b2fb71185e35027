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
  EXPECT_THAT(check_pair({alone}, {.conntrack_heard = false, .harmful_scripts = {"/etc/keepalived/keepalived.conf:3"}}), IsEmpty());
  EXPECT_FALSE(is_pair({alone}));
}

TEST(PairChecks, NothingIsSaidOfAHealthyPair) {
  for (const std::optional<bool> heard : {std::optional{true}, std::optional<bool>{}})
    EXPECT_THAT(check_pair({service_of_a_pair()}, {.conntrack_heard = heard, .harmful_scripts = {}}), IsEmpty());
}

TEST(PairChecks, EveryFindingHasItsRemedy) {
  const auto found =
      check_pair({service_of_a_pair(true)}, {.conntrack_heard = false, .harmful_scripts = {"/etc/keepalived/keepalived.conf:3"}});
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

TEST(PairChecks, WhoeverHearsAllThatConntrackDoesIsAConntrackd) {
  const std::string head = "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n";
  const std::string others = "0000000000000000 0   800        00000555 0        0        0     2        0        8\n"
                             "0000000000000000 12  801        00000000 0        0        0     2        0        9\n"
                             "0000000000000000 12  802        00000040 0        0        0     2        0        10\n"
                             "0000000000000000 15  803        00000007 0        0        0     2        0        11\n";
  EXPECT_EQ(conntrack_heard_in(head + others), false);
  EXPECT_EQ(conntrack_heard_in(head + others + "0000000000000000 12  804        00000007 0        0        0     2        0        12\n"),
            true);
  EXPECT_EQ(conntrack_heard_in(head), false);
  EXPECT_EQ(conntrack_heard_in(""), std::nullopt);
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
