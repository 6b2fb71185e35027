// The messages of conntrack's netlink: parses entries of a dump, and builds requests to dump, create and delete entries. Bytes only: pure.
// A delete that could mean "everything" cannot be built: each names one whole mapping, or one entry of a dump.
// Not here: sending (socket), which requests the kernel supports (capabilities), what to delete (cut).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <libmnl/libmnl.h>

#include "nat/address.hpp"

namespace hanat::nat {

/// A datagram of requests under construction; every put_ function appends one message.
using MessageBatch = std::vector<std::uint8_t>;

/// One TCP, UDP or SCTP entry of a dump.
struct Entry {
  Mapping mapping; // original destination and reply source
  Endpoint client; // original source
  std::uint32_t mark = 0;
  // The kernel's attributes of this entry, inside the parsed message. zone is null for zone 0.
  const nlattr* reply = nullptr;
  const nlattr* zone = nullptr;
  const nlattr* id = nullptr;
  const nlattr* status = nullptr;
  const nlattr* protocol_info = nullptr;
};

/// The phase of a TCP connection, according to its entry.
enum class TcpPhase : std::uint8_t {
  connecting, // the client has sent a SYN; the server may have replied
  refused,    // the server has replied to the SYN with a reset
  established,
  closed, // both sides have closed, or one has reset the established connection
};
/// `closed` for entries other than TCP.
TcpPhase phase_of(const Entry& entry);

/// nullopt if the message is not a complete entry of a protocol that hanat translates.
std::optional<Entry> parse_entry(const nlmsghdr& message);

/// What the kernel compares; absent fields match everything. A port needs the protocol. Linux 6.18 ignores the ports of SCTP, so they are
/// never part of a filter.
struct Filter {
  std::optional<Protocol> protocol;
  std::optional<Address> vip;
  std::optional<Address> server;
  std::optional<std::uint16_t> vip_port;
  std::optional<std::uint16_t> server_port;
  auto operator<=>(const Filter&) const = default;
};
/// The filter for a whole mapping; for a range without ports.
Filter filter_of(const Mapping& mapping);
bool matches(const Filter& filter, const Mapping& mapping);

/// A mark that entries must have; all 32 bits are compared.
using Mark = std::optional<std::uint32_t>;

/// Requests every entry of the family that passes the filter (CTA_FILTER) and has the mark.
void put_dump(MessageBatch& batch, std::uint32_t sequence, Family family, const Filter& filter, Mark mark = {});

/// Requests the number of entries of the network namespace, of all families; parse_entry_counter reads the reply.
void put_entry_counter(MessageBatch& batch, std::uint32_t sequence);
std::optional<std::uint32_t> parse_entry_counter(const nlmsghdr& message);

/// Deletes every entry of the mapping that has the mark, with one message with CTA_FILTER, acknowledged. The filter always names the whole
/// mapping. Throws std::logic_error for SCTP (ports are ignored), a range (no filter describes it), a port 0 or mixed families.
void put_filtered_delete(MessageBatch& batch, std::uint32_t sequence, const Mapping& mapping, Mark mark = {});

/// Deletes one entry of a dump, by its reply tuple, zone and id. The reply tuple contains the server, so a newer entry of the same client
/// to another server is never deleted. Unless `acknowledge`, the kernel replies only with errors. Throws std::logic_error if reply tuple or
/// id are missing.
void put_entry_delete(MessageBatch& batch, std::uint32_t sequence, const Entry& entry, bool acknowledge);

/// Requests an acknowledgement of the datagram's last message, which starts at `offset`.
void acknowledge(MessageBatch& batch, std::size_t offset);

/// Creates an entry for the mapping and client that lives for `timeout_s` and that a full table does not evict. Acknowledged; EEXIST if the
/// tuple is taken.
void put_new(MessageBatch& batch, std::uint32_t sequence, const Mapping& mapping, const Endpoint& client, std::uint32_t mark,
             std::uint32_t timeout_s);

/// Deletes the entry that put_new created. Acknowledged.
void put_delete_new(MessageBatch& batch, std::uint32_t sequence, const Mapping& mapping, const Endpoint& client);

} // namespace hanat::nat
