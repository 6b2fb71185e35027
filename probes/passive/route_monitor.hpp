// Watches the paths to servers: knows without a packet whether a server is unreachable, and reports an event when a path breaks. The route
// of each path is looked up once and cached until a change may affect it. Not here: netlink (route_socket), what follows from an event
// (daemon/failover/health_monitor).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <uv.h>

#include "probes/passive/kernel_events.hpp"
#include "probes/passive/route_socket.hpp"
#include "probes/result.hpp"

namespace hanat::probes {

/// Why a path is broken: no_carrier or net_unreachable, with the name of the interface or the type of route; nullopt: no known failure.
/// `link`: the outgoing interface, or the last one if there is no route.
struct PathFailure {
  Reason reason = Reason::net_unreachable;
  std::string detail;
  bool operator==(const PathFailure&) const = default;
};
std::optional<PathFailure> path_failure(const Route& route, const Link* link);

class RouteMonitor {
public:
  struct Options {
    std::uint32_t mark = 0; // of probe packets: part of a route lookup
    std::size_t buffer_bytes = std::size_t{1} << 20;
  };
  /// Throws std::system_error.
  RouteMonitor(uv_loop_t* loop, OnKernelEvent on_event, Options options);
  RouteMonitor(uv_loop_t* loop, OnKernelEvent on_event);
  ~RouteMonitor(); // the loop must run once more to close handles
  RouteMonitor(const RouteMonitor&) = delete;
  RouteMonitor& operator=(const RouteMonitor&) = delete;

  /// Counted: a path that is added twice is watched until it is removed twice. Never calls back from inside.
  void add(const Path& path);
  void remove(const Path& path);

  /// The fail of a server whose path is broken; nullopt for any other path, and for one that is not watched. A table lookup, and one route
  /// lookup in the kernel (some microseconds) after a change. Never calls back from inside.
  std::optional<ProbeResult> unreachable(const Path& path);
  /// Whether the paths to all servers, at least two addresses, are broken, and nothing shows that clients still come: then it is this
  /// machine that is cut off (see ClientSide). Cached for 5 ms.
  bool is_cut_off();

  struct Counts {
    std::uint64_t route_lookups = 0, link_lookups = 0;
    std::uint64_t lost = 0; // times that changes were lost and everything was refreshed
    std::uint64_t events = 0;
  };
  const Counts& counts() const;

private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

} // namespace hanat::probes
