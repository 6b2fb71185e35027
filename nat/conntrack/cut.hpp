// Deletes the conntrack entries of given mappings, and no others, with the best method that the kernel supports (capabilities). The class
// has its own netlink socket, so an object may live on a worker thread.
// Not here: when to cut (daemon), resetting TCP clients (nftables/ruleset).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nat/address.hpp"
#include "nat/conntrack/capabilities.hpp"
#include "nat/conntrack/expected_flows.hpp"
#include "nat/conntrack/flow_list.hpp"
#include "nat/conntrack/recorded_flows.hpp"

namespace hanat::nat {

/// Which mappings a cut includes, by protocol.
enum class Protocols : std::uint8_t { non_tcp /* UDP, SCTP */, tcp, all };

struct CutCount {
  std::uint64_t tcp = 0, udp = 0, sctp = 0;
  std::uint64_t offloaded = 0; // of these: to a flowtable
  std::uint64_t total() const { return tcp + udp + sctp; }
  CutCount& operator+=(const CutCount& other);
  void add(Protocol protocol, std::uint64_t number);
  bool operator==(const CutCount&) const = default;
};

struct TcpClient {
  Mapping mapping;
  Endpoint vip; // as the client sees it: of a range, one port
  Endpoint client;
  bool operator==(const TcpClient&) const = default;
};
using Clients = std::map<Mapping, std::set<Endpoint>>;
struct TcpClients {
  // Their entries are deleted. Who was not connected yet starts a new flow with the next packet. The others are those that the guard cannot
  // reset by their entry: it does not see packets that a flowtable forwards, nor does it reset replies to a flow that the server opened.
  // Their next packet is mid-stream TCP without an entry.
  std::vector<TcpClient> cut;
  std::vector<TcpClient> cut_connected; // flows that clients opened, and that a flowtable may forward
  std::vector<TcpClient> connected;     // not changed
};
/// What becomes of established flows that clients opened. A flowtable may forward them although conntrack does not say so: after a change
/// of routes it takes a flow back without the mark.
enum class Connected : std::uint8_t { keep_unless_offloaded, cut };

/// The number of flows by mapping, with the flows that are related to them. TCP: connecting and established ones, not closed ones.
using Flows = std::map<Mapping, std::uint64_t>;

struct UnexpectedFlows {
  Flows all;
  Flows opened_by_server; // of these
  bool operator==(const UnexpectedFlows&) const = default;
};

class Cutter {
public:
  /// Opens its socket. Throws std::system_error if the kernel has no conntrack netlink or CAP_NET_ADMIN is missing. Until the
  /// filters are proven it compares every entry itself, which is always right.
  explicit Cutter(ProvenFilters filters);
  Cutter() : Cutter(prove_filters()) {}
  /// Uses no method better than `best`, which is checked at once. For tests.
  explicit Cutter(DeleteMethod best, BeforeSend before_send = {});
  ~Cutter();
  Cutter(Cutter&&) noexcept;
  Cutter& operator=(Cutter&&) noexcept;

  /// Both wait until the filters are proven.
  DeleteMethod method(Family family) const;
  /// One line for the journal: why no better method is used ("" for the best one).
  const std::string& limitation(Family family) const;

  /// Deletes every entry, in any zone, of the mappings' flows in the scope. A flow that a client opened: its original destination is the
  /// VIP and its reply source the server (of a range: the server's address, with the port of the destination). A flow that the server
  /// opened: its original source is the server and its reply destination the VIP. A related flow: its master is one of these, whether it
  /// is still there or not. Returns the number of deleted entries. They are counted one by one; from 2,000 entries per mapping on, a
  /// filtered delete does the rest of those that clients opened, and the count is then the change of the kernel's entry counter, which
  /// includes other flows that begin or end in those milliseconds. `cancelled` is checked between messages; a cancelled cut returns what
  /// it has done so far. Throws std::system_error.
  CutCount cut(std::span<const Mapping> mappings, Protocols protocols, FlowScope scope, const std::atomic<bool>& cancelled,
               const OnDeleted& on_deleted = {});

  /// Deletes the entries of the mappings' TCP clients that are not connected yet, so that their next SYN goes to the current target, and
  /// those that the guard cannot reset (TcpClients). Returns these clients, and the connected ones. The scope has no related flows: they
  /// end with the clients of their masters. `cancelled` and exceptions as for cut().
  TcpClients cut_unconnected(std::span<const Mapping> mappings, FlowScope scope, const std::atomic<bool>& cancelled,
                             const OnDeleted& on_deleted, Connected connected = Connected::keep_unless_offloaded);

  /// Deletes the TCP entries of these clients alone, whatever their phase: the clients have no connection any more and connect again.
  /// Returns those that had an entry. `cancelled` and exceptions as for cut().
  std::vector<TcpClient> cut_clients(const Clients& clients, const std::atomic<bool>& cancelled, const OnDeleted& on_deleted);

  /// Records the entries of the mappings, closed TCP connections left out; of `by_server` only those of flows that the server opened.
  /// nullopt: cancelled, or every dump was incomplete. Throws std::system_error.
  std::optional<RecordedFlows> record(std::span<const Mapping> mappings, std::span<const Mapping> by_server,
                                      const std::atomic<bool>& cancelled);
  /// Deletes recorded entries of the mappings: see RecordedFlows::delete_entries().
  void cut(const RecordedFlows& recorded, std::span<const Mapping> mappings, const std::atomic<bool>& cancelled,
           const OnDeleted& on_deleted);

  /// Count the flows of the mappings, and the flows that are not expected. Nothing is deleted. nullopt: cancelled, or every dump was
  /// incomplete. Throws std::system_error.
  std::optional<Flows> count(std::span<const Mapping> mappings, const std::atomic<bool>& cancelled);
  std::optional<UnexpectedFlows> unexpected(const ExpectedFlows& expected, const std::atomic<bool>& cancelled);
  /// Counts the flows of the mappings by state, closed ones included, and lists some of them. nullopt and exceptions likewise.
  std::optional<FlowList> list(std::span<const Mapping> mappings, std::size_t at_most, const std::atomic<bool>& cancelled);

private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

} // namespace hanat::nat
