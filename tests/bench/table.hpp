// The benchmarks' common table: a line says a figure of hanat's, what is the least for the same on this machine (the floor), and the
// design's target. Not here: measuring.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace hanat::bench {

struct Figure {
  double median = 0;
  std::optional<double> p99 = {}; // of fewer than 100 values: the worst
};
inline Figure figure_of(std::vector<double> values) {
  if (values.empty()) return {};
  std::ranges::sort(values);
  const auto at = [&](double part) {
    return values[std::max<std::size_t>(static_cast<std::size_t>(std::ceil(part * static_cast<double>(values.size()))), 1) - 1];
  };
  return {.median = at(0.5), .p99 = at(0.99)};
}

struct Target {
  std::string text;
  bool met = false;
};
inline Target at_most(std::string_view what, double value, double limit) {
  return {.text = fmt::format("{} <= {}", what, limit), .met = value <= limit};
}
inline Target at_least(std::string_view what, double value, double limit) {
  return {.text = fmt::format("{} >= {}", what, limit), .met = value >= limit};
}

struct Line {
  std::string what, unit;
  Figure figure;
  std::optional<Figure> floor = {};
  std::optional<double> ratio = {};
  std::optional<Target> target = {};
};

inline std::string to_text(std::optional<double> number) {
  if (!number) return "-";
  return fmt::format("{:.{}f}", *number, *number < 10 ? 2 : *number < 100 ? 1 : 0);
}
inline void print_line(std::string_view what, std::string_view unit, std::string_view median, std::string_view p99, std::string_view floor,
                       std::string_view floor_p99, std::string_view ratio, std::string_view target) {
  fmt::print("{:<62} {:<6} {:>8} {:>8} {:>8} {:>8} {:>6}  {}\n", what, unit, median, p99, floor, floor_p99, ratio, target);
  std::fflush(stdout); // each line when it is known: a run takes minutes
}
inline void print_head() { print_line("what", "unit", "median", "p99", "floor", "its p99", "ratio", "target"); }
inline void print(const Line& line) {
  const Figure floor = line.floor.value_or(Figure{});
  print_line(line.what, line.unit, to_text(line.figure.median), to_text(line.figure.p99), line.floor ? to_text(floor.median) : "-",
             to_text(floor.p99), to_text(line.ratio),
             line.target ? fmt::format("{:<13} {}", line.target->text, line.target->met ? "met" : "MISSED") : "-");
}

/// How long `act` takes.
template <typename Unit> double time_of(const std::function<void()>& sync_now) {
  const auto began = std::chrono::steady_clock::now();
  sync_now();
  return std::chrono::duration<double, typename Unit::period>(std::chrono::steady_clock::now() - began).count();
}

/// The whole of a benchmark's main(): PROGRAM [short].
inline int run(int argc, char** argv, const std::function<void(bool small)>& measure) {
  try {
    print_head();
    measure(argc > 1 && std::string_view{argv[1]} == "short");
    return EXIT_SUCCESS;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
    return EXIT_FAILURE;
  }
}

} // namespace hanat::bench
