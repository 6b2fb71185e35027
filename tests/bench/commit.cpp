// What a change of the table costs, from the decision to the kernel's acknowledgement: one flip among many services, thousands of flips in
// one transaction, loading. Beside it the floor, in the same run and in turn with it.
// hanat-bench-commit [short]. Needs root; works in namespaces of its own.
#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <sys/resource.h>

#include "daemon/decision/desired_state.hpp"
#include "nat/nftables/table.hpp"
#include "tests/bench/bare_map.hpp"
#include "tests/bench/table.hpp"
#include "tests/netns/lab/isolated.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/process.hpp"
#include "tests/netns/lab/synth.hpp"

namespace hanat::bench {
namespace {

using Microseconds = std::chrono::duration<double, std::micro>;
using Milliseconds = std::chrono::duration<double, std::milli>;

/// What the kernel has worked for the calling thread. Its clock ticks every few milliseconds: of sums.
double kernel_ms() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return static_cast<double>(usage.ru_stime.tv_sec) * 1'000 + static_cast<double>(usage.ru_stime.tv_usec) / 1'000;
}

void merge(nat::TableState& into, const nat::TableState& rules) {
  into.vips.insert(rules.vips.begin(), rules.vips.end());
  into.dnat.insert(rules.dnat.begin(), rules.dnat.end());
  into.stale.insert(rules.stale.begin(), rules.stale.end());
  into.recent.insert(rules.recent.begin(), rules.recent.end());
  into.hold.insert(rules.hold.begin(), rules.hold.end());
}

/// What hanatd knows of many services, and the table that it keeps for them.
class Services {
public:
  /// `ranges` of them have every port of an address of their own; they come first.
  explicit Services(std::uint16_t number, std::uint16_t ranges = 0) {
    nat::TableState all;
    for (std::uint32_t port = 1; port <= number; ++port) {
      ServiceState& service = services_.emplace_back(make(static_cast<std::uint16_t>(port), port <= ranges));
      service.loaded = desired_state(service, towards(0), Time{}).rules;
      service.current = 0;
      merge(all, service.loaded);
    }
    rules_ = std::move(all);
  }
  const nat::TableState& rules() const { return rules_; }
  void load() { kernel_.emplace("hanat").load(rules_); }

