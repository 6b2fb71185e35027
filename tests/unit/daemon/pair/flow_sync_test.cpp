// conntrackd as the kernel's list of netlink sockets shows it.
#include "daemon/pair/flow_sync.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace hanat {
namespace {

using Listeners = std::vector<ConntrackListener>;

/// The verdict after these readings of one listener.
FlowSync after(const Listeners& readings) {
  FlowSyncJudge judge;
  FlowSync state = FlowSync::unknown;
  for (const ConntrackListener& reading : readings) state = judge.take(Listeners{reading});
  return state;
}

TEST(FlowSync, WhoeverHearsAllThatConntrackDoesIsAListener) {
  const std::string head = "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n";
  const std::string others = "0000000000000000 0   800        00000555 0        0        0     2        0        8\n"
                             "0000000000000000 12  801        00000000 0        0        0     2        0        9\n"
                             "0000000000000000 12  802        00000040 0        0        0     2        0        10\n"
                             "0000000000000000 15  803        00000007 0        0        0     2        0        11\n";
  const std::string conntrackd = "0000000000000000 12  804        00000007 4096     0        0     2        17       12\n";
  EXPECT_EQ(conntrack_listeners_in(head + others), Listeners{});
  EXPECT_EQ(conntrack_listeners_in(head + others + conntrackd), (Listeners{{.inode = 12, .waiting = 4096, .lost = 17}}));
  EXPECT_EQ(conntrack_listeners_in(head), Listeners{});
  EXPECT_EQ(conntrack_listeners_in(""), std::nullopt);
}

TEST(FlowSync, OneThatReadsIsWellWhateverWaitsAtTheMoment) {
  EXPECT_EQ(after({{.inode = 1}}), FlowSync::ok);
  EXPECT_EQ(after({{.inode = 1, .waiting = 10}, {.inode = 1, .waiting = 800}, {.inode = 1, .waiting = 700}, {.inode = 1, .waiting = 900}}),
            FlowSync::ok);
  EXPECT_EQ(after({{.inode = 1, .lost = 5}, {.inode = 1, .lost = 5}, {.inode = 1, .lost = 5}}), FlowSync::ok); // long ago
}

TEST(FlowSync, OneThatReadsNothingIsBehind) {
  EXPECT_EQ(after({{.inode = 1, .waiting = 10}, {.inode = 1, .waiting = 10}}), FlowSync::ok);
  EXPECT_EQ(after({{.inode = 1, .waiting = 10}, {.inode = 1, .waiting = 10}, {.inode = 1, .waiting = 10}}), FlowSync::behind);
}

TEST(FlowSync, OneThatLosesMessagesIsBehindForAWhile) {
  FlowSyncJudge judge;
  EXPECT_EQ(judge.take(Listeners{{.inode = 1, .lost = 5}}), FlowSync::ok);
  EXPECT_EQ(judge.take(Listeners{{.inode = 1, .lost = 6}}), FlowSync::behind);
  for (int reading = 0; reading < 4; ++reading) EXPECT_EQ(judge.take(Listeners{{.inode = 1, .lost = 6}}), FlowSync::behind);
  EXPECT_EQ(judge.take(Listeners{{.inode = 1, .lost = 6}}), FlowSync::ok);
}

TEST(FlowSync, NoneIsAbsentOnlyWhenItLastsLongerThanARestart) {
  FlowSyncJudge judge;
  EXPECT_EQ(judge.take(Listeners{}), FlowSync::unknown);
  EXPECT_EQ(judge.take(Listeners{{.inode = 1}}), FlowSync::ok);
  EXPECT_EQ(judge.take(Listeners{}), FlowSync::ok);
  EXPECT_EQ(judge.take(Listeners{}), FlowSync::ok);
  EXPECT_EQ(judge.take(std::nullopt), FlowSync::ok); // the kernel does not say
  EXPECT_EQ(judge.take(Listeners{}), FlowSync::absent);
  EXPECT_EQ(judge.take(Listeners{{.inode = 2}}), FlowSync::ok);
}

TEST(FlowSync, OfSeveralListenersTheBestOneCounts) {
  FlowSyncJudge judge;
  FlowSync state = FlowSync::unknown;
  for (int reading = 0; reading < 4; ++reading) state = judge.take(Listeners{{.inode = 1, .waiting = 10}, {.inode = 2}});
  EXPECT_EQ(state, FlowSync::ok);
}

} // namespace
} // namespace hanat
