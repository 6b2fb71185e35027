// Deleting the conntrack entries of given mappings, and nothing else. How it deletes is a ladder of three rungs, proven on scratch
// entries before anything real is deleted (FACTS 6). Own netlink socket: an object of this class may live on a worker thread.
// Not here: when to cut (daemon), resetting TCP clients (the table's guard).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nat/address.hpp"
#include "nat/ledger.hpp"

namespace hanat::nat {

/// The ways to delete, best first. A rung stands only when it was proven in this process, for that family.
enum class Rung : std::uint8_t {
  filtered_delete, // one CT_DELETE with CTA_FILTER (Linux 6.12 and later; IPv4 only on 6.18, whose IPv6 filter is inverted)
  filtered_dump,   // the kernel filters the dump, hanat compares again and deletes entry by entry, batched
  full_dump,       // everything is dumped and compared here
};
std::string_view to_text(Rung rung);

/// Which protocols of the mappings a cut takes.
enum class Streams : std::uint8_t { datagrams /* UDP, SCTP */, tcp, all };

struct CutCount {
  std::uint64_t tcp = 0, udp = 0, sctp = 0;
  std::uint64_t total() const { return tcp + udp + sctp; }
  CutCount& operator+=(const CutCount& other);
  void add(Protocol protocol, std::uint64_t number);
  bool operator==(const CutCount&) const = default;
};

struct TcpClient {
  Mapping mapping;
  Endpoint vip; // that the client talks to: of a range, one port
  Endpoint client;
  bool operator==(const TcpClient&) const = default;
};
struct Released {
  std::vector<TcpClient> unconnected; // their entries are gone: what they send next is a new flow
  std::vector<TcpClient> connected;   // untouched
};

/// How many flows there are, by mapping; of TCP those that connect or stand, not those that are over.
using Flows = std::map<Mapping, std::uint64_t>;

/// Sees every datagram before the kernel does and may change it, or throw std::system_error as the kernel's refusal: how tests play
/// kernels that know less, or say what is not so. Nothing else uses it.
using BeforeSend = std::function<void(std::vector<std::uint8_t>&)>;

class Cutter {
public:
  /// Opens the socket and proves the ladder (scratch entries of 240.0.0.0/4 and 100::/64 that live for seconds). Throws
  /// std::system_error when the kernel has no conntrack netlink or CAP_NET_ADMIN is missing.
  Cutter();
  /// As above, but no rung better than `best` is tried: for tests of the ladder.
  explicit Cutter(Rung best, BeforeSend before_send = {});
  ~Cutter();
  Cutter(Cutter&&) noexcept;
  Cutter& operator=(Cutter&&) noexcept;

  Rung rung(Family family) const;
  /// One line for the journal: why a better rung was not taken ("" when the best one stands).
  const std::string& proof(Family family) const;

  /// Told of every bit of progress: so many entries of that mapping are gone.
  using OnDeleted = std::function<void(const Mapping& mapping, std::uint64_t number)>;

  /// Deletes every entry, in any zone, whose original destination is a mapping's VIP and whose reply source is its server (of a range: has
  /// its address, and the port of the destination). Returns what
  /// was deleted, counted one by one; from 2,000 entries a mapping on, where a filtered delete does the rest, by the kernel's entry
  /// counter (other flows that come or go in those milliseconds are in it). `cancelled` is looked at between messages; a cancelled cut
  /// returns what it did so far. Throws std::system_error.
  CutCount cut(std::span<const Mapping> mappings, Streams streams, const std::atomic<bool>& cancelled, const OnDeleted& on_deleted = {});

  /// Deletes the entries of the mappings' TCP clients that are not connected yet, so that their next SYN meets the target of now, and tells
  /// who they are; the others are only told of. `cancelled` and exceptions as with cut().
  Released release(std::span<const Mapping> mappings, const std::atomic<bool>& cancelled, const OnDeleted& on_deleted);

  /// The flows of the mappings, and those that the ledger has no place for; nothing is deleted. nullopt: cancelled, or the kernel gave no
  /// complete answer. Throws std::system_error.
  std::optional<Flows> count(std::span<const Mapping> mappings, const std::atomic<bool>& cancelled);
  std::optional<Flows> strays(const Ledger& ledger, const std::atomic<bool>& cancelled);

private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

} // namespace hanat::nat
