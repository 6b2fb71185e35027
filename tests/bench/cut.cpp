// What a cut costs on this kernel: N flows of one server among 50,000 of another, by every delete method and family, and what it costs to
// look for flows that clients did not open. There is no floor: the methods stand beside each other.
// hanat-bench-cut [short]: "short" leaves 100,000 out. Needs root; each run is in a namespace of its own.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "nat/conntrack/cut.hpp"
#include "tests/bench/table.hpp"
#include "tests/netns/lab/isolated.hpp"
#include "tests/netns/lab/synth.hpp"

namespace hanat::nat {
namespace {

struct Row {
  Family family;
  DeleteMethod method;
  bool others_on_the_same_port;    // false: a filter by ports spares looking at them
  std::optional<double> few, many; // ms allowed for 10,000 and 100,000 flows, by the best method that the kernel's family has
};

Mapping mapping(Family family, int server, std::uint16_t port) {
  const bool v4 = family == Family::ipv4;
  return {.vip = test::vip(v4 ? "203.0.113.10" : "2001:db8::10", 443, Protocol::tcp),
          .server = test::endpoint(fmt::format("{}{}", v4 ? "198.19.0." : "fd00::", server), port)};
}

/// nullopt: this kernel's filters are not what the method needs.
std::optional<bench::Figure> cost_of(const Row& row, std::size_t number, int runs) {
  std::vector<double> costs;
  for (int run = 0; run < runs; ++run)
    test::isolated([&] {
      const std::uint16_t other_port = row.others_on_the_same_port ? 8443 : 8444;
      const Mapping dead = mapping(row.family, 11, 8443);
      test::synthesise(test::flows_of(mapping(row.family, 12, other_port), 50'000, number));
      test::synthesise(test::flows_of(dead, number));
      Cutter cutter{row.method};
      if (cutter.method(row.family) != row.method) return;
      const std::atomic<bool> cancelled = false;
      CutCount count;
      costs.push_back(bench::time_of<std::chrono::duration<double, std::milli>>(
          [&] { count = cutter.cut(std::vector{dead}, Protocols::all, FlowScope::clients, cancelled); }));
      if (count.tcp != number) throw std::runtime_error(fmt::format("cut {} of {} flows", count.tcp, number));
    });
  return costs.empty() ? std::nullopt : std::optional{bench::figure_of(costs)};
}

/// What it costs, behind every cut, to look for flows that the server opened and for related ones, where there are none.
bench::Figure cost_of_others(Family family, int runs) {
  std::vector<double> costs;
  for (int run = 0; run < runs; ++run)
    test::isolated([&] {
      test::synthesise(test::flows_of(mapping(family, 12, 8443), 60'000));
      Cutter cutter;
      cutter.method(family); // known from now on
      const std::atomic<bool> cancelled = false;
      costs.push_back(bench::time_of<std::chrono::duration<double, std::milli>>(
          [&] { cutter.cut(std::vector{mapping(family, 11, 8443)}, Protocols::all, FlowScope::others, cancelled); }));
    });
  return bench::figure_of(costs);
}

void measure(bool small) {
  for (const Row& row :
       {Row{Family::ipv4, DeleteMethod::filtered_delete, true, 50, 300}, Row{Family::ipv4, DeleteMethod::filtered_dump, true, {}, {}},
        Row{Family::ipv4, DeleteMethod::full_dump, true, {}, {}}, Row{Family::ipv6, DeleteMethod::filtered_delete, true, 50, 300},
        Row{Family::ipv6, DeleteMethod::filtered_dump, true, 120, 600}, Row{Family::ipv6, DeleteMethod::filtered_dump, false, {}, {}},
        Row{Family::ipv6, DeleteMethod::full_dump, true, {}, {}}})
    for (const std::size_t number : {10'000U, 100'000U}) {
      if (small && number > 10'000) continue;
      const auto limit = number == 10'000 ? row.few : row.many;
      const std::string what = fmt::format("cut {} of {} flows, IPv{}, {}{}", number, number + 50'000, row.family == Family::ipv4 ? 4 : 6,
                                           to_text(row.method), row.others_on_the_same_port ? "" : ", ports differ");
      if (const std::optional<bench::Figure> cost = cost_of(row, number, small ? 3 : 7))
        bench::print({.what = what,
                      .unit = "ms",
                      .figure = *cost,
                      .target = limit ? std::optional{bench::at_most("median", cost->median, *limit)} : std::nullopt});
      else
        bench::print_line(what, "ms", "-", "-", "-", "-", "-", "not on this kernel");
    }
  for (const Family family : both_families)
    bench::print({.what = fmt::format("look for flows not opened by clients, none of 60000, IPv{}", family == Family::ipv4 ? 4 : 6),
                  .unit = "ms",
                  .figure = cost_of_others(family, small ? 3 : 7)});
}

} // namespace
} // namespace hanat::nat

int main(int argc, char** argv) { return hanat::bench::run(argc, argv, hanat::nat::measure); }
