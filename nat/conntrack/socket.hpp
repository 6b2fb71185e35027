// Requests to conntrack: dump with a filter, delete, create scratch entries; and the meaning of the kernel's replies. Has two netlink
// sockets, so that entries can be deleted while a dump is still running.
// Not here: the bytes (messages), which requests the kernel supports (capabilities), what to delete (cut).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "nat/conntrack/messages.hpp"
#include "nat/netlink.hpp"

namespace hanat::nat {

/// Called with every datagram before it is sent. May change it, or throw std::system_error in place of the kernel's error. Only tests use
/// it, to simulate kernels with fewer or broken features.
using BeforeSend = std::function<void(std::vector<std::uint8_t>&)>;

/// What came of deletes.
struct Deleted {
  std::uint64_t entries = 0;   // without those of finished connections
  std::uint64_t offloaded = 0; // of these: to a flowtable
  std::uint64_t busy = 0;      // still there: kernels before 6.4 (stable: 6.1.32, 5.15.115) delete no offloaded entry
};
/// Called for progress: this came of deletes of the mapping's entries.
using OnDeleted = std::function<void(const Mapping& mapping, const Deleted& deleted)>;

/// Deletes of single entries, sent as one datagram.
class EntryDeletes {
public:
  /// The entry counts for `mapping`.
  void add(const Entry& entry, const Mapping& mapping);
  /// A message of put_entry_delete().
  void add(std::span<const std::uint8_t> request, const Mapping& mapping, bool offloaded);
  bool empty() const { return starts_.empty(); }
  std::size_t size() const { return starts_.size(); }
  bool full() const;
  void clear();

private:
  friend class ConntrackSocket;
  MessageBatch batch_;
  std::vector<std::size_t> starts_;
  std::vector<Mapping> mappings_;
  std::vector<bool> offloaded_, finished_;
};

/// What conntrack knows of a flow.
enum class KnownFlow : std::uint8_t {
  none,      // it has no entry
  unreplied, // the first packet has left the gateway
  accepted,  // TCP: a server has accepted the connection, and the client has not acknowledged that
  replied,
  served, // TCP: a side has closed the connection, or conntrack counts bytes (nf_conntrack_acct) and the server has sent some
};

class ConntrackSocket {
public:
  /// Throws std::system_error if no netlink socket can be opened.
  explicit ConntrackSocket(BeforeSend before_send = {});

  using OnEntry = std::function<void(const Entry&)>;
  /// Calls `on_entry` for every entry that the kernel shows (TCP, UDP, SCTP). Returns false if the dump is incomplete. Throws
  /// std::system_error if the kernel refuses; exceptions of `on_entry` pass through. The socket is usable afterwards in every case.
  bool dump(Family family, const Filter& filter, Mark mark, const OnEntry& on_entry);

  /// The number of entries, of all families. Throws std::system_error if the kernel has no conntrack netlink or CAP_NET_ADMIN is missing.
  std::uint32_t entries();

  /// Throws std::system_error if the kernel refuses.
  KnownFlow look_up(const Tuple& original, std::uint16_t zone);

  /// Deletes all entries of a mapping that clients opened, with one message. Throws std::system_error.
  void delete_mapping(const Mapping& mapping, Mark mark = {});

  /// Sends the batch and empties it. Reports the deleted entries and those that the kernel refuses to delete now (EBUSY); not those that
  /// had expired.
  void delete_entries(EntryDeletes& batch, const OnDeleted& on_deleted);

  /// Scratch entries. create() throws std::system_error (EEXIST: the tuple is taken); remove() ignores a missing entry.
  void create(const NewEntry& entry);
  void remove(const NewEntry& entry);

private:
  void send(Netlink& netlink, MessageBatch& batch, std::uint32_t first, std::uint32_t last, std::string_view what,
            const Netlink::OnMessage& on_message = {}, const Netlink::OnRefusal& expected = {});

  BeforeSend before_send_;
  Netlink dumps_;
  Netlink deletes_;
};

} // namespace hanat::nat
