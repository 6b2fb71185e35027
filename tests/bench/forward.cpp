// What forwarding costs through hanat's table: one bulk stream, and short connections, beside a bare DNAT map (the floor: the least with
// which the kernel translates), plain routing and HAProxy. Each way has a Lab of its own; rounds take all of them in turn, and ratios are
// between the two of one round.
// hanat-bench-forward [short]. Needs root and Debian's haproxy.
#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "tests/bench/forward_paths.hpp"
#include "tests/bench/table.hpp"

namespace hanat::bench {
namespace {

using std::chrono::milliseconds;

constexpr std::array ways{Way::bare_map, Way::hanat, Way::routing, Way::haproxy};

/// Every way's figures, one a round.
using Rounds = std::map<Way, std::vector<double>>;

Rounds measure(unsigned rounds, const std::function<double(Way)>& once) {
  Rounds result;
  for (const Way way : ways) once(way); // unheard: addresses are learnt, buffers grow
  for (unsigned round = 0; round < rounds; ++round) {
    auto order = ways;
    if (round % 2 != 0) std::ranges::reverse(order);
    for (const Way way : order) result[way].push_back(once(way));
  }
  return result;
}

void print_ways(const std::string& what, const std::string& unit, const Rounds& rounds, double least) {
  const auto& floor = rounds.at(Way::bare_map);
  for (const Way way : {Way::hanat, Way::routing, Way::haproxy}) {
    const auto& figures = rounds.at(way);
    std::vector<double> ratios;
    for (std::size_t i = 0; i < figures.size(); ++i) ratios.push_back(figures[i] / floor[i]);
    const double ratio = figure_of(ratios).median;
    print({.what = fmt::format("{} through {}", what, name_of(way)),
           .unit = unit,
           .figure = {.median = figure_of(figures).median},
           .floor = Figure{.median = figure_of(floor).median},
           .ratio = ratio,
           .target = way == Way::hanat ? std::optional{at_least("ratio", ratio, least)} : std::nullopt});
  }
}

void forward(bool small) {
  std::map<Way, std::unique_ptr<Path>> paths;
  for (const Way way : ways) paths[way] = std::make_unique<Path>(way);
  const auto path = [&](Way way) -> Path& { return *paths.at(way); };
  const unsigned rounds = small ? 3 : 41; // single runs differ by a fifth: the median of many pairs does not
  print_ways("bulk, one stream,", "Gbit/s", measure(rounds, [&](Way way) { return path(way).bulk(milliseconds{small ? 200 : 400}); }),
             0.97);
  print_ways("short connections", "1/s", measure(rounds, [&](Way way) { return path(way).connects(small ? 1'500 : 3'000); }), 0.95);
}

} // namespace
} // namespace hanat::bench

int main(int argc, char** argv) { return hanat::bench::run(argc, argv, hanat::bench::forward); }
