// The packet that renews the heartbeat: what it does, and what may be in its way. Not here: when it is sent (daemon/failover).
#include "nat/nftables/heartbeat_socket.hpp"

#include <cerrno>
#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>
#include <system_error>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "nat/fd.hpp"
#include "nat/marks.hpp"
#include "nat/nftables/layout.hpp"
#include "nat/nftables/table.hpp"
#include "tests/netns/lab/isolated.hpp"
#include "tests/netns/lab/process.hpp"
#include "tests/netns/lab/scripted.hpp"

namespace hanat::nat {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;
using testing::ThrowsMessage;

std::string listed_heartbeat() { return test::collect({"nft", "list", "set", "inet", "hanat", "heartbeat"}, 10s).out; }

class HeartbeatSocketTest : public testing::Test {
protected:
  /// With an empty table of hanat's.
  static void with_table(const std::function<void(NftTable&, HeartbeatSocket&)>& body) {
    test::isolated([&] {
      NftTable table{"hanat", Ownership::shared};
      table.load({});
      HeartbeatSocket socket{"hanat"};
      body(table, socket);
    });
  }
};

TEST_F(HeartbeatSocketTest, ItRenewsTheElementWithoutACommit) {
  with_table([](NftTable& table, HeartbeatSocket& socket) {
    EXPECT_FALSE(table.changed_by_others());
    EXPECT_THAT(listed_heartbeat(), Not(HasSubstr("elements")));
    socket.send();
    EXPECT_THAT(listed_heartbeat(), HasSubstr("expires"));
    socket.send();
    EXPECT_FALSE(table.missed_a_commit());
    EXPECT_TRUE(table.read()->in_order);
  });
}

TEST_F(HeartbeatSocketTest, ItRenewsTheElementOfATransaction) {
  with_table([](NftTable& table, HeartbeatSocket& socket) {
    table.heartbeat();
    socket.send();
    table.heartbeat();
    EXPECT_THAT(listed_heartbeat(), HasSubstr("expires"));
  });
}

TEST_F(HeartbeatSocketTest, WithoutIpv4OnLoopbackIpv6Does) {
  with_table([](NftTable&, HeartbeatSocket& socket) {
    test::shell("ip -4 address flush dev lo");
    socket.send();
    EXPECT_THAT(listed_heartbeat(), HasSubstr("expires"));
  });
}

TEST_F(HeartbeatSocketTest, NoOtherPacketRenewsIt) {
  with_table([](NftTable&, HeartbeatSocket&) {
    for (const std::uint32_t mark : {0U, packet_mark, heartbeat_mark + 1}) {
      const Fd fd{socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
      ASSERT_EQ(setsockopt(fd.get(), SOL_SOCKET, SO_MARK, &mark, sizeof mark), 0);
      const auto discard = to_sockaddr({.address = Address::parse("127.0.0.1").value(), .port = 9});
      EXPECT_EQ(sendto(fd.get(), "x", 1, 0, discard.get(), discard.length), 1);
    }
    EXPECT_THAT(listed_heartbeat(), Not(HasSubstr("elements")));
  });
}

TEST_F(HeartbeatSocketTest, AProcessWithoutPrivilegesCannotSendIt) {
  with_table([](NftTable&, HeartbeatSocket&) {
    ASSERT_EQ(syscall(SYS_setresuid, -1, 65'534, -1), 0); // this thread's alone
    const Fd fd{socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    const std::uint32_t mark = heartbeat_mark;
    EXPECT_EQ(setsockopt(fd.get(), SOL_SOCKET, SO_MARK, &mark, sizeof mark), -1);
    EXPECT_EQ(errno, EPERM);
  });
}

TEST_F(HeartbeatSocketTest, ItSaysWhatIsInItsWay) {
  const auto sending = [](HeartbeatSocket& socket) { return [&socket] { socket.send(); }; };
  with_table([&](NftTable&, HeartbeatSocket& socket) {
    test::shell("ip address flush dev lo");
    EXPECT_THAT(sending(socket), ThrowsMessage<std::system_error>(HasSubstr("send a packet to loopback")));
    test::shell("ip address add 127.0.0.1/8 dev lo");
    socket.send();
    test::shell("ip link set lo down"); // the packet gets as far as its rule
    socket.send();
  });
  with_table([&](NftTable&, HeartbeatSocket& socket) {
    test::shell("nft flush chain inet hanat untracked_output");
    EXPECT_THAT(sending(socket), ThrowsMessage<std::runtime_error>(HasSubstr("did not reach its rule")));
  });
  with_table([&](NftTable&, HeartbeatSocket& socket) {
    test::shell(
        "nft add table ip strict && nft 'add chain ip strict c { type filter hook output priority -400; }' && "
        "nft add rule ip strict c drop && nft add table ip6 strict && nft 'add chain ip6 strict c { type filter hook output priority "
        "-400; }' && nft add rule ip6 strict c drop");
    EXPECT_THAT(sending(socket), ThrowsMessage<std::runtime_error>(HasSubstr("did not reach its rule")));
  });
  with_table([&](NftTable& table, HeartbeatSocket& socket) {
    socket.send();
    table.remove();
    EXPECT_THAT(sending(socket), ThrowsMessage<std::runtime_error>(HasSubstr("did not reach its rule")));
  });
}

} // namespace
} // namespace hanat::nat
