// What forwarding costs through hanat's table: one bulk stream, and short connections, beside a bare DNAT map (the floor: the least with
// which the kernel translates), plain routing and HAProxy. Each way has a Lab of its own; rounds take all of them in turn, and ratios are
// between the two of one round.
// hanat-bench-forward [short]. Needs root and Debian's haproxy.
#include <chrono>

#include "tests/bench/forward_rounds.hpp"
#include "tests/bench/table.hpp"

namespace hanat::bench {
namespace {

using std::chrono::milliseconds;

void forward(bool small) {
  Rounds rounds{Way::bare_map, Way::hanat, Way::routing, Way::haproxy};
  const unsigned number = small ? 3 : 41; // single runs differ by a fifth: the median of many pairs does not
  const auto bulk = [&](Path& path) { return path.bulk(milliseconds{small ? 200 : 400}); };
  const auto connects = [&](Path& path) { return path.connects(small ? 1'500 : 3'000); };
  rounds.measure("bulk, one stream,", "Gbit/s", number, bulk, Way::hanat, 0.97);
  rounds.measure("short connections", "1/s", number, connects, Way::hanat, 0.97);
}

} // namespace
} // namespace hanat::bench

int main(int argc, char** argv) { return hanat::bench::run(argc, argv, hanat::bench::forward); }
