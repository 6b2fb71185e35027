// What the files with the rules share: the writer of chains, and one function for each part of the ruleset. Not here: their order
// (ruleset), expressions (rule_writer).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <netinet/tcp.h>

#include <linux/netfilter/nf_conntrack_common.h>

#include "nat/nftables/rule_writer.hpp"
#include "nat/nftables/ruleset.hpp"
#include "nat/nftables/set_elements.hpp"

namespace hanat::nat {

// nft loads a rule that names a port of conntrack or of a translation only if the rule names the protocol, too, in a comparison. (A set of
// protocols would do if it was anonymous; a named one does not.) Where a match of a port follows, nft's listing leaves the protocol out,
// and a listing has to load: so such a rule takes the server's port from conntrack, not from the packet.
constexpr std::array all_protocols{Protocol::tcp, Protocol::udp, Protocol::sctp};

inline constexpr std::uint64_t logged_per_second = 100; // one is enough to probe the server; more show how many clients are affected

/// The TCP flags that tell the packets that open or refuse a connection.
constexpr std::uint8_t opening_flags = TH_FIN | TH_SYN | TH_RST | TH_ACK;

// Bits of `ct state` in nf_tables: 1 << (ctinfo + 1); invalid is bit 0.
constexpr std::uint32_t state_invalid = 1U << 0;
constexpr std::uint32_t state_new = 1U << (IP_CT_NEW + 1);

/// The comment of a rule that holds a refusal.
constexpr const char* held_comment_of(Protocol protocol) {
  return protocol == Protocol::tcp ? "the first refusal is held: the client's next SYN goes to the next server"
                                   : "the first refusal is held: the client's next INIT goes to the next server";
}

/// Writes one chain after the other.
class ChainWriter {
public:
  explicit ChainWriter(const std::string& table) : table_(table) {}
  RuleWriter rule(const std::string& comment) { return {table_, chain_, comment}; }
  void add(RuleWriter& writer) { rules_.push_back(writer.take()); }
  void open(const std::string& chain) { chain_ = chain; }
  std::vector<RulePtr> take() { return std::move(rules_); }

private:
  const std::string& table_;
  std::string chain_;
  std::vector<RulePtr> rules_;
};

/// The chains of the guard, and those that it goes to.
void write_guard(ChainWriter& writer, const RuleOptions& options);
/// What tells that clients get no answer: the chains that the guard goes to.
void write_evidence(ChainWriter& writer);
/// New flows get their server. Reached from the hooks prerouting and output.
void write_dnat(ChainWriter& writer);
/// New flows get their source address, and a port of `ports`. Reached from the hook postrouting.
void write_source(ChainWriter& writer, const SourcePorts& ports);
/// Established flows go on the flowtable. Reached from the hook forward, while some service asks for it.
void write_offloading(ChainWriter& writer);

/// All of these for the ranges of ports with this number (RangeNumbers).
void write_range(ChainWriter& writer, std::uint8_t number);

/// The rest of a rule whose key of `hold` is in the registers.
RuleWriter& hold_once(RuleWriter& rule, SetId hold, const char* held);

} // namespace hanat::nat
