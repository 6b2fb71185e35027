// Who is first changes from round to round, so that what the first leaves behind helps nobody.
#include "tests/bench/forward_rounds.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "tests/bench/table.hpp"

namespace hanat::bench {

Rounds::Rounds(std::initializer_list<Way> ways) : ways_(ways) {
  for (const Way way : ways_) paths_[way] = std::make_unique<Path>(way);
}

std::map<Way, std::vector<double>> Rounds::take(unsigned rounds, const std::function<double(Path&)>& once) {
  std::map<Way, std::vector<double>> figures;
  for (const Way way : ways_) once(path(way)); // unheard: addresses are learnt, buffers grow
  for (unsigned round = 0; round < rounds; ++round) {
    std::vector<Way> order = ways_;
    if (round % 2 != 0) std::ranges::reverse(order);
    for (const Way way : order) figures[way].push_back(once(path(way)));
  }
  return figures;
}

void Rounds::measure(const std::string& what, const std::string& unit, unsigned rounds, const std::function<double(Path&)>& once,
                     Way target, std::optional<double> least) {
  const std::map<Way, std::vector<double>> figures = take(rounds, once);
  const std::vector<double>& floor = figures.at(ways_.front());
  for (const Way way : ways_) {
    if (way == ways_.front()) continue;
    std::vector<double> ratios;
    for (std::size_t round = 0; round < floor.size(); ++round) ratios.push_back(figures.at(way)[round] / floor[round]);
    const double ratio = figure_of(ratios).median;
    print({.what = fmt::format("{} through {}", what, name_of(way)),
           .unit = unit,
           .figure = {.median = figure_of(figures.at(way)).median},
           .floor = Figure{.median = figure_of(floor).median},
           .ratio = ratio,
           .target = way == target && least ? std::optional{at_least("ratio", ratio, *least)} : std::nullopt});
  }
}

} // namespace hanat::bench
