// The multicast group of nf_tables, and generations, which count every commit of the network namespace.
#include "nat/commit_watch.hpp"

#include <memory>
#include <utility>

#include <arpa/inet.h>
#include <libnftnl/gen.h>

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "nat/handles.hpp"

namespace hanat::nat {
namespace {

constexpr unsigned watched_groups = 1U << (NFNLGRP_NFTABLES - 1);
constexpr std::size_t hears_bytes = std::size_t{4} << 20; // some ten thousand elements of others

/// By how much a generation is ahead of another; they are counted one by one and wrap.
std::int32_t ahead(std::uint32_t generation, std::uint32_t of) { return static_cast<std::int32_t>(generation - of); }

bool ends_commit(const nlmsghdr& message) { return message.nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN); }

/// Of a message inside a commit, the table that it names; null: none. It is the first attribute, and the same number, in each.
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
    : table_(std::move(table)), own_port_(own_port), socket_(hears_bytes, watched_groups) {}

bool CommitWatch::disturbed() {
  bool touched = false, gap = false;
  const bool complete = socket_.drain([&](const nlmsghdr& message) {
    if (ends_commit(message)) {
      const std::uint32_t generation = generation_in(message);
      pass_unheard();
      gap |= ahead(generation, heard_) > 1;
      if (ahead(generation, heard_) > 0) heard_ = generation;
    } else if (message.nlmsg_pid != own_port_) {
      const char* table = table_in(message);
      touched |= table != nullptr && table_ == table;
    }
  });
  return touched || !complete || gap;
}

bool CommitWatch::missed(std::uint32_t now) {
  const bool told = now != heard_ && disturbed();
  pass_unheard();
  const bool behind = ahead(now, heard_) > 0;
  if (behind) heard_ = now;
  return told || behind;
}

void CommitWatch::listen(bool on) { socket_.listen(NFNLGRP_NFTABLES, on); }

/// Goes on behind our own commits that it was not to hear.
void CommitWatch::pass_unheard() {
  while (!unheard_.empty() && ahead(unheard_.front(), heard_) <= 1) {
    if (unheard_.front() == heard_ + 1) ++heard_;
    unheard_.erase(unheard_.begin());
  }
}

} // namespace hanat::nat
