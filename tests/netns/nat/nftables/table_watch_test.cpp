// Watching the table and changing it beside other users of nf_tables: who is reported, what is missed, and reads during commits.
// Not here: loading and changing alone (table_test).
#include "nat/nftables/table.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <string>
#include <system_error>
#include <thread>

#include <gtest/gtest.h>
#include <libmnl/libmnl.h>
#include <poll.h>

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "nat/nftables/request.hpp"
#include "tests/netns/lab/isolated.hpp"
#include "tests/netns/lab/neighbour.hpp"
#include "tests/netns/nat/nftables/table_kit.hpp"

namespace hanat::nat {
namespace {

using namespace std::chrono_literals;
using test::endpoint;

TEST(NftTableWatch, FlipsBesideAnotherUserWhoCommitsAHundredTimesASecond) {
  test::isolated([] {
    NftTable table = shared_table();
    TableState loaded_state = services(1'000, "198.18.1.2");
    table.load(loaded_state);
    test::Neighbour neighbour{10ms};
    const std::size_t before = test::Neighbour::commits();
    for (int flip = 0; flip < 500; ++flip) {
      TableState next = loaded_state;
      auto& [listen, target] = *std::next(next.dnat.begin(), flip);
      next.stale[{listen, target.server}] = target.comment;
      target = {endpoint("198.18.2.2", 8443), "backup"};
      ASSERT_EQ(error_of([&] { table.change(loaded_state, next); }), 0) << "flip " << flip;
      loaded_state = std::move(next);
      std::this_thread::sleep_for(2ms);
    }
    neighbour.stop();
    EXPECT_GT(test::Neighbour::commits(), before + 20) << "the other user committed too";
    const auto loaded = table.read();
    EXPECT_TRUE(loaded->state == loaded_state);
    EXPECT_TRUE(loaded->in_order);
  });
}

TEST(NftTableWatch, AReadEndsWhileAnotherUserCommitsAllTheTime) {
  test::isolated([] {
    NftTable table = shared_table();
    const TableState state = services(2'000, "198.18.1.2");
    table.load(state);
    {
      test::Neighbour neighbour{0us};
      Netlink watch{std::size_t{64} << 20, 1U << (NFNLGRP_NFTABLES - 1)};
      for (int reading = 0; reading < 3; ++reading) {
        const auto began = std::chrono::steady_clock::now();
        try {
          EXPECT_TRUE(table.read()->state == state) << "the read mixed two generations";
        } catch (const std::system_error& error) {
          const std::string text = error.what();
          EXPECT_TRUE(error.code().value() == EAGAIN || error.code().value() == EINTR) << text;
          EXPECT_TRUE(text.find("changes all the time") != text.npos || text.find("interrupted by a change") != text.npos) << text;
        }
        EXPECT_LT(std::chrono::steady_clock::now() - began, 20s);
      }
      unsigned commits = 0;
      watch.drain([&](const nlmsghdr& message) { commits += message.nlmsg_type == nft_type(NFT_MSG_NEWGEN); });
      EXPECT_GT(commits, 20U) << "the other user committed";
    }
    EXPECT_TRUE(table.read()->state == state) << "nothing has changed";
  });
}

TEST(NftTableWatch, ReportsOnlyChangesOfOthersAndOnlyOfItsTable) {
  test::isolated([] {
    NftTable table = shared_table();
    table.load(services(1, "198.18.1.2"));
    table.change(services(1, "198.18.1.2"), services(2, "198.18.1.2"));
    EXPECT_FALSE(table.changed_by_others()) << "our own changes";
    ASSERT_EQ(nft("add table inet other").exit, 0);
    EXPECT_FALSE(table.changed_by_others());
    ASSERT_EQ(nft("add element inet hanat vips4 { 203.0.113.99 . tcp . 99 }").exit, 0);
    pollfd readable{.fd = table.watch_fd(), .events = POLLIN, .revents = 0};
    EXPECT_EQ(poll(&readable, 1, 1'000), 1);
    EXPECT_TRUE(table.changed_by_others());
    EXPECT_FALSE(table.changed_by_others()) << "reported once";
  });
}

TEST(NftTableWatch, FindsMissedCommitsByTheirGeneration) {
  test::isolated([] {
    NftTable table = shared_table();
    EXPECT_FALSE(table.missed_a_commit());
    table.load(services(1, "198.18.1.2"));
    EXPECT_FALSE(table.missed_a_commit()) << "our own commit was notified";
    ASSERT_EQ(nft("add table inet other").exit, 0);
    EXPECT_FALSE(table.missed_a_commit()) << "so was the commit of another";
    ASSERT_EQ(nft("add element inet hanat vips4 { 203.0.113.99 . tcp . 99 }").exit, 0);
    EXPECT_TRUE(table.missed_a_commit()) << "the notification was still queued";
    EXPECT_FALSE(table.missed_a_commit());
    EXPECT_FALSE(table.changed_by_others());

    ASSERT_EQ(nft("add table inet third").exit, 0);
    std::array<char, 65536> lost; // NOLINT(cppcoreguidelines-pro-type-member-init): written by recv
    while (recv(table.watch_fd(), lost.data(), lost.size(), MSG_DONTWAIT) > 0) continue;
    EXPECT_TRUE(table.missed_a_commit()) << "its notification was lost";
    ASSERT_EQ(nft("add table inet fourth").exit, 0);
    while (recv(table.watch_fd(), lost.data(), lost.size(), MSG_DONTWAIT) > 0) continue;
    ASSERT_EQ(nft("add table inet fifth").exit, 0);
    EXPECT_TRUE(table.changed_by_others()) << "a generation is missing between two notifications";
  });
}

/// Whoever listens makes each commit slower, and nobody else can change the table.
TEST(NftTableWatch, EndsWhereTheTableIsOwned) {
  test::isolated([] {
    NftTable table{"hanat"};
    table.load(services(1, "198.18.1.2"));
    ASSERT_TRUE(table.owns_table()) << "Linux 6.9 and later";
    table.changed_by_others();
    table.change(services(1, "198.18.1.2"), services(1, "198.18.2.2"));
    ASSERT_EQ(nft("add table inet other").exit, 0);
    EXPECT_NE(nft("add element inet hanat vips4 { 203.0.113.99 . tcp . 99 }").exit, 0);
    pollfd readable{.fd = table.watch_fd(), .events = POLLIN, .revents = 0};
    EXPECT_EQ(poll(&readable, 1, 50), 0);
    EXPECT_FALSE(table.changed_by_others());
    EXPECT_FALSE(table.missed_a_commit());
  });
}

TEST(NftTableWatch, IsMutedDuringALargeChangeOfItsOwn) {
  test::isolated([] {
    NftTable table = shared_table();
    for (unsigned round = 0; round < 2; ++round) { // the load is large, and so is the change
      if (round == 0)
        table.load(services(2'000, "198.18.1.2"));
      else
        table.change(services(2'000, "198.18.1.2"), services(2'000, "198.18.2.2"));
      pollfd readable{.fd = table.watch_fd(), .events = POLLIN, .revents = 0};
      EXPECT_EQ(poll(&readable, 1, 50), 0) << "the watch was notified";
      EXPECT_FALSE(table.missed_a_commit());
    }
    table.change(services(2'000, "198.18.2.2"), services(2'001, "198.18.2.2"));
    EXPECT_FALSE(table.changed_by_others()) << "a small one after it";
    table.change(services(2'001, "198.18.2.2"), services(2'001, "198.18.1.2"));
    ASSERT_EQ(nft("add element inet hanat vips4 { 203.0.113.99 . tcp . 99 }").exit, 0);
    EXPECT_TRUE(table.changed_by_others()) << "a change by others is reported";
    EXPECT_FALSE(table.missed_a_commit());
  });
}

} // namespace
} // namespace hanat::nat
