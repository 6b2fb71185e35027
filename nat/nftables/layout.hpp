// The fixed part of the table: its sets and chains, with the rules of the ruleset. While hanatd runs it changes only with what
// RuleOptions has, and by chains that are there only at times. Not here: the rules (ruleset), elements
// (set_elements), messages (transaction).
#pragma once

#include <chrono>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "nat/marks.hpp"
#include "nat/nftables/handles.hpp"
#include "nat/nftables/ruleset.hpp"
#include "nat/nftables/set_elements.hpp"

namespace hanat::nat {

/// Raised with every change of the layout. A loaded table with another number is replaced as a whole, in one transaction.
inline constexpr unsigned layout_version = 10;

/// The comment that marks a table as hanat's: "hanat layout 10".
std::string table_comment();
/// Whether a table's comment marks it as hanat's, in any layout version.
bool is_ours(const std::string& comment);

/// Sets whose elements packets and time-outs change; they are not compared. `heartbeat` has an element while hanatd renews it
/// (HeartbeatSocket); without it no refusal is held. `held4` and `held6` have the TCP flows whose refusal was held, by original tuple
/// (client . virtual endpoint), so that none is held twice; `held4_other` and `held6_other` those of UDP, of SCTP, and of ICMP errors.
inline constexpr std::chrono::milliseconds heartbeat_period{1'000};
inline constexpr std::chrono::milliseconds heartbeat_for{3'000}; // two heartbeats may be late
inline constexpr std::uint32_t heartbeats_at_most = 16;          // elements: one, and expired ones that the kernel has not freed yet
inline constexpr std::chrono::milliseconds held_for{10'000};     // a client repeats the SYN of a flow after 1, 3 and 7 s
inline constexpr std::uint32_t held_at_most = 65'536;            // flows per set, 8 MiB; once the set is full, refusals pass
constexpr const char* held_set(Family family) { return family == Family::ipv4 ? "held4" : "held6"; }
constexpr const char* held_other_set(Family family) { return family == Family::ipv4 ? "held4_other" : "held6_other"; }

/// Also filled by packets: flows that send TCP that fits no flow. `orphans_now` has them for a second, so that what comes at once counts
/// once.
constexpr const char* orphans_set(Family family) { return family == Family::ipv4 ? "orphans4" : "orphans6"; }
constexpr const char* orphans_now_set(Family family) { return family == Family::ipv4 ? "orphans_now4" : "orphans_now6"; }
inline constexpr std::chrono::milliseconds orphans_for{30'000};
inline constexpr std::chrono::milliseconds orphans_now_for{1'000};
inline constexpr std::uint32_t orphans_at_most = 65'536; // once a set is full, nobody is reset

/// Also filled by packets: `attempts` has clients that sent a SYN to anywhere, by original tuple. One that is found there repeats its SYN.
/// If the first one was delivered, conntrack has an entry, and hanatd looks for it. Once the set is full, SYNs are not noted: a quiet
/// gateway sees every client, a busy one a sample. `waiting` has clients that repeated a SYN (client . virtual endpoint), so that the first
/// answer that one of them gets is logged.
constexpr const char* attempts_set(Family family) { return family == Family::ipv4 ? "attempts4" : "attempts6"; }
constexpr const char* waiting_set(Family family) { return family == Family::ipv4 ? "waiting4" : "waiting6"; }
inline constexpr std::chrono::milliseconds attempts_for{4'000}; // since its last SYN; one is repeated 1, 3 and 7 s after the first
inline constexpr std::uint32_t attempts_at_most = 256;          // noting one costs more than all other rules for a new connection
inline constexpr std::chrono::milliseconds waiting_for{60'000};
inline constexpr std::uint32_t waiting_at_most = 4'096; // once the set is full, answers to further clients are not logged

/// Also filled by packets: every interface on which clients of hairpin services arrived recently, paired with itself. A rule cannot compare
/// two interfaces, but it can look up a pair. Each packet adds its pair before the lookup, so the set is never out of date.
inline constexpr const char* set_hairpin_ifaces = "hairpin_ifaces";
inline constexpr std::chrono::milliseconds hairpin_iface_for{60'000}; // so that deleted interfaces do not accumulate
inline constexpr std::uint32_t hairpin_ifaces_at_most = 65'536;       // once the set is full, sources are not translated

struct Layout {
  std::vector<SetPtr> sets;
  std::vector<ChainPtr> chains;
  std::vector<RulePtr> rules; // in order, chain by chain
};
Layout make_layout(const std::string& table, const RuleOptions& options = {});
/// The sets and rules of ranges of ports with this number; the chains are there.
Layout make_range_layout(const std::string& table, std::uint8_t number);
/// Sets in the form that layouts before 10 had (set_ids_of_layout_9).
std::vector<SetPtr> make_sets_of_layout_9(const std::string& table);

/// Lets the replies to untracked probes bypass conntrack. The chain costs time for every packet that the gateway forwards, so it is loaded
/// only while conntrack's table is full. It is not part of the comparison with the loaded layout.
inline constexpr const char* chain_untracked = "untracked";
struct UntrackedReplies {
  ChainPtr chain;
  RulePtr rule;
};
UntrackedReplies make_untracked_replies(const std::string& table, const ProbePorts& ports);

/// Forwards the established flows of the set `offloaded`, past all chains: a flowtable, and the chain that puts them on it. A kernel may
/// have no flowtables, so they are loaded only while a service asks for them, in a transaction of their own.
inline constexpr const char* chain_offloading = "offloading"; // not `offload`, which is a keyword of nft
inline constexpr const char* flowtable_name = "flows";
struct Offloading {
  FlowtablePtr flowtable; // without devices
  ChainPtr chain;
  std::vector<RulePtr> rules;
};
Offloading make_offloading(const std::string& table);
/// hanat's flowtable, with nothing but its name.
FlowtablePtr make_flowtable(const std::string& table);
/// Names of the interfaces whose packets a flowtable forwards.
using Devices = std::set<std::string>;

/// A set, a chain or a flowtable as text in a fixed form: equal text means equal objects. (For rules see rule_writer.)
std::string describe(const nftnl_set& set);
std::string describe(const nftnl_chain& chain);
std::string describe(const nftnl_flowtable& flowtable); // without its devices

} // namespace hanat::nat
