// Conversations with conntrack: dumping with a filter, deleting, creating scratch entries; what the kernel's answers mean.
// Two netlink sockets, so that deletes go out while a dump is still running. Not here: the bytes (conntrack), which request may be
// trusted (ladder), what to delete (cut).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "nat/conntrack.hpp"
#include "nat/cut.hpp"
#include "nat/netlink.hpp"

namespace hanat::nat {

/// Deletes of single entries that go to the kernel as one datagram.
class EntryDeletes {
public:
  /// `of`: the mapping that the entry is counted for.
  void add(const Entry& entry, const Mapping& of);
  bool empty() const { return starts_.empty(); }
  std::size_t size() const { return starts_.size(); }
  bool full() const;
  void clear();

private:
  friend class ConntrackSocket;
  Datagram datagram_;
  std::vector<std::size_t> starts_;
  std::vector<Mapping> mappings_;
};

class ConntrackSocket {
public:
  /// Throws std::system_error when there is no netlink socket to be had.
  explicit ConntrackSocket(BeforeSend before_send = {});

  using OnEntry = std::function<void(const Entry&)>;
  /// Calls `on_entry` for what the kernel shows (TCP, UDP, SCTP). Returns false when the kernel says that the dump is incomplete. Throws
  /// std::system_error when it refuses; what `on_entry` throws comes through. The socket is good for the next request in every case.
  bool dump(Family family, const Filter& filter, Mark mark, const OnEntry& on_entry);

  /// How many entries there are, of all families. Throws std::system_error where there is no conntrack netlink or no right to it.
  std::uint32_t entries();

  /// One message, all entries of a mapping. Throws std::system_error.
  void delete_mapping(const Mapping& mapping, Mark mark = {});

  /// Sends the batch and empties it. Tells what was deleted: an entry that had gone by itself, or that a flowtable holds, is not.
  void delete_entries(EntryDeletes& batch, const Cutter::OnDeleted& on_deleted);

  /// Scratch entries. Creating throws std::system_error (EEXIST: the tuple is taken); deleting one that is gone does not.
  void create(const Mapping& mapping, const Endpoint& client, std::uint32_t mark, std::uint32_t timeout_s);
  void remove(const Mapping& mapping, const Endpoint& client);

private:
  void send(Netlink& netlink, Datagram& datagram, std::uint32_t first, std::uint32_t last, std::string_view what,
            const Netlink::OnMessage& on_message = {}, const Netlink::OnRefusal& expected = {});

  BeforeSend before_send_;
  Netlink dumps_;
  Netlink deletes_;
};

} // namespace hanat::nat
