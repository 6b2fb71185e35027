// The ways to the servers that are watched: whether one is blocked, known without a packet, and a signal when one breaks. Each way's route
// is asked of the kernel once and remembered until something changes that may concern it. Not here: netlink (route_socket), what a signal
// leads to (daemon).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <uv.h>

#include "probes/probe.hpp"
#include "probes/route_socket.hpp"
#include "probes/signals.hpp"

namespace hanat::probes {

/// What stands in a way: no_carrier or net_unreachable, and the interface's name or the kind of route; nullopt: nothing that is known.
/// `link`: of the interface by which the way leaves, or left while there was a route.
struct Obstacle {
  Reason reason = Reason::net_unreachable;
  std::string detail;
  bool operator==(const Obstacle&) const = default;
};
std::optional<Obstacle> obstacle(const Route& route, const Link* link);

class Ways {
public:
  struct Options {
    std::uint32_t mark = 0; // of the probes' packets: part of a route's lookup
    std::size_t buffer_bytes = std::size_t{1} << 20;
  };
  /// Throws std::system_error.
  Ways(uv_loop_t* loop, OnSignal on_signal, Options options);
  Ways(uv_loop_t* loop, OnSignal on_signal);
  ~Ways(); // the loop must run once more to close handles
  Ways(const Ways&) = delete;
  Ways& operator=(const Ways&) = delete;

  /// Counted: a way that was added twice is watched until it was removed twice. Never calls back from inside.
  void add(const Way& way);
  void remove(const Way& way);

  /// The abnormal answer of a server whose way is blocked, at once; nullopt for a free way, and for one that is not watched. A look into a
  /// table, and one question to the kernel (some microseconds) after a change. Never calls back from inside.
  std::optional<Answer> blocked(const Way& way);
  /// Whether the ways to all servers, two addresses at least, are blocked: then it is this machine that is cut off. Up to 5 ms old.
  bool all_blocked();

  struct Counts {
    std::uint64_t routes_asked = 0, links_asked = 0;
    std::uint64_t lost = 0; // times that changes were lost and everything was looked at again
    std::uint64_t signals = 0;
  };
  const Counts& counts() const;

private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

} // namespace hanat::probes
