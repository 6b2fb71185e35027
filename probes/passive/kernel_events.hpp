// Kernel events that call for a probe at once: a client was refused, a link lost its carrier, a route was removed. An event is never a
// result. Two kinds are about clients alone: one connects again while its old connection still has an entry, and one that had waited is
// answered; others are of a sample of all clients, and call for a probe only when several of them wait. Not here: where events come from
// (nflog_reader, route_monitor), which probes they trigger (daemon/failover/health_monitor).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <uv.h>

#include "nat/address.hpp"

namespace hanat::probes {

enum class KernelEventKind : std::uint8_t {
  refused,          // a server's RST or ABORT to a real client
  unanswered,       // a client sent its SYN again, and the server has not replied to the first
  undelivered,      // a client sent its SYN again, and conntrack had no entry of the first: unless it has one now, neither was delivered
  unacknowledged,   // a client sent its SYN again although a server has accepted: the reply has not reached it, or it was lost
  unreachable,      // ICMP from the path
  answered,         // a server accepts a connection of a client that had sent a SYN again
  reconnect,        // a client's SYN belongs to an entry of its old connection, and was dropped
  opened,           // a client's first SYN, one of a sample; a moment later it becomes one of the following
  served,           // such a client has an answer, or its connection has ended
  pending,          // such a client waits, and a server has accepted its connection
  unaccepted,       // such a client waits, and no server has accepted its connection
  carrier_lost,     // the outgoing interface lost its carrier, was set down or deleted
  route_gone,       // the route was removed, or replaced by another one
  address_gone,     // our source address was deleted
  neighbour_failed, // the server, or the next hop to it, does not answer ARP or neighbour discovery
};
std::string_view to_text(KernelEventKind kind);
/// Of clients who need not be in trouble.
bool is_of_sample(KernelEventKind kind);

/// `server` with port 0 means every port of that address. At least one of `server` and `vip` is set.
struct KernelEvent {
  KernelEventKind kind = KernelEventKind::refused;
  std::optional<Endpoint> server = std::nullopt;
  std::optional<Vip> vip = std::nullopt;
  // Of a packet of a server it is who the packet goes to: the gateway where that translates sources, and `vip` is not set, unless the
  // kernel tells which flow the packet belongs to (CONFIG_NETFILTER_NETLINK_GLUE_CT, which distributions set).
  std::optional<Endpoint> client = std::nullopt;
  std::uint32_t sequence = 0; // of a client's SYN; that of a repeated one is the same
  std::uint16_t zone = 0;     // of conntrack, in which the client's flow is
  bool repeated = false;      // an event before it in the same turn differs only in its client
  std::string detail = {};    // the name of an interface or the sender of the ICMP message: short, printable
  bool operator==(const KernelEvent&) const = default;
};

/// Called on the loop, never from inside another call. It may add and remove paths; it must not destroy its source.
using OnKernelEvent = std::function<void(const KernelEvent&)>;

class NflogReader;
class RouteMonitor;

/// All sources on one loop.
class KernelEvents {
public:
  struct Options {
    std::uint32_t mark = 0;                           // of probe packets, for policy routing
    std::size_t routes_buffer = std::size_t{1} << 20; // receive buffers, in bytes
    std::size_t nflog_buffer = std::size_t{1} << 18;
  };
  /// Throws std::system_error if routes cannot be watched. Works without nflog: see nflog_failure().
  KernelEvents(uv_loop_t* loop, OnKernelEvent on_event, Options options);
  KernelEvents(uv_loop_t* loop, OnKernelEvent on_event);
  ~KernelEvents(); // the loop must run once more to close handles
  KernelEvents(const KernelEvents&) = delete;
  KernelEvents& operator=(const KernelEvents&) = delete;

  /// The paths to servers: watched from add() to remove().
  RouteMonitor& routes() { return *routes_; }
  /// Why there are no events of clients (another program reads the nflog group), or nullopt.
  const std::optional<std::string>& nflog_failure() const { return nflog_failure_; }

private:
  std::unique_ptr<RouteMonitor> routes_;
  std::unique_ptr<NflogReader> nflog_;
  std::optional<std::string> nflog_failure_;
};

} // namespace hanat::probes
