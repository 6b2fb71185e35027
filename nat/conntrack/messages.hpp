// Requests to conntrack's netlink: to dump, create and delete entries. Bytes only: pure.
// A delete that could mean "everything" cannot be built: each names one whole mapping, or one entry of a dump.
// Not here: replies (entry), sending (socket), which requests the kernel supports (capabilities), what to delete (cut).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "nat/address.hpp"
#include "nat/conntrack/entry.hpp"

namespace hanat::nat {

/// A datagram of requests under construction; every put_ function appends one message.
using MessageBatch = std::vector<std::uint8_t>;

/// What the kernel compares; absent fields match everything. A port needs the protocol. Linux 6.18 ignores the ports of SCTP, so they are
/// never part of a filter.
struct Filter {
  std::optional<Protocol> protocol;
  std::optional<Address> vip;
  std::optional<Address> server;
  std::optional<std::uint16_t> vip_port;
  std::optional<std::uint16_t> server_port;
  // In which parts of the tuples they are. client: original destination and reply source; server: reply destination and original source.
  Opener opener = Opener::client;
  bool related = false; // only entries that have a master
  auto operator<=>(const Filter&) const = default;
};
/// The filter for a whole mapping; for a range without ports.
Filter filter_of(const Mapping& mapping, Opener opener = Opener::client);
/// Whether it compares addresses and ports with those of `mapping`. The caller chooses the mapping by the filter's opener.
bool matches(const Filter& filter, const Mapping& mapping);

/// A mark that entries must have; all 32 bits are compared.
using Mark = std::optional<std::uint32_t>;

/// Requests every entry of the family that passes the filter (CTA_FILTER; CTA_STATUS for related ones) and has the mark.
void put_dump(MessageBatch& batch, std::uint32_t sequence, Family family, const Filter& filter, Mark mark = {});

/// Requests the entry with this original tuple; ENOENT: there is none.
void put_lookup(MessageBatch& batch, std::uint32_t sequence, const Tuple& original, std::uint16_t zone);

/// Requests the number of entries of the network namespace, of all families; parse_entry_counter reads the reply.
void put_entry_counter(MessageBatch& batch, std::uint32_t sequence);

/// Deletes every entry of the mapping that a client opened and that has the mark, with one message with CTA_FILTER, acknowledged. The
/// filter always names the whole mapping. Throws std::logic_error for SCTP (ports are ignored), a range (no filter describes it), a port 0
/// or mixed families.
void put_filtered_delete(MessageBatch& batch, std::uint32_t sequence, const Mapping& mapping, Mark mark = {});

/// Deletes one entry of a dump, by its reply tuple, zone and id. The id is a hash of the entry and its original tuple (Linux 5.3 and
/// later), so a newer entry with the same tuple is never deleted. Unless `acknowledge`, the kernel replies only with errors. Throws
/// std::logic_error if reply tuple or id are missing.
void put_entry_delete(MessageBatch& batch, std::uint32_t sequence, const Entry& entry, bool acknowledge);

/// Requests an acknowledgement of the datagram's last message, which starts at `offset`.
void acknowledge(MessageBatch& batch, std::size_t offset);

/// An entry to create. It lives for `lifetime_s`, and a full table does not evict it.
struct NewEntry {
  Mapping mapping;
  Endpoint client;
  Opener opener = Opener::client;
  std::uint32_t mark = 0;
  std::uint32_t lifetime_s = 0;
  std::optional<Tuple> master = {}; // the original tuple of an existing entry that this one is related to
};
Tuple original_of(const NewEntry& entry);
Tuple reply_of(const NewEntry& entry);

/// Acknowledged; EEXIST if the tuple is taken.
void put_new(MessageBatch& batch, std::uint32_t sequence, const NewEntry& entry);
/// Deletes the entry that put_new created. Acknowledged.
void put_delete_new(MessageBatch& batch, std::uint32_t sequence, const NewEntry& entry);

} // namespace hanat::nat
