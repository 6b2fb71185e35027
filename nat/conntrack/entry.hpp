// What conntrack's netlink says: one entry of a dump, and what its attributes mean. Bytes only: pure.
// Not here: requests (messages), which entries belong to a mapping (flow_finder).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <libmnl/libmnl.h>

#include "nat/address.hpp"

namespace hanat::nat {

struct Tuple {
  Protocol protocol = Protocol::tcp;
  Endpoint source, destination;
  bool operator==(const Tuple&) const = default;
};

/// Who sent the first packet of a flow.
enum class Opener : std::uint8_t { client, server };

/// One TCP, UDP or SCTP entry of a dump.
struct Entry {
  Mapping mapping;   // of a flow that a client opened: original destination and reply source
  Endpoint client;   // original source
  Endpoint reply_to; // reply destination: the original source, or what SNAT made of it
  std::uint32_t mark = 0;
  // The kernel's attributes of this entry, inside the parsed message. zone is null for zone 0, master for an entry that is related to none.
  const nlattr* reply = nullptr;
  const nlattr* zone = nullptr;
  const nlattr* id = nullptr;
  const nlattr* status = nullptr;
  const nlattr* protocol_info = nullptr;
  const nlattr* master = nullptr;
  const nlattr* reply_counters = nullptr; // null where conntrack does not count (nf_conntrack_acct)
};

/// The phase of a TCP connection, according to its entry.
enum class TcpPhase : std::uint8_t {
  connecting, // the client has sent a SYN; the server may have replied
  refused,    // the server has replied to the SYN with a reset
  established,
  closed, // both sides have closed, or one has reset the established connection
};
/// `closed` for entries other than TCP. An offloaded entry has no state: only established connections are offloaded.
TcpPhase phase_of(const Entry& entry);
/// Both sides have closed the TCP connection, and its entry waits for late packets. One that the guard has reset is not: it was cut short.
bool is_finished(const Entry& entry);

/// Whether a reply has been seen.
bool is_replied(const Entry& entry);

/// Whether the server has certainly sent data, not only acknowledged; false where conntrack does not count. Answers of some bytes on a
/// connection without time stamps are not told from acknowledgements.
bool has_reply_data(const Entry& entry);

/// Whether a flowtable forwards the packets of the flow. They meet no rule, so the guard cannot reset their sender.
bool is_offloaded(const Entry& entry);

enum class FlowState : std::uint8_t {
  opening,     // TCP: not connected yet
  established, // TCP
  closing,     // TCP: one side has closed it or reset it; the entry waits for late packets
  answered,    // UDP, SCTP: packets went both ways
  unanswered,  // UDP, SCTP: packets went one way
};
std::string_view to_text(FlowState state);
/// An offloaded entry has no state of its own: only established connections are offloaded.
FlowState state_of(const Entry& entry);

/// The mapping of an entry if the server opened its flow, and a rule of the gateway (masquerade, snat) made the virtual endpoint its
/// source: the original source is the server, the reply destination the virtual endpoint, and the reply source the client. nullopt if the
/// source address is not translated.
std::optional<Mapping> mapping_opened_by_server(const Entry& entry);

/// The original tuple of the flow that this one is related to (expected by a helper: FTP data, TFTP); nullopt: none.
std::optional<Tuple> master_of(const Entry& entry);

/// Both tuples of a flow: its first packet before translation, and the replies to it; and its zone, in which its tuples are unique.
struct FlowTuples {
  Tuple original, reply;
  std::uint16_t zone = 0;
  bool operator==(const FlowTuples&) const = default;
};
/// From the attributes of an entry, as nflog adds them to a packet; nullopt: incomplete, or another protocol.
std::optional<FlowTuples> parse_flow(std::span<const std::uint8_t> attributes);

/// nullopt if the message is not a complete entry of a protocol that hanat translates.
std::optional<Entry> parse_entry(const nlmsghdr& message);

/// The reply to put_entry_counter().
std::optional<std::uint32_t> parse_entry_counter(const nlmsghdr& message);

} // namespace hanat::nat
