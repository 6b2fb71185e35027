// Ways from a client to a server through a gateway, each in a Lab of its own, and what is sent over them. Not here: rounds and ratios
// (forward_rounds).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "tests/bench/conversations.hpp"

namespace hanat::bench {

/// `links`: the gateway hands what comes from one link to the other before its stack sees it.
enum class Way : std::uint8_t { bare_map, bare_flowtable, hanat, offload, routing, haproxy, ipvs, links };
std::string name_of(Way way);

/// Client, gateway and server, and what stands on the gateway.
class Path {
public:
  explicit Path(Way way);
  ~Path();

  /// Gbit/s of one stream, as the server receives it.
  double bulk(std::chrono::milliseconds duration);
  /// Connect, one request, its answer, close: so many a second, 64 at a time.
  double connects(unsigned number);
  /// Of the bulk service, made with the first call; from then on it has no bulk().
  Conversations& conversations();
  /// Whether hanat's flowtable is loaded: a moment after hanatd has started, unless the kernel has none.
  bool has_flowtable();
  /// From now on each packet of the client and of the server has one segment.
  void send_single_segments();

private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

} // namespace hanat::bench
