// What offload = true is worth: a bulk stream and short connections through hanat's flowtable, and through its table alone, beside plain
// routing (the floor), which neither filters nor translates. A stream is measured as the lab's links carry it, dozens of segments in one
// packet, and with a segment a packet, as from a network. Each way has a Lab of its own; rounds take all of them in turn, and ratios are
// between the two of one round. Not here: the ways (forward_paths), where flowtables are (tests/bench/in_vm.sh: a virtual machine).
// hanat-bench-offload [short]. Needs root and a kernel with flowtables.
#include <chrono>
#include <stdexcept>

#include "tests/bench/forward_rounds.hpp"
#include "tests/bench/table.hpp"

namespace hanat::bench {
namespace {

using std::chrono::milliseconds;

constexpr double least = 1.3;

void offload(bool small) {
  Rounds rounds{Way::routing, Way::offload, Way::hanat};
  if (!rounds.path(Way::offload).has_flowtable()) throw std::runtime_error("this kernel has no flowtables: see tests/bench/in_vm.sh");
  const unsigned number = small ? 3 : 15;
  const auto bulk = [&](Path& path) { return path.bulk(milliseconds{small ? 200 : 500}); };
  const auto connects = [&](Path& path) { return path.connects(small ? 200 : 600); };
  rounds.measure("short connections", "1/s", number, connects, Way::offload, least);
  rounds.measure("bulk, one stream,", "Gbit/s", number, bulk, Way::offload, least);
  for (const Way way : {Way::routing, Way::offload, Way::hanat}) rounds.path(way).send_single_segments();
  rounds.measure("bulk, a segment a packet,", "Gbit/s", number, bulk, Way::offload, least);
}

} // namespace
} // namespace hanat::bench

int main(int argc, char** argv) { return hanat::bench::run(argc, argv, hanat::bench::offload); }
