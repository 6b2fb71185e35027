// What offload = true is worth: a bulk stream and short connections through hanat's flowtable, and through its table alone, beside plain
// routing (the floor), which neither filters nor translates. A stream is measured as the lab's links carry it, dozens of segments in one
// packet, and with a segment a packet, as from a network. Each way has a Lab of its own; rounds take all of them in turn, and ratios are
// between the two of one round. Not here: the ways (forward_paths), where flowtables are (tests/bench/offload.sh: a virtual machine).
// hanat-bench-offload [short]. Needs root and a kernel with flowtables.
#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "tests/bench/forward_paths.hpp"
#include "tests/bench/table.hpp"

namespace hanat::bench {
namespace {

using std::chrono::milliseconds;

constexpr std::array ways{Way::offload, Way::hanat, Way::routing};
constexpr double least = 1.3;

using Rounds = std::map<Way, std::vector<double>>; // every way's figures, one a round
using Paths = std::map<Way, std::unique_ptr<Path>>;

Rounds measure(unsigned rounds, const Paths& paths, const std::function<double(Path&)>& once) {
  Rounds result;
  for (const Way way : ways) once(*paths.at(way)); // unheard: addresses are learnt, buffers grow
  for (unsigned round = 0; round < rounds; ++round) {
    auto order = ways;
    if (round % 2 != 0) std::ranges::reverse(order);
    for (const Way way : order) result[way].push_back(once(*paths.at(way)));
  }
  return result;
}

void print_ways(const std::string& what, const std::string& unit, const Rounds& rounds) {
  const auto& floor = rounds.at(Way::routing);
  for (const Way way : {Way::offload, Way::hanat}) {
    const auto& figures = rounds.at(way);
    std::vector<double> ratios;
    for (std::size_t i = 0; i < figures.size(); ++i) ratios.push_back(figures[i] / floor[i]);
    const double ratio = figure_of(ratios).median;
    print({.what = fmt::format("{} through {}", what, name_of(way)),
           .unit = unit,
           .figure = {.median = figure_of(figures).median},
           .floor = Figure{.median = figure_of(floor).median},
           .ratio = ratio,
           .target = way == Way::offload ? std::optional{at_least("ratio", ratio, least)} : std::nullopt});
  }
}

void offload(bool small) {
  Paths paths;
  for (const Way way : ways) paths[way] = std::make_unique<Path>(way);
  if (!paths.at(Way::offload)->has_flowtable()) throw std::runtime_error("this kernel has no flowtables: see tests/bench/offload.sh");
  const unsigned rounds = small ? 3 : 15;
  const auto bulk = [&](Path& path) { return path.bulk(milliseconds{small ? 200 : 500}); };
  print_ways("short connections", "1/s", measure(rounds, paths, [&](Path& path) { return path.connects(small ? 200 : 600); }));
  print_ways("bulk, one stream,", "Gbit/s", measure(rounds, paths, bulk));
  for (const auto& [way, path] : paths) path->send_single_segments();
  print_ways("bulk, a segment a packet,", "Gbit/s", measure(rounds, paths, bulk));
}

} // namespace
} // namespace hanat::bench

int main(int argc, char** argv) { return hanat::bench::run(argc, argv, hanat::bench::offload); }
