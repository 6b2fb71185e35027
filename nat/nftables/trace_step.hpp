// One report of nf_tables about a traced packet, as a value: where in the ruleset it was, what was decided there, and the packet's
// addresses at that moment. Pure. Not here: the socket (trace_reader), what the reports of one packet mean (daemon/doctor/culprit).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "nat/address.hpp"

struct nlmsghdr;

namespace hanat::nat {

/// The family of a table.
enum class TableFamily : std::uint8_t { inet = 1, ip = 2, arp = 3, netdev = 5, bridge = 7, ip6 = 10 };
/// As nft writes it: "inet", "ip6".
std::string_view to_text(TableFamily family);
std::optional<TableFamily> to_table_family(std::uint32_t number);

enum class TraceKind : std::uint8_t {
  rule,         // the packet matched the rule
  chain_return, // the end of a chain, or `return`
  policy,       // no rule decided: the policy of the base chain
};

enum class TraceVerdict : std::uint8_t { next, accept, drop, stolen, queue, jump, go_to, back };

/// What the headers of a packet say.
struct TracedHeader {
  Endpoint from, to;
  std::uint8_t protocol = 0;
  std::uint8_t tcp_flags = 0;
  bool operator==(const TracedHeader&) const = default;
};

struct TraceStep {
  std::uint32_t packet = 0; // the kernel's number for the packet; a later packet may have the same
  TableFamily family = TableFamily::inet;
  std::string table, chain;
  TraceKind kind = TraceKind::rule;
  std::uint64_t rule_handle = 0; // 0: not about a rule
  TraceVerdict verdict = TraceVerdict::next;
  std::string target; // of a jump
  std::uint32_t mark = 0;
  // Only in the first report of each base chain:
  std::string iif, oif; // names; empty: none at this hook, or the interface is gone
  std::optional<TracedHeader> header{};
  bool operator==(const TraceStep&) const = default;
};

/// Interfaces as the kernel reports them.
struct TraceInterfaces {
  std::uint32_t iif = 0, oif = 0; // 0: none
};

/// The step in a message; nullopt: another message, or one that makes no sense. `interfaces` gets the numbers.
std::optional<TraceStep> trace_step_in(const nlmsghdr& message, TraceInterfaces& interfaces);

/// The addresses and ports in an IPv4 or IPv6 header and the transport header behind it; nullopt: neither, or too short. A transport header
/// that is too short for ports leaves them 0.
std::optional<TracedHeader> traced_header_in(std::span<const std::uint8_t> network, std::span<const std::uint8_t> transport);

} // namespace hanat::nat
