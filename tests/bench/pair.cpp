// A pair of gateways: what clients see when the active one dies, hands over, or when the standby is wrong. "alone" is the same pair, with
// the same keepalived and conntrackd, of two hanatd that do not know of each other. hanat-bench-pair [short | BUSY IDLE PUSH UDP]: numbers
// of connections of each kind (flows.hpp); "short": few, nothing alone, and not what namespace tests ask for. Needs root; works in Labs of
// its own. Not here: the death of a server (detect, told).
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "tests/netns/lab/load.hpp"
#include "tests/netns/lab/pair_lab.hpp"

namespace hanat::bench {
namespace {

using namespace std::chrono_literals;
using test::Flows;
using test::Host;
using test::PairLab;
using test::PairMode;
using test::PairOptions;
using test::PairServers;
using test::TestClock;
using Milliseconds = std::chrono::duration<double, std::milli>;

struct Plan {
  test::FlowPlan flows = {.busy = 2'000, .idle = 15'000, .push = 50, .udp = 100, .busy_interval = 500ms, .udp_interval = 50ms};
  bool small = false;

  std::size_t tcp() const { return flows.busy + flows.idle + flows.push; }
  std::size_t all() const { return tcp() + flows.udp; }
};

// ---- the table

void print_row(std::string_view what, std::string_view unit, std::string_view alone, std::string_view now, std::string_view goal) {
  fmt::print("{:<78} {:<5} {:>8} {:>8}  {}\n", what, unit, alone, now, goal);
  std::fflush(stdout); // each row when it is known: a run takes minutes
}
std::string to_text(std::optional<double> value) { return value ? fmt::format("{:.0f}", *value) : "-"; }

struct Row {
  std::string what, unit;
  std::optional<double> alone, now;
  std::optional<double> at_most = {}, at_least = {};
};
void print(const Row& row) {
  std::string goal = "-";
  if (row.now && row.at_most) goal = fmt::format("<= {:<9.0f} {}", *row.at_most, *row.now <= *row.at_most ? "met" : "MISSED");
  if (row.now && row.at_least) goal = fmt::format(">= {:<9.0f} {}", *row.at_least, *row.now >= *row.at_least ? "met" : "MISSED");
  print_row(row.what, row.unit, to_text(row.alone), to_text(row.now), goal);
}

/// Measured with [pair]; and alone, where there is the time.
template <typename Measure>
void both(const Plan& plan, Measure measure, const std::function<void(decltype(measure(true)), decltype(measure(true))*)>& tell) {
  auto now = measure(true);
  if (plan.small) return tell(now, nullptr);
  auto alone = measure(false);
  tell(now, &alone);
}

// ---- scenes

std::string name_of(const PairOptions& options) {
  return fmt::format("{}, {}, snat {}", options.mode == PairMode::inject ? "inject" : "ftfw",
                     options.family == Family::ipv4 ? "IPv4" : "IPv6", options.snat);
}

/// Two gateways under flows, and the standby has the copies.
struct Scene {
  Scene(const PairOptions& options, const Plan& plan) : lab(options), servers(lab) {
    lab.start();
    flows.emplace(lab, Host::client, lab.targets(), plan.flows);
    lab.wait_copied(Host::gateway_b, plan.all());
  }
  PairLab lab;
  PairServers servers;
  std::optional<Flows> flows;
};

struct Broken {
  double flows = 0, udp_silence = 0; // ms
};
Broken broken_by(Scene& scene, const std::function<void(Scene&)>& disturb) {
  disturb(scene);
  const test::FlowReport report = scene.flows->check(15s);
  if (report.broken() > 0) fmt::print(stderr, "  {}\n", report);
  return {.flows = static_cast<double>(report.broken()), .udp_silence = Milliseconds{report.udp_silence}.count()};
}

void die(Scene& scene) {
  scene.lab.kill(Host::gateway);
  scene.lab.wait_active(Host::gateway_b);
}

void hand_over(Scene& scene, Host from, Host to) {
  scene.lab.stop_keepalived(from);
  scene.lab.wait_active(to);
  scene.lab.wait_notified(to, "master");
  scene.lab.start_keepalived(from);
  scene.lab.wait_notified(from, "backup");
}

void measure_deaths(const Plan& plan) {
  for (const PairMode mode : {PairMode::inject, PairMode::ftfw})
    for (const Family family : {Family::ipv4, Family::ipv6})
      for (const char* snat : {"none", "fixed"}) {
        const bool plain = family == Family::ipv4 && std::string_view{snat} == "none";
        const bool special = family == Family::ipv6 && std::string_view{snat} == "fixed";
        if (plan.small && !(mode == PairMode::inject ? plain : special)) continue;
        const auto one = [&](bool paired) {
          Scene scene{{.mode = mode, .family = family, .snat = snat, .paired = paired}, plan};
          return broken_by(scene, die);
        };
        const std::string name = name_of({.mode = mode, .family = family, .snat = snat});
        both(plan, one, [&](Broken now, Broken* alone) {
          print({.what = fmt::format("active gateway dies: broken of {} flows, {}", plan.all(), name),
                 .unit = "flows",
                 .alone = alone ? std::optional{alone->flows} : std::nullopt,
                 .now = now.flows,
                 .at_most = 0});
          print({.what = fmt::format("  longest silence of a UDP flow, {}", name),
                 .unit = "ms",
                 .alone = alone ? std::optional{alone->udp_silence} : std::nullopt,
                 .now = now.udp_silence});
        });
      }
}

/// How long after the death the last connect began that it delayed or broke.
double last_delayed_connect(const PairOptions& options) {
  constexpr auto undelayed = 200ms;
  PairLab lab{options};
  const PairServers servers{lab};
  lab.start();
  test::Load load{lab, Host::client, lab.targets().lines, {.per_second = 500, .duration = 2s}};
  std::this_thread::sleep_for(300ms);
  const auto death = lab.kill(Host::gateway);
  double last = 0;
  for (const test::Connect& connect : load.finish().connects)
    if (connect.result != test::Result::answered || connect.ended > undelayed)
      last = std::max(last, Milliseconds{connect.started - death}.count());
  return last;
}

void measure_new_connects(const Plan& plan) {
  for (const PairMode mode : {PairMode::inject, PairMode::ftfw}) {
    const int rounds = plan.small ? 1 : 5;
    const auto worst = [&](bool paired) {
      double last = 0;
      for (int round = 0; round < rounds; ++round) last = std::max(last, last_delayed_connect({.mode = mode, .paired = paired}));
      return last;
    };
    both(plan, worst, [&](double now, double* alone) {
      print({.what = fmt::format("death to the last connect that it delays, worst of {}, {}", rounds,
                                 mode == PairMode::inject ? "inject" : "ftfw"),
             .unit = "ms",
             .alone = alone ? std::optional{*alone} : std::nullopt,
             .now = now,
             .at_most = 200});
    });
  }
}

struct Wrong {
  double deleted = 0, forged = 0, broken = 0;
};
Wrong wrong_standby(const Plan& plan, bool paired) {
  Scene scene{{.paired = paired}, plan};
  test::Meddling meddling{scene.lab, Host::gateway_b};
  test::misjudge(scene.lab, Host::gateway_b, 3s);
  Wrong wrong{.deleted = static_cast<double>(meddling.deleted()), .forged = static_cast<double>(meddling.forged())};
  wrong.broken = broken_by(scene, die).flows;
  return wrong;
}

void measure_wrong_standby(const Plan& plan) {
  both(
      plan, [&](bool paired) { return wrong_standby(plan, paired); },
      [&](Wrong now, Wrong* alone) {
        const auto row = [&](const std::string& what, const char* unit, double Wrong::*part) {
          print({.what = what, .unit = unit, .alone = alone ? std::optional{alone->*part} : std::nullopt, .now = now.*part, .at_most = 0});
        };
        row("standby alone takes the primary for down, 3 s: entries it deletes", "flows", &Wrong::deleted);
        row("  packets it forges", "", &Wrong::forged);
        row(fmt::format("  then the active gateway dies: broken of {} flows", plan.all()), "flows", &Wrong::broken);
      });
}

void measure_handovers(const Plan& plan) {
  for (const PairMode mode : {PairMode::inject, PairMode::ftfw})
    for (const int times : {1, 3}) {
      const auto one = [&](bool paired) {
        Scene scene{{.mode = mode, .paired = paired}, plan};
        return broken_by(scene, [&](Scene& on) {
          hand_over(on, Host::gateway, Host::gateway_b);
          for (int time = 1; time < times; ++time) {
            hand_over(on, Host::gateway_b, Host::gateway);
            hand_over(on, Host::gateway, Host::gateway_b);
          }
        });
      };
      both(plan, one, [&](Broken now, Broken* alone) {
        print({.what = fmt::format("{}: broken of {} flows, {}", times == 1 ? "planned handover" : "to and fro three times", plan.all(),
                                   mode == PairMode::inject ? "inject" : "ftfw"),
               .unit = "flows",
               .alone = alone ? std::optional{alone->flows} : std::nullopt,
               .now = now.flows,
               .at_most = 0});
      });
    }
}

// ---- what the gateways tell each other

struct Override {
  double broken = 0, on_forced = 0; // percent of the new clients
};
/// The service is on its backup because somebody said so on the gateway that dies.
Override overridden(const Plan& plan, bool paired) {
  constexpr auto audit = 9s; // hanatd looks for unexpected flows before this is over
  constexpr int clients = 20;
  PairLab lab{{.paired = paired}};
  PairServers servers{lab};
  lab.start();
  if (lab.hanatd(Host::gateway).ctl({"force-backup", "web"}).exit != 0) throw std::runtime_error("force-backup is refused");
  lab.hanatd(Host::gateway).wait_target("web", "backup");
  if (lab.linked()) lab.hanatd(Host::gateway_b).wait_target("web", "backup");
  Flows flows{lab, Host::client, lab.targets(), plan.flows};
  lab.wait_copied(Host::gateway_b, plan.all());
  lab.kill(Host::gateway);
  lab.wait_active(Host::gateway_b);
  std::this_thread::sleep_for(audit);
  Override result{.broken = static_cast<double>(flows.check(15s).broken())};
  for (int count = 0; count < clients; ++count)
    if (test::connect_once(lab, Host::client, lab.targets().lines).text == "backup") result.on_forced += 100.0 / clients;
  return result;
}

/// From the active gateway's new target to the standby's.
double agreement_lag() {
  PairLab lab;
  PairServers servers{lab};
  lab.start();
  double worst = 0;
  for (const auto& [word, target] : {std::pair{"force-backup", "backup"}, std::pair{"force-primary", "primary"}}) {
    if (lab.hanatd(Host::gateway).ctl({word, "web"}).exit != 0) throw std::runtime_error(fmt::format("{} is refused", word));
    const auto flip_on = [&](Host host) {
      return test::moment_of(test::service(lab.hanatd(host).wait_target("web", target), "web").last_flip.value().at);
    };
    const auto active = flip_on(Host::gateway);
    worst = std::max(worst, Milliseconds{flip_on(Host::gateway_b) - active}.count());
  }
  return worst;
}

void measure_override(const Plan& plan) {
  both(
      plan, [&](bool paired) { return overridden(plan, paired); },
      [&](Override now, Override* alone) {
        print({.what = fmt::format("override on the active gateway, which dies: broken of {} flows", plan.all()),
               .unit = "flows",
               .alone = alone ? std::optional{alone->broken} : std::nullopt,
               .now = now.broken,
               .at_most = 0});
        print({.what = "  new clients on the server that was forced",
               .unit = "%",
               .alone = alone ? std::optional{alone->on_forced} : std::nullopt,
               .now = now.on_forced,
               .at_least = 100});
      });
}

void measure_agreement() {
  print({.what = "a move on the active gateway until the standby has made it",
         .unit = "ms",
         .alone = {},
         .now = agreement_lag(),
         .at_most = 100});
}

Plan plan_of(int argc, char** argv) {
  if (argc == 2 && std::string_view{argv[1]} == "short") return {.flows = {}, .small = true};
  if (argc == 1) return {};
  if (argc != 5) throw std::invalid_argument("usage: hanat-bench-pair [short | BUSY IDLE PUSH UDP]");
  Plan plan;
  plan.flows.busy = std::stoul(argv[1]);
  plan.flows.idle = std::stoul(argv[2]);
  plan.flows.push = std::stoul(argv[3]);
  plan.flows.udp = std::stoul(argv[4]);
  return plan;
}

} // namespace
} // namespace hanat::bench

int main(int argc, char** argv) {
  try {
    using namespace hanat::bench;
    const Plan plan = plan_of(argc, argv);
    print_row("two gateways", "unit", "alone", "pair", "goal");
    measure_deaths(plan);
    measure_new_connects(plan);
    if (!plan.small) { // the namespace tests ask for these with few connections
      measure_wrong_standby(plan);
      measure_handovers(plan);
      measure_override(plan);
    }
    measure_agreement();
    return EXIT_SUCCESS;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
    return EXIT_FAILURE;
  }
}
