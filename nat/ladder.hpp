// The proof of the ladder: what of conntrack's filters this very kernel honours, tried on scratch entries that are nobody's. A filter
// that is ignored in a delete flushes everything, one that is inverted (IPv6 on 6.18) kills all flows but the dead ones, and both answer
// "done": a version number proves nothing.
// Not here: cutting real flows (cut), the messages (conntrack).
#pragma once

#include <string>

#include "nat/conntrack_socket.hpp"
#include "nat/cut.hpp"
#include "nat/cut_plan.hpp"

namespace hanat::nat {

struct Standing {
  Rung rung = Rung::full_dump;
  Trust trust = Trust::nothing;
  std::string why; // why no better rung was taken; empty when the best one stands
};

/// Climbs no higher than `best`. Scratch entries lie in 240.0.0.0/4 and 100::/64, carry a random mark, live for seconds and are removed on
/// every path. Throws std::system_error only for missing rights; whatever else goes wrong costs a rung.
Standing prove(ConntrackSocket& socket, Family family, Rung best);

} // namespace hanat::nat
