// The header of a message to nf_tables. Not here: attributes, batches (transaction), sending (netlink).
#pragma once

#include <cstdint>
#include <span>

#include <libmnl/libmnl.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>

namespace hanat::nat {

/// The netlink type of a message of nf_tables: `type` is NFT_MSG_*.
constexpr std::uint16_t nft_type(int type) { return static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | type); }

/// Starts a message in `buffer`, with the netfilter header for family inet. `type` is a netlink type.
inline nlmsghdr* put_nft_header(std::span<std::uint8_t> buffer, std::uint16_t type, std::uint16_t flags, std::uint32_t sequence) {
  nlmsghdr* header = mnl_nlmsg_put_header(buffer.data());
  header->nlmsg_type = type;
  header->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  header->nlmsg_seq = sequence;
  auto* netfilter = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
  netfilter->nfgen_family = NFPROTO_INET;
  netfilter->version = NFNETLINK_V0;
  netfilter->res_id = 0;
  return header;
}

} // namespace hanat::nat
