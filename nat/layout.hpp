// The fixed part of the table: its sets, chains and rules. They never change while hanatd runs, but for one chain that comes and goes with
// a full conntrack table. Not here: the rules, in the order in which a packet meets them (layout_rules), elements, messages (transaction).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "nat/elements.hpp"
#include "nat/handles.hpp"

namespace hanat::nat {

/// Raised with every change below; another number in a loaded table means: replace the whole table in one transaction.
inline constexpr unsigned layout_version = 3;

/// The comment by which a table is known as hanat's: "hanat layout 3".
std::string table_comment();
/// Whether a comment of any layout version says that the table is hanat's.
bool is_ours(const std::string& comment);

/// What the guard sees of clients that fail goes to this group of nfnetlink_log, at most 100 packets a second of a kind and family. "ha"
inline constexpr std::uint16_t log_group = 0x4861;
inline constexpr const char* log_refused = "hanat refused";         // a server's TCP reset in answer to a client's SYN, held or not
inline constexpr const char* log_unanswered = "hanat unanswered";   // a client's SYN again, of which the first was not answered
inline constexpr const char* log_unreachable = "hanat unreachable"; // ICMP destination unreachable in answer to a client's packet

/// Packets and sockets of hanatd's own carry this mark, and conntrack leaves them alone: nudges, and probes from these ports. "hana"
inline constexpr std::uint32_t packet_mark = 0x68616e61;
inline constexpr std::uint16_t probe_port_first = 61000;
inline constexpr std::uint16_t probe_port_last = 61999;

/// Sets that packets and time change; nobody compares their elements. `alive` has one while hanatd says so every second
/// (Kernel::keep_alive); without it nothing is held. `held4` and `held6` have the flows that were held, by their original tuple (client .
/// virtual endpoint), so that none is held twice.
inline constexpr std::chrono::milliseconds alive_for{3'000}; // two beats may be late
inline constexpr std::chrono::milliseconds held_for{10'000}; // a client's SYNs 1, 3 and 7 s after the first are of the same flow
inline constexpr std::uint32_t held_at_most = 65'536;        // flows a family; 8 MiB; in a full set refusals get through
constexpr const char* held_set(Family family) { return family == Family::ipv4 ? "held4" : "held6"; }

/// Another one that packets fill: every interface by which clients of hairpin services have come lately, paired with itself. A rule cannot
/// compare two interfaces, but it can look a pair up. The packet that is asked about puts its pair there first, so nothing goes stale.
inline constexpr const char* set_same_way = "same_way";
inline constexpr std::chrono::milliseconds same_way_for{60'000}; // only so that interfaces that are gone do not pile up
inline constexpr std::uint32_t same_way_at_most = 65'536;        // interfaces; in a full set sources are not translated

struct Layout {
  std::vector<SetPtr> sets;
  std::vector<ChainPtr> chains;
  std::vector<RulePtr> rules; // in order, chain by chain
};
Layout make_layout(const std::string& table);

/// Lets the answers to untracked probes pass by conntrack. Every packet that the gateway forwards would pay for the chain: it is loaded
/// only while conntrack's table is full, and is no part of what is compared.
inline constexpr const char* chain_untracked = "untracked";
struct UntrackedAnswers {
  ChainPtr chain;
  RulePtr rule;
};
UntrackedAnswers make_untracked_answers(const std::string& table);

/// One text a set, chain or chain's rule list, in a fixed form: equal text means that nothing was touched.
std::string describe(const nftnl_set& set);
std::string describe(const nftnl_chain& chain);

} // namespace hanat::nat
