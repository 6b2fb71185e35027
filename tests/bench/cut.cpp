// What a cut costs on this kernel: N flows of one server among 50,000 of another, by every rung and family.
// hanat-bench-cut [short]: a table of medians; "short" leaves 100,000 out. Needs root; each run is in a namespace of its own.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <stdexcept>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "nat/cut.hpp"
#include "tests/netns/isolated.hpp"
#include "tests/netns/synth.hpp"

namespace hanat::nat {
namespace {

struct Cost {
  double elapsed_ms = 0;
  double processor_ms = 0; // of this thread: the kernel dumps and deletes in its caller's name
};

struct Row {
  Family family;
  Rung rung;
  bool others_on_the_same_port; // false: a filter by ports spares looking at them
};

double processor_now_ms() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

Mapping mapping(Family family, int server, std::uint16_t port) {
  const bool v4 = family == Family::ipv4;
  return {.vip = test::vip(v4 ? "203.0.113.10" : "2001:db8::10", 443, Protocol::tcp),
          .server = test::endpoint(fmt::format("{}{}", v4 ? "198.19.0." : "fd00::", server), port)};
}

/// The middle one of three, by processor time.
Cost cost_of(const Row& row, std::size_t number) {
  std::vector<Cost> costs;
  for (int run = 0; run < 3; ++run)
    test::isolated([&] {
      const std::uint16_t other_port = row.others_on_the_same_port ? 8443 : 8444;
      const Mapping dead = mapping(row.family, 11, 8443);
      test::synthesise(test::flows_of(mapping(row.family, 12, other_port), 50'000, number));
      test::synthesise(test::flows_of(dead, number));
      Cutter cutter{row.rung};
      const std::atomic<bool> cancelled = false;
      const double processor = processor_now_ms();
      const auto began = std::chrono::steady_clock::now();
      const CutCount count = cutter.cut(std::vector{dead}, Streams::all, cancelled);
      const std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - began;
      costs.push_back({.elapsed_ms = elapsed.count(), .processor_ms = processor_now_ms() - processor});
      if (count.tcp != number) throw std::runtime_error(fmt::format("cut {} of {} flows", count.tcp, number));
    });
  std::ranges::sort(costs, {}, &Cost::processor_ms);
  return costs[1];
}

void print_table(bool small) {
  std::puts("deleting N of N + 50,000 entries: ms elapsed (ms of processor time), median of three");
  for (const Row& row : {Row{Family::ipv4, Rung::filtered_delete, true}, Row{Family::ipv4, Rung::filtered_dump, true},
                         Row{Family::ipv4, Rung::full_dump, true}, Row{Family::ipv6, Rung::filtered_dump, false},
                         Row{Family::ipv6, Rung::filtered_dump, true}, Row{Family::ipv6, Rung::full_dump, true}}) {
    std::string line = fmt::format("{} {:15}", row.family == Family::ipv4 ? "IPv4" : "IPv6", to_text(row.rung));
    for (const std::size_t number : {10'000U, 100'000U}) {
      if (small && number > 10'000) continue;
      const Cost cost = cost_of(row, number);
      line += fmt::format("  {:7}: {:6.1f} ({:6.1f})", number, cost.elapsed_ms, cost.processor_ms);
    }
    std::puts((line + (row.others_on_the_same_port ? "" : "  others on another port")).c_str());
  }
}

} // namespace
} // namespace hanat::nat

int main(int argc, char** argv) {
  try {
    hanat::nat::print_table(argc > 1 && std::string_view{argv[1]} == "short");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "hanat-bench-cut: %s\n", error.what());
    return EXIT_FAILURE;
  }
}