  /// The target of `count` services changes, in one transaction: from the decision on to the acknowledgement, as sync() does it. What a
  /// cut's end does to the table follows, outside the time.
  template <typename Unit> double flip(std::size_t first, std::size_t count = 1) {
    return measured_flip(first, count, [](const auto& change_now) { return time_of<Unit>(change_now); });
  }
  /// The kernel's part of the same, in ms.
  double kernel_time_of_flip(std::size_t first, std::size_t count) {
    return measured_flip(first, count, [](const auto& change_now) {
      const double before = kernel_ms();
      change_now();
      return kernel_ms() - before;
    });
  }

private:
  static ServiceState make(std::uint16_t port, bool range) {
    ServiceState service;
    ServiceConfig& config = service.config.edit();
    config.name = fmt::format("service{}", port);
    config.listen = {test::vip("203.0.113.10", port, Protocol::tcp)};
    if (range)
      config.listen = {{.address = test::address(fmt::format("198.19.{}.{}", port / 250, port % 250 + 1)),
                        .protocol = Protocol::tcp,
                        .port = 1,
                        .last = 65'535}};
    config.servers.resize(2);
    service.servers.resize(2);
    for (const std::size_t server : {0U, 1U}) {
      config.servers[server].role = server == 0 ? "primary" : "backup";
      config.servers[server].addresses = {test::endpoint(server == 0 ? "198.18.11.2" : "198.18.12.2", 8443)};
    }
    return service;
  }
  static Decision towards(std::size_t server) {
    return {.kind = TargetKind::server, .server = server, .reason = Reason::failover, .flip_reason = Reason::failover, .failback_at = {}};
  }
  double measured_flip(std::size_t first, std::size_t count, const auto& measure) {
    const auto part = std::span{services_}.subspan(first, count);
    for (ServiceState& service : part) service.current = 1 - *service.current;
    const double took = measure([&] { change(part); });
    change(part); // nothing is evicted any more: stale and recent keys go
    kernel_->changed_by_others();
    return took;
  }
  void change(std::span<ServiceState> part) {
    std::vector<nat::TableState> next;
    std::vector<nat::Step> steps;
    next.reserve(part.size());
    for (const ServiceState& service : part) {
      next.push_back(desired_state(service, towards(*service.current), Time{}).rules);
      steps.push_back({.from = service.loaded, .to = next.back()});
    }
    kernel_->change(steps);
    for (std::size_t i = 0; i < part.size(); ++i) part[i].loaded = std::move(next[i]);
  }

  std::vector<ServiceState> services_;
  nat::TableState rules_; // as loaded
  std::optional<nat::NftTable> kernel_;
};

/// A table of hanat's and a bare map of the same size, each in a namespace of its own: hanat listens for changes of the table, and the
/// floor shall not pay for that.
class Pair {
public:
  explicit Pair(std::uint16_t number) : services(number) {
    ours_.enter([&] { services.load(); });
    floors_.enter([&] { floor.emplace(number); });
  }
  Services services;
  std::optional<BareMap> floor;

private:
  test::Namespace ours_, floors_; // a socket stays in the one that it was made in
};

/// `flips` times each in turn; both move services `first_of(i)` and the following.
template <typename Unit> std::pair<Figure, Figure> alternate(Pair& pair, int flips, std::uint16_t count, std::uint16_t number) {
  std::vector<double> ours, floor;
  const int unheard = flips / 10; // caches fill, the kernel's maps take their shape
  for (int i = -unheard; i < flips; ++i) {
    const auto first = static_cast<std::uint16_t>(count == 1 ? static_cast<unsigned>(i + unheard) * 7919U % number : 0);
    const auto server = static_cast<std::uint8_t>(i % 2 == 0 ? 12 : 11);
    double of_ours = 0;
    if (i % 2 == 0) of_ours = pair.services.flip<Unit>(first, count);
    const double of_floor = time_of<Unit>([&] { pair.floor->replace(static_cast<std::uint16_t>(first + 1), count, server); });
    if (i % 2 != 0) of_ours = pair.services.flip<Unit>(first, count);
    if (i < 0) continue;
    ours.push_back(of_ours);
    floor.push_back(of_floor);
  }
  return {figure_of(ours), figure_of(floor)};
}

void one_flip(std::uint16_t number, bool small) {
  Pair pair{number};
  const auto [ours, floor] = alternate<Microseconds>(pair, small ? 200 : 2'000, 1, number);
  print({.what = fmt::format("one flip, decision to commit ACK, {} loaded", number),
         .unit = "us",
         .figure = ours,
         .floor = floor,
         .ratio = ours.median / floor.median,
         .target = at_most("p99", *ours.p99, 100)});
}

/// The ranges of a server that dies.
void flips_of_ranges(std::uint16_t ranges, bool small) {
  test::isolated([&] {
    Services services{ranges, ranges};
    services.load();
    std::vector<double> figures;
    for (int i = 0; i < (small ? 5 : 30); ++i) figures.push_back(services.flip<Milliseconds>(0, ranges));
    print(
        {.what = fmt::format("{0} of {0} ranges flip, one transaction", ranges), .unit = "ms", .figure = figure_of(figures), .target = {}});
  });
}

/// A range's flip, and an exact endpoint's beside so many ranges.
void flips_beside_ranges(std::uint16_t ranges, bool small) {
  test::isolated([&] {
    Services services{static_cast<std::uint16_t>(ranges + 1), ranges};
    services.load();
    const int flips = small ? 200 : 2'000;
    for (const bool exact : {false, true}) {
      std::vector<double> figures;
      for (int i = 0; i < flips; ++i)
        figures.push_back(services.flip<Microseconds>(exact ? ranges : static_cast<unsigned>(i) * 7919U % ranges));
      const Figure figure = figure_of(figures);
      print({.what = fmt::format("one flip of {}, {} ranges loaded", exact ? "an exact endpoint" : "a range", ranges),
             .unit = "us",
             .figure = figure,
             .target = exact ? std::optional{at_most("p99", *figure.p99, 100)} : std::nullopt});
    }
  });
}

void many_flips(bool small) {
  constexpr std::uint16_t number = 10'000, flipped = 5'000;
  const int flips = small ? 5 : 30;
  Pair pair{number};
  const auto [ours, floor] = alternate<Milliseconds>(pair, flips, flipped, number);
  print({.what = "5000 of 10000 services flip, one transaction",
         .unit = "ms",
         .figure = ours,
         .floor = floor,
         .ratio = ours.median / floor.median,
         .target = at_most("ratio", ours.median / floor.median, 1.3)});
  // Beside the target's element, one of the old server's flows and one that resets what has no flow: all of them have a comment.
  pair.services.flip<Milliseconds>(0, flipped);
  double in_kernel = 0;
  for (int i = 0; i < flips; ++i) in_kernel += pair.services.kernel_time_of_flip(0, flipped);
  print({.what = "  of that the kernel's work on the transaction, mean", .unit = "ms", .figure = {.median = in_kernel / flips}});
}

/// The table of these services as nft says it, without the rules that nft 1.0.6 says but cannot read: they have the same size whatever is
/// loaded.
std::string as_text(const nat::TableState& rules) {
  test::Output listed;
  test::isolated([&] {
    nat::NftTable kernel{"hanat", nat::Ownership::shared};
    kernel.load(rules);
    listed = test::collect({"nft", "-s", "list", "table", "inet", "hanat"}, std::chrono::seconds{60});
  });
  if (listed.exit != 0) throw std::runtime_error("nft list: " + listed.err);
  std::string text;
  std::istringstream lines{listed.out};
  for (std::string line; std::getline(lines, line);)
    if (line.find("masquerade to") == line.npos && line.find("ct original") == line.npos) text += line + "\n";
  return text;
}

void loading(bool small) {
  constexpr std::uint16_t number = 10'000;
  const nat::TableState rules = Services{number}.rules();
  const std::string text = as_text(rules);
  std::vector<double> ours, by_nft;
  for (int run = 0; run < (small ? 3 : 15); ++run) {
    test::isolated([&] {
      nat::NftTable kernel{"hanat"};
      ours.push_back(time_of<Milliseconds>([&] { kernel.load(rules); }));
    });
    test::isolated([&] {
      by_nft.push_back(time_of<Milliseconds>([&] {
        const test::Output loaded = test::collect({"nft", "-f", "-"}, std::chrono::seconds{60}, text);
        if (loaded.exit != 0) throw std::runtime_error("nft -f: " + loaded.err.substr(0, 500));
      }));
    });
  }
  const Figure figure = figure_of(ours), floor = figure_of(by_nft);
  print({.what = "the table of 10000 services loaded (floor: nft -f)",
         .unit = "ms",
         .figure = figure,
         .floor = floor,
         .ratio = figure.median / floor.median,
         .target = at_most("p99", *figure.p99, 500)});
}

} // namespace
} // namespace hanat::bench

int main(int argc, char** argv) {
  return hanat::bench::run(argc, argv, [](bool small) {
    for (const auto number : std::array<std::uint16_t, 4>{1, 1'000, 10'000, 65'000}) hanat::bench::one_flip(number, small);
    for (const auto ranges : std::array<std::uint16_t, 3>{1, 100, 1'000}) hanat::bench::flips_beside_ranges(ranges, small);
    hanat::bench::many_flips(small);
    hanat::bench::loading(small);
    hanat::bench::flips_beside_ranges(10'000, small);
    hanat::bench::flips_of_ranges(1'000, small);
  });
}
