// The messages of conntrack's netlink: what an entry of a dump says, and the requests to dump, to create and to delete entries. Bytes
// only: pure. A delete that could mean "everything" cannot be built here: it names one whole mapping, or one entry that a dump showed.
// Not here: sending (conntrack_socket), which request may be trusted (ladder), what to delete (cut).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <libmnl/libmnl.h>

#include "nat/address.hpp"

namespace hanat::nat {

/// A datagram of requests in the making; every put_ function appends one message.
using Datagram = std::vector<std::uint8_t>;

/// One TCP, UDP or SCTP entry of a dump.
struct Entry {
  Mapping mapping; // original destination and reply source
  Endpoint client; // original source
  std::uint32_t mark = 0;
  // The kernel's own words for this very entry, inside the message that was parsed; zone is null for zone 0.
  const nlattr* reply = nullptr;
  const nlattr* zone = nullptr;
  const nlattr* id = nullptr;
  const nlattr* status = nullptr;
  const nlattr* protocol_info = nullptr;
};

/// How far a TCP connection has come, by its entry.
enum class Progress : std::uint8_t {
  connecting, // the client's SYN is out, or was answered
  refused,    // the server's reset answered it
  standing,
  over, // both sides have closed, or one has reset what stood
};
/// `over` for what is no entry of TCP.
Progress progress_of(const Entry& entry);

/// nullopt for what is no complete entry of a protocol that hanat translates.
std::optional<Entry> parse_entry(const nlmsghdr& message);

/// What the kernel shall compare; what is not said matches everything. A port needs the protocol beside it. The kernel (6.18) ignores
/// SCTP's ports, so they are never part of a filter.
struct Filter {
  std::optional<Protocol> protocol;
  std::optional<Address> vip;
  std::optional<Address> server;
  std::optional<std::uint16_t> vip_port;
  std::optional<std::uint16_t> server_port;
  auto operator<=>(const Filter&) const = default;
};
/// All of the mapping; a range has no ports in it.
Filter filter_of(const Mapping& mapping);
bool matches(const Filter& filter, const Mapping& mapping);

/// A mark that entries must carry, all 32 bits compared.
using Mark = std::optional<std::uint32_t>;

/// Asks for every entry of the family that passes the filter (CTA_FILTER) and carries the mark.
void put_dump(Datagram& datagram, std::uint32_t sequence, Family family, const Filter& filter, Mark mark = {});

/// Asks how many entries the network namespace has, in all families; parse_entry_counter reads the answer.
void put_entry_counter(Datagram& datagram, std::uint32_t sequence);
std::optional<std::uint32_t> parse_entry_counter(const nlmsghdr& message);

/// Deletes every entry of the mapping that carries the mark, by one message with CTA_FILTER, acknowledged. The filter says all of the
/// mapping, never less. Throws std::logic_error for SCTP (ports ignored), a range (no filter says it), a port 0 or mixed families.
void put_filtered_delete(Datagram& datagram, std::uint32_t sequence, const Mapping& mapping, Mark mark = {});

/// Deletes one entry as a dump described it, by its reply tuple, zone and id: the reply tuple holds the server, so a newer entry of the
/// same client on another server is never meant. Only refusals are answered, unless `acknowledge`. Throws std::logic_error for an
/// entry without these.
void put_entry_delete(Datagram& datagram, std::uint32_t sequence, const Entry& entry, bool acknowledge);

/// Asks for an acknowledgement of the datagram's last message, which starts at `offset`.
void acknowledge(Datagram& datagram, std::size_t offset);

/// Creates an entry of the given mapping and client that lives for `timeout_s` and never gives way to others. Acknowledged; EEXIST when the
/// tuple is taken.
void put_new(Datagram& datagram, std::uint32_t sequence, const Mapping& mapping, const Endpoint& client, std::uint32_t mark,
             std::uint32_t timeout_s);

/// Deletes the entry that put_new made. Acknowledged.
void put_delete_new(Datagram& datagram, std::uint32_t sequence, const Mapping& mapping, const Endpoint& client);

} // namespace hanat::nat
