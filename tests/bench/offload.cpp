// What offload = true is worth beside plain routing (the floor), which neither filters nor translates: hanat's flowtable and its table
// alone, a bare DNAT map with a flowtable and without. Each way has a Lab of its own; rounds take all of them in turn, and ratios are
// between the two of one round. First what the gateway itself spends: finished frames that end where they come out, less what they cost
// over links that the gateway only connects. Then end to end: short connections, and a stream as the lab's links carry it, dozens of
// segments in one packet, and with a segment a packet, as from a network. There client and server, on the gateway's processors, are most of
// the work, which no gateway can save. Not here: the ways (forward_paths), where flowtables are (tests/bench/in_vm.sh: a virtual machine).
// hanat-bench-offload [short]. Needs root and a kernel with flowtables.
#include <array>
#include <chrono>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "tests/bench/forward_rounds.hpp"
#include "tests/bench/table.hpp"

namespace hanat::bench {
namespace {

using std::chrono::milliseconds;

constexpr double times_as_fast = 1.3, part_of_cost = 0.77; // the same: of plain routing
constexpr std::array compared{Way::bare_map, Way::hanat, Way::bare_flowtable, Way::offload};

void require_flowtable(Rounds& rounds) {
  if (!rounds.path(Way::offload).has_flowtable()) throw std::runtime_error("this kernel has no flowtables: see tests/bench/in_vm.sh");
}

/// Rows of the gateway's own cost, and in brackets the ratio of the whole, links and all: no gateway has its packets for nothing.
void compare_costs(Rounds& rounds, const std::string& what, unsigned number, bool has_target, const std::function<double(Path&)>& once) {
  const std::map<Way, std::vector<double>> whole = rounds.take(number, once);
  const auto own = [&](Way way, std::size_t round) { return whole.at(way)[round] - whole.at(Way::links)[round]; };
  const auto median_of = [&](const auto& value) {
    std::vector<double> values;
    for (std::size_t round = 0; round < number; ++round) values.push_back(value(round));
    return figure_of(values).median;
  };
  const double routing = median_of([&](std::size_t round) { return own(Way::routing, round); });
  print({.what = fmt::format("{} over {}", what, name_of(Way::links)),
         .unit = "ns",
         .figure = {.median = figure_of(whole.at(Way::links)).median}});
  for (const Way way : compared) {
    const double ratio = median_of([&](std::size_t round) { return own(way, round) / own(Way::routing, round); });
    const double of_whole = median_of([&](std::size_t round) { return whole.at(way)[round] / whole.at(Way::routing)[round]; });
    print({.what = fmt::format("{} at the gateway, {} (with links {:.2f})", what, name_of(way), of_whole),
           .unit = "ns",
           .figure = {.median = median_of([&](std::size_t round) { return own(way, round); })},
           .floor = Figure{.median = routing},
           .ratio = ratio,
           .target = way == Way::offload && has_target ? std::optional{at_most("ratio", ratio, part_of_cost)} : std::nullopt});
  }
}

void at_the_gateway(bool small) {
  Rounds rounds{Way::links, Way::routing, Way::bare_map, Way::hanat, Way::bare_flowtable, Way::offload};
  require_flowtable(rounds);
  const unsigned number = small ? 3 : 15, packets = small ? 2'048 : 8'192;
  compare_costs(rounds, "packet of a client", number, true,
                [&](Path& path) { return path.conversations().packets(Direction::request, packets); });
  compare_costs(rounds, "packet of a server", number, true,
                [&](Path& path) { return path.conversations().packets(Direction::reply, packets); });
  compare_costs(rounds, "connection of ten packets", number, false,
                [&](Path& path) { return path.conversations().connections(small ? 128 : 512); });
}

void end_to_end(bool small) {
  Rounds rounds{Way::routing, Way::bare_map, Way::hanat, Way::bare_flowtable, Way::offload};
  require_flowtable(rounds);
  const unsigned number = small ? 3 : 15;
  const auto bulk = [&](Path& path) { return path.bulk(milliseconds{small ? 200 : 500}); };
  const auto connects = [&](Path& path) { return path.connects(small ? 200 : 600); };
  rounds.measure("short connections", "1/s", number, connects, Way::offload, times_as_fast);
  rounds.measure("bulk, one stream,", "Gbit/s", number, bulk, Way::offload, times_as_fast);
  for (const Way way : {Way::routing, Way::bare_map, Way::hanat, Way::bare_flowtable, Way::offload})
    rounds.path(way).send_single_segments();
  rounds.measure("bulk, a segment a packet,", "Gbit/s", number, bulk, Way::offload, times_as_fast);
}

void offload(bool small) {
  at_the_gateway(small);
  end_to_end(small);
}

} // namespace
} // namespace hanat::bench

int main(int argc, char** argv) { return hanat::bench::run(argc, argv, hanat::bench::offload); }
