// Failures of a path, and the kernel's messages about links, routes, addresses and neighbours as changes.
#include "probes/passive/route_monitor.hpp"

#include <cerrno>
#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

namespace hanat::probes {
namespace {

using testing::VariantWith;

Address parsed(const char* text) { return Address::parse(text).value(); }

Route route_by(unsigned interface, int error = 0) {
  return {.error = error, .hop = {.interface = interface, .next = parsed("198.18.1.2")}, .source = std::nullopt};
}
Link link_like(bool up, bool carrier, bool gone = false) {
  return {.index = 2, .name = "near", .up = up, .carrier = carrier, .gone = gone};
}

TEST(PathFailure, ARouteThroughAUsableOrUnknownLinkHasNone) {
  const Link good = link_like(true, true);
  EXPECT_EQ(path_failure(route_by(2), &good), std::nullopt);
  EXPECT_EQ(path_failure(route_by(2), nullptr), std::nullopt);
}

TEST(PathFailure, ALinkThatIsDownOrWithoutCarrierIsNamed) {
  for (const Link& link : {link_like(false, false), link_like(true, false), link_like(false, true)}) {
    EXPECT_EQ(path_failure(route_by(2), &link), (PathFailure{.reason = Reason::no_carrier, .detail = "near"}));
    EXPECT_EQ(path_failure(route_by(2, ENETUNREACH), &link), (PathFailure{.reason = Reason::no_carrier, .detail = "near"}));
  }
}

TEST(PathFailure, WithoutARouteTheTypeOfRouteIsNamed) {
  const Link good = link_like(true, true);
  const Link gone = link_like(false, false, true);
  for (const Link* link : {&good, &gone}) {
    EXPECT_EQ(path_failure(route_by(2, ENETUNREACH), link), (PathFailure{.reason = Reason::net_unreachable, .detail = "no route"}));
    EXPECT_EQ(path_failure(route_by(2, EHOSTUNREACH), link),
              (PathFailure{.reason = Reason::net_unreachable, .detail = "unreachable route"}));
    EXPECT_EQ(path_failure(route_by(2, EINVAL), link), (PathFailure{.reason = Reason::net_unreachable, .detail = "blackhole route"}));
  }
}

TEST(PathFailure, AProhibitRouteAndAFailedLookupAreNone) {
  for (const int error : {EACCES, ENOMEM, ENOBUFS}) EXPECT_EQ(path_failure(route_by(2, error), nullptr), std::nullopt);
}

// ---- messages

struct KernelMessage {
  template <typename Header> KernelMessage(std::uint16_t type, const Header& header) : message(mnl_nlmsg_put_header(bytes)) {
    message->nlmsg_type = type;
    std::memcpy(mnl_nlmsg_put_extra_header(message, sizeof header), &header, sizeof header);
  }
  KernelMessage& with(std::uint16_t type, const Address& address) {
    mnl_attr_put(message, type, address.bytes().size(), address.bytes().data());
    return *this;
  }
  std::optional<Change> change() { return change_in(*message); }

  alignas(nlmsghdr) char bytes[512]{};
  nlmsghdr* message;
};

ifinfomsg link_header(std::uint8_t family, unsigned flags) {
  ifinfomsg header{};
  header.ifi_family = family;
  header.ifi_index = 2;
  header.ifi_flags = flags;
  return header;
}

TEST(RouteMessages, FlagsOfALinkAreUpAndCarrier) {
  KernelMessage message{RTM_NEWLINK, link_header(AF_UNSPEC, 1U << 16 | 1U)};
  mnl_attr_put_strz(message.message, IFLA_IFNAME, "near");
  EXPECT_THAT(message.change(), testing::Optional(VariantWith<Link>(link_like(true, true))));
  KernelMessage down{RTM_DELLINK, link_header(AF_UNSPEC, 0)};
  mnl_attr_put_strz(down.message, IFLA_IFNAME, "near");
  EXPECT_THAT(down.change(), testing::Optional(VariantWith<Link>(link_like(false, false, true))));
}

TEST(RouteMessages, APortThatLeavesItsBridgeIsNoDeletedLink) {
  KernelMessage message{RTM_DELLINK, link_header(AF_BRIDGE, 0)};
  EXPECT_EQ(message.change(), std::nullopt);
}

rtmsg route_header(std::uint8_t family, std::uint8_t bits, unsigned flags = 0) {
  rtmsg header{};
  header.rtm_family = family;
  header.rtm_dst_len = bits;
  header.rtm_flags = flags;
  return header;
}

TEST(RouteMessages, ARouteIsItsPrefix) {
  const RouteChange v4{.network = parsed("203.0.113.0"), .prefix = 24, .removed = true};
  EXPECT_THAT((KernelMessage{RTM_DELROUTE, route_header(AF_INET, 24)}.with(RTA_DST, v4.network).change()),
              testing::Optional(VariantWith<RouteChange>(v4)));
  const RouteChange any{.network = parsed("::"), .prefix = 0, .removed = false};
  EXPECT_THAT((KernelMessage{RTM_NEWROUTE, route_header(AF_INET6, 0)}.change()), testing::Optional(VariantWith<RouteChange>(any)));
  EXPECT_EQ((KernelMessage{RTM_NEWROUTE, route_header(AF_INET6, 128, RTM_F_CLONED)}.with(RTA_DST, parsed("fd00::1")).change()),
            std::nullopt)
      << "an exception of one flow";
  EXPECT_EQ((KernelMessage{RTM_NEWROUTE, route_header(AF_INET, 99)}.with(RTA_DST, v4.network).change()), std::nullopt);
}

TEST(RouteMessages, OnlyAFailedNeighbourIsAChange) {
  for (const int state : {NUD_REACHABLE, NUD_STALE, NUD_FAILED}) {
    ndmsg header{};
    header.ndm_family = AF_INET;
    header.ndm_ifindex = 2;
    header.ndm_state = static_cast<std::uint16_t>(state);
    const auto change = KernelMessage{RTM_NEWNEIGH, header}.with(NDA_DST, parsed("198.18.1.2")).change();
    EXPECT_EQ(change.has_value(), state == NUD_FAILED);
  }
}

TEST(RouteMessages, AMessageThatIsTooShortForItsTypeIsIgnored) {
  for (const std::uint16_t type : {RTM_NEWLINK, RTM_NEWROUTE, RTM_NEWADDR, RTM_NEWNEIGH}) {
    const std::uint8_t family = AF_INET;
    EXPECT_EQ((KernelMessage{type, family}.change()), std::nullopt) << type;
  }
}

} // namespace
} // namespace hanat::probes
