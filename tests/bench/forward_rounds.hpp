// Several ways taken in turn, round by round, and their rows in the table. Not here: the ways (forward_paths), which of them, and how often
// (forward, offload, ipvs).
#pragma once

#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/bench/forward_paths.hpp"

namespace hanat::bench {

/// The first is the floor.
class Rounds {
public:
  explicit Rounds(std::initializer_list<Way> ways);
  Path& path(Way way) { return *paths_.at(way); }
  /// What each way says in each round.
  std::map<Way, std::vector<double>> take(unsigned rounds, const std::function<double(Path&)>& once);
  /// One row for each way but the floor: medians, and the median of the ratios of each round. `least` is the target of one of them.
  void measure(const std::string& what, const std::string& unit, unsigned rounds, const std::function<double(Path&)>& once, Way target,
               std::optional<double> least);

private:
  std::vector<Way> ways_;
  std::map<Way, std::unique_ptr<Path>> paths_;
};

} // namespace hanat::bench
