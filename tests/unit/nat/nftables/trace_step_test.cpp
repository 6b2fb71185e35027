// Messages as the kernel sends them become steps; garbage becomes nothing. Not here: reports of a kernel (namespace tests).
#include "nat/nftables/trace_step.hpp"

#include <array>
#include <cstdint>
#include <vector>

#include <arpa/inet.h>
#include <endian.h>
#include <gtest/gtest.h>
#include <libmnl/libmnl.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "nat/nftables/request.hpp"

namespace hanat::nat {
namespace {

constexpr std::array<std::uint8_t, 20> ipv4_header{0x45, 0, 0, 60, 0, 0, 0, 0, 64, 6, 0, 0, 198, 18, 0, 7, 203, 0, 113, 10};
constexpr std::array<std::uint8_t, 20> tcp_header{0x9c, 0x40, 0x01, 0xbb, 0, 0, 0, 1, 0, 0, 0, 0, 0xa0, 0x02, 0xfa, 0xf0, 0, 0, 0, 0};

struct TraceMessage {
  alignas(nlmsghdr) std::array<std::uint8_t, 1024> bytes{};
  nlmsghdr* header = put_nft_header(bytes, nft_type(NFT_MSG_TRACE), 0, 0);

  explicit TraceMessage(std::uint8_t family = NFPROTO_IPV4) {
    static_cast<nfgenmsg*>(mnl_nlmsg_get_payload(header))->nfgen_family = family;
    mnl_attr_put_u32(header, NFTA_TRACE_ID, htonl(7));
    mnl_attr_put_strz(header, NFTA_TRACE_TABLE, "filter");
    mnl_attr_put_strz(header, NFTA_TRACE_CHAIN, "FORWARD");
  }
  TraceMessage& type(std::uint32_t number) {
    mnl_attr_put_u32(header, NFTA_TRACE_TYPE, htonl(number));
    return *this;
  }
  TraceMessage& verdict(std::uint32_t code, const char* target = nullptr) {
    nlattr* nest = mnl_attr_nest_start(header, NFTA_TRACE_VERDICT);
    mnl_attr_put_u32(header, NFTA_VERDICT_CODE, htonl(code));
    if (target != nullptr) mnl_attr_put_strz(header, NFTA_VERDICT_CHAIN, target);
    mnl_attr_nest_end(header, nest);
    return *this;
  }
};

TEST(TraceStep, ARuleWithHeaders) {
  TraceMessage message;
  message.type(NFT_TRACETYPE_RULE).verdict(NF_DROP);
  mnl_attr_put_u64(message.header, NFTA_TRACE_RULE_HANDLE, htobe64(9));
  mnl_attr_put_u32(message.header, NFTA_TRACE_IIF, htonl(3));
  mnl_attr_put(message.header, NFTA_TRACE_NETWORK_HEADER, ipv4_header.size(), ipv4_header.data());
  mnl_attr_put(message.header, NFTA_TRACE_TRANSPORT_HEADER, tcp_header.size(), tcp_header.data());
  TraceInterfaces interfaces;
  const auto step = trace_step_in(*message.header, interfaces);
  ASSERT_TRUE(step);
  const TraceStep wanted{.packet = 7,
                         .family = TableFamily::ip,
                         .table = "filter",
                         .chain = "FORWARD",
                         .kind = TraceKind::rule,
                         .rule_handle = 9,
                         .verdict = TraceVerdict::drop,
                         .target = {},
                         .iif = {},
                         .oif = {},
                         .header = TracedHeader{.from = {Address::parse("198.18.0.7").value(), 40000},
                                                .to = {Address::parse("203.0.113.10").value(), 443},
                                                .protocol = 6,
                                                .tcp_flags = 2}};
  EXPECT_EQ(*step, wanted);
  EXPECT_EQ(interfaces.iif, 3U);
  EXPECT_EQ(interfaces.oif, 0U);
}

TEST(TraceStep, JumpsAndPolicies) {
  TraceInterfaces interfaces;
  TraceMessage jump;
  jump.type(NFT_TRACETYPE_RULE).verdict(static_cast<std::uint32_t>(NFT_JUMP), "DOCKER-USER");
  const auto jumped = trace_step_in(*jump.header, interfaces);
  ASSERT_TRUE(jumped);
  EXPECT_EQ(jumped->verdict, TraceVerdict::jump);
  EXPECT_EQ(jumped->target, "DOCKER-USER");
  TraceMessage policy{NFPROTO_IPV6};
  policy.type(NFT_TRACETYPE_POLICY);
  mnl_attr_put_u32(policy.header, NFTA_TRACE_POLICY, htonl(NF_DROP));
  const auto dropped = trace_step_in(*policy.header, interfaces);
  ASSERT_TRUE(dropped);
  EXPECT_EQ(dropped->family, TableFamily::ip6);
  EXPECT_EQ(dropped->kind, TraceKind::policy);
  EXPECT_EQ(dropped->verdict, TraceVerdict::drop);
}

TEST(TraceStep, ARuleWithoutAHandleIsTheEndOfAChain) {
  TraceInterfaces interfaces;
  TraceMessage message;
  message.type(NFT_TRACETYPE_RULE).verdict(static_cast<std::uint32_t>(NFT_CONTINUE));
  EXPECT_EQ(trace_step_in(*message.header, interfaces)->kind, TraceKind::chain_return);
}

TEST(TraceStep, NothingInWhatMakesNoSense) {
  TraceInterfaces interfaces;
  TraceMessage no_type;
  EXPECT_FALSE(trace_step_in(*no_type.header, interfaces));
  TraceMessage no_verdict;
  EXPECT_FALSE(trace_step_in(*no_verdict.type(NFT_TRACETYPE_RULE).header, interfaces)) << "and not a drop, whose number is 0";
  TraceMessage odd_family{99};
  EXPECT_FALSE(trace_step_in(*odd_family.type(NFT_TRACETYPE_RULE).verdict(NF_DROP).header, interfaces));
  TraceMessage other;
  other.type(NFT_TRACETYPE_RULE).verdict(NF_DROP).header->nlmsg_type = nft_type(NFT_MSG_NEWRULE);
  EXPECT_FALSE(trace_step_in(*other.header, interfaces));
  TraceMessage odd_verdict;
  EXPECT_FALSE(trace_step_in(*odd_verdict.type(NFT_TRACETYPE_RULE).verdict(77).header, interfaces));
}

TEST(TraceStep, HeadersThatAreTooShort) {
  EXPECT_FALSE(traced_header_in({}, tcp_header));
  EXPECT_FALSE(traced_header_in(std::span{ipv4_header}.first(19), tcp_header));
  const auto without_ports = traced_header_in(ipv4_header, std::span{tcp_header}.first(3));
  ASSERT_TRUE(without_ports);
  EXPECT_EQ(without_ports->to.port, 0);
  EXPECT_EQ(traced_header_in(ipv4_header, std::span{tcp_header}.first(8))->tcp_flags, 0);
  std::vector<std::uint8_t> ipv6_header(40);
  ipv6_header[0] = 0x60, ipv6_header[6] = 17, ipv6_header[23] = 1, ipv6_header[39] = 2;
  const auto six = traced_header_in(ipv6_header, tcp_header);
  ASSERT_TRUE(six);
  EXPECT_EQ(six->to, (Endpoint{Address::parse("::2").value(), 443}));
}

} // namespace
} // namespace hanat::nat
