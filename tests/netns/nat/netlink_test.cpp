// The netlink socket with forged replies, expected and unexpected errors, and default buffers. Not here: the messages of nat.
#include "nat/netlink.hpp"

#include <array>
#include <cerrno>
#include <system_error>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "nat/conntrack/messages.hpp"
#include "tests/netns/lab/isolated.hpp"
#include "tests/netns/lab/synth.hpp"

namespace hanat::nat {
namespace {

using test::endpoint;
using test::isolated;
using test::vip;

const Mapping mapping{.vip = vip("203.0.113.10", 443, Protocol::tcp), .server = endpoint("198.19.0.11", 8443)};

/// `number` deletes of entries that do not exist: each fails with ENOENT.
MessageBatch futile_deletes(Netlink& netlink, std::uint32_t number, std::uint32_t& first, std::uint32_t& last) {
  MessageBatch datagram;
  for (std::uint32_t i = 0; i < number; ++i) {
    last = netlink.next_sequence();
    if (i == 0) first = last;
    put_delete_new(datagram, last, {.mapping = mapping, .client = endpoint("198.18.0.1", static_cast<std::uint16_t>(1024 + i))});
  }
  return datagram;
}

TEST(Netlink, IgnoresAForgedAcknowledgement) {
  isolated([] {
    Netlink netlink;
    Netlink forger;
    const std::uint32_t sequence = netlink.next_sequence();
    std::array<std::uint8_t, 64> bytes{};
    nlmsghdr* const forged = mnl_nlmsg_put_header(bytes.data());
    forged->nlmsg_type = NLMSG_ERROR;
    forged->nlmsg_seq = sequence;
    forged->nlmsg_pid = netlink.port_id();
    static_cast<nlmsgerr*>(mnl_nlmsg_put_extra_header(forged, sizeof(nlmsgerr)))->error = 0;
    sockaddr_nl to{};
    to.nl_family = AF_NETLINK;
    to.nl_pid = netlink.port_id();
    ASSERT_GT(sendto(forger.fd(), forged, forged->nlmsg_len, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
    MessageBatch request;
    put_delete_new(request, sequence, {.mapping = mapping, .client = endpoint("198.18.0.1", 1024)});
    try {
      netlink.exchange(request, sequence, sequence, "delete a missing entry");
      ADD_FAILURE() << "the forged acknowledgement was accepted";
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code().value(), ENOENT);
    }
  });
}

TEST(Netlink, CallsBackForEveryError) {
  isolated([] {
    Netlink netlink;
    std::uint32_t first = 0;
    std::uint32_t last = 0;
    std::vector<int> errors;
    const MessageBatch deletes = futile_deletes(netlink, 200, first, last);
    netlink.exchange(deletes, first, last, "delete", {}, 1'000, [&](std::uint32_t sequence, int error) {
      EXPECT_EQ(sequence, first + errors.size());
      errors.push_back(error);
      return true;
    });
    EXPECT_EQ(errors, std::vector<int>(200, ENOENT));
  });
}

TEST(Netlink, ThrowsTheFirstUnexpectedError) {
  isolated([] {
    Netlink netlink;
    std::uint32_t first = 0;
    std::uint32_t last = 0;
    const MessageBatch deletes = futile_deletes(netlink, 5, first, last);
    const auto all_but_third = [&](std::uint32_t sequence, int) { return sequence != first + 2; };
    EXPECT_THROW(netlink.exchange(deletes, first, last, "delete", {}, 1'000, all_but_third), std::system_error);
    MessageBatch counter;
    const std::uint32_t sequence = netlink.next_sequence();
    put_entry_counter(counter, sequence);
    EXPECT_NO_THROW(netlink.exchange(counter, sequence, sequence, "read the entry counter"));
  });
}

TEST(Netlink, TwoHundredErrorsFitIntoTheDefaultBuffer) {
  isolated([] {
    Netlink netlink;
    const int half_default = 106'496; // the kernel doubles it
    ASSERT_EQ(setsockopt(netlink.fd(), SOL_SOCKET, SO_RCVBUFFORCE, &half_default, sizeof half_default), 0);
    std::uint32_t first = 0;
    std::uint32_t last = 0;
    std::size_t refused = 0;
    const MessageBatch deletes = futile_deletes(netlink, 200, first, last);
    netlink.exchange(deletes, first, last, "delete", {}, 1'000, [&](std::uint32_t, int) { return ++refused > 0; });
    EXPECT_EQ(refused, 200U);
  });
}

} // namespace
} // namespace hanat::nat
