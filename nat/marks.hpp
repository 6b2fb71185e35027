// The numbers that the table, hanatd's own packets and its log group share.
// Not here: the rules that use them (nftables/ruleset), the sockets that carry them (probes/io, nudge).
#pragma once

#include <cstdint>
#include <string_view>

namespace hanat::nat {

/// The table logs the packets of clients in trouble to this nfnetlink_log group, at most 100 per second for each kind and family; of
/// undelivered and unacknowledged ones 10, 1,000 of those that connect again, one answer for each client that repeated a SYN, and 50 of
/// those that are in no trouble, as a sample. "ha"
inline constexpr std::uint16_t log_group = 0x4861;
inline constexpr const char* log_refused = "hanat refused";         // a server's reset of a SYN or ABORT of an INIT, held or not
inline constexpr const char* log_unanswered = "hanat unanswered";   // a client repeats its SYN: its server has not replied to the first
inline constexpr const char* log_undelivered = "hanat undelivered"; // a client repeats its SYN: conntrack had no entry of the first
inline constexpr const char* log_unacknowledged = "hanat unacknowledged"; // a client repeats its SYN although a server has accepted
inline constexpr const char* log_answered = "hanat answered";       // a server accepts a connection of a client that had repeated a SYN
inline constexpr const char* log_unreachable = "hanat unreachable"; // ICMP destination unreachable for a client's packet, held or not
inline constexpr const char* log_sample = "hanat sample";           // a client's first SYN, one of some: is it served a moment later?

/// The packet that renews the heartbeat carries this mark; a rule drops it on its way out. "hanb"
inline constexpr std::uint32_t heartbeat_mark = 0x68616e62;

inline constexpr const char* log_reconnect = "hanat reconnect"; // a client's SYN belongs to an entry of its old connection

/// hanatd's own packets and sockets carry this mark and bypass conntrack: nudges, and probes from the ports of ProbePorts. "hana"
inline constexpr std::uint32_t packet_mark = 0x68616e61;

/// Interfaces of hanatd's own: a veth pair for its client, while that opens flows. Nobody else comes by them.
inline constexpr std::string_view own_link_prefix = "hanat-c";

} // namespace hanat::nat
