// Reads the multicast group of nf_tables. The generation counts the commits of the network namespace.
#include "nat/nftables/commit_watch.hpp"

#include <memory>
#include <utility>

#include <arpa/inet.h>
#include <libnftnl/gen.h>

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "nat/nftables/handles.hpp"
#include "nat/nftables/request.hpp"

namespace hanat::nat {
namespace {

constexpr unsigned watched_groups = 1U << (NFNLGRP_NFTABLES - 1);
constexpr std::size_t buffer_bytes = std::size_t{4} << 20; // room for about ten thousand elements of other users

/// How far a generation is ahead of another. The counter wraps.
std::int32_t ahead(std::uint32_t generation, std::uint32_t of) { return static_cast<std::int32_t>(generation - of); }

bool ends_commit(const nlmsghdr& message) { return message.nlmsg_type == nft_type(NFT_MSG_NEWGEN); }

/// The table that a message inside a commit names; null: none. It is the first attribute, with the same number in every message type.
const char* table_in(const nlmsghdr& message) {
  const auto* name = static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(&message, sizeof(nfgenmsg)));
  const bool named = message.nlmsg_len > NLMSG_LENGTH(sizeof(nfgenmsg)) && mnl_attr_get_type(name) == NFTA_TABLE_NAME;
  return named ? mnl_attr_get_str(name) : nullptr;
}

} // namespace

std::uint32_t generation_in(const nlmsghdr& message) {
  const std::unique_ptr<nftnl_gen, Releaser<nftnl_gen_free>> gen{nftnl_gen_alloc()};
  if (!gen || nftnl_gen_nlmsg_parse(&message, gen.get()) != 0) return 0;
  return nftnl_gen_get_u32(gen.get(), NFTNL_GEN_ID);
}

CommitWatch::CommitWatch(std::string table, std::uint32_t own_port)
    : table_(std::move(table)), own_port_(own_port), socket_(buffer_bytes, watched_groups) {}

bool CommitWatch::changed_by_others() {
  bool changed = false, gap = false;
  const bool complete = socket_.drain([&](const nlmsghdr& message) {
    if (ends_commit(message)) {
      const std::uint32_t generation = generation_in(message);
      advance_over_skipped();
      gap |= ahead(generation, seen_) > 1;
      if (ahead(generation, seen_) > 0) seen_ = generation;
    } else if (message.nlmsg_pid != own_port_) {
      const char* table = table_in(message);
      changed |= table != nullptr && table_ == table;
    }
  });
  return changed || !complete || gap;
}

bool CommitWatch::missed(std::uint32_t now) {
  const bool changed = now != seen_ && changed_by_others();
  advance_over_skipped();
  const bool behind = ahead(now, seen_) > 0;
  if (behind) seen_ = now;
  return changed || behind;
}

void CommitWatch::listen(bool on) { socket_.listen(NFNLGRP_NFTABLES, on); }

/// Counts our own commits that were made while muted as seen.
void CommitWatch::advance_over_skipped() {
  while (!skipped_.empty() && ahead(skipped_.front(), seen_) <= 1) {
    if (skipped_.front() == seen_ + 1) ++seen_;
    skipped_.erase(skipped_.begin());
  }
}

} // namespace hanat::nat
