// What the whole daemon needs: to start with many services, in memory, for the names of a completion, and from the verdict until a new
// client is on the new target. hanat-bench-daemon [short]. Needs root; works in a Lab of its own.
#include <algorithm>
#include <chrono>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "daemon/api/client.hpp"
#include "daemon/api/status_call.hpp"
#include "tests/bench/memory.hpp"
#include "tests/bench/table.hpp"
#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/load.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/process.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::bench {
namespace {

using test::Host;
using test::Lab;
using test::milliseconds;
using test::TestClock;
using Milliseconds = std::chrono::duration<double, std::milli>;

std::string many_services(unsigned number, const std::string& more = {}, const char* on_stop = "remove") {
  // Probes are not what is measured here: all services have the same two servers.
  std::string text = fmt::format("[hanatd]\non_stop = \"{}\"\n\n", on_stop);
  text += "[defaults]\nprobe = { type = \"tcp\", interval = \"10s\", fast_interval = \"1s\" }\n\n";
  for (unsigned port = 1; port <= number; ++port)
    text += fmt::format(
        "[service.s{0}]\nlisten = \"203.0.113.10:{0}/tcp\"\nprimary = \"198.18.11.2:8443\"\nbackup = \"198.18.12.2:8443\"\n{1}\n", port,
        more);
  return text;
}

bool all_at(const Status& status, std::string_view target) {
  return std::ranges::all_of(status.services, [&](const ServiceStatus& service) { return service.target == target; });
}

/// Asks until it is answered: the daemon is just starting.
Status first_answer(const std::string& socket, const nlohmann::json& parameters) {
  for (const auto end = TestClock::now() + milliseconds{60'000};; std::this_thread::sleep_for(milliseconds{1})) try {
      return call_status(socket, parameters);
    } catch (const NoDaemon&) {
      if (TestClock::now() > end) throw;
    }
}

/// Until the service has its target. One is asked: to ask for all of them is work, too.
void wait_for_target(const std::string& socket, const std::string& service) {
  for (const auto end = TestClock::now() + milliseconds{60'000}; !all_at(first_answer(socket, {{"service", service}}), "primary");
       std::this_thread::sleep_for(milliseconds{5}))
    if (TestClock::now() > end) throw std::runtime_error(service + " has no target");
}

/// From TAB until hanatctl has ended: the name of every service.
double complete(const test::Hanatd& hanatd, unsigned services) {
  test::Output all;
  const double took = time_of<Milliseconds>([&] {
    all = test::collect({"env", "HANAT_SOCKET=" + hanatd.socket(), test::hanatctl_program(), "complete", "bash", "force-backup", ""},
                        milliseconds{10'000});
  });
  if (std::ranges::count(all.out, '\n') != services) throw std::runtime_error("hanatctl complete: " + all.err);
  return took;
}

void tell(unsigned services, std::string_view what, const char* unit, const std::vector<double>& values, std::optional<double> limit = {}) {
  const Figure figure = figure_of(values);
  print({.what = fmt::format("{} services: {}", services, what),
         .unit = unit,
         .figure = figure,
         .target = limit ? std::optional{at_most("median", figure.median, *limit)} : std::nullopt});
}

/// What 10,000 services may need; five times as many may need five times as much, but for what one operator waits for.
double limit_of(unsigned services, double of_ten_thousand) { return of_ten_thousand * std::max(services / 10'000.0, 1.0); }

void starting(unsigned services, int runs) {
  Lab lab;
  const test::TcpServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};
  const std::string last = fmt::format("s{}", services);
  std::vector<double> first, whole, decided, memory, later, completed;
  for (int run = 0; run < runs; ++run) {
    test::Hanatd hanatd{lab, many_services(services), {.start = false}};
    if (const test::Output checked = hanatd.ctl({"check", hanatd.config().string()}); checked.exit != 0)
      throw std::runtime_error("hanatctl check: " + checked.err.substr(0, 500));
    const auto began = TestClock::now();
    const auto since = [&] { return Milliseconds{TestClock::now() - began}.count(); };
    hanatd.launch();
    first_answer(hanatd.socket(), {{"service", "s1"}});
    first.push_back(since());
    first_answer(hanatd.socket(), nlohmann::json::object());
    whole.push_back(since());
    wait_for_target(hanatd.socket(), last);
    hanatd.wait_for([](const Status& now) { return all_at(now, "primary"); }, milliseconds{60'000});
    decided.push_back(since());
    std::this_thread::sleep_for(std::chrono::seconds{12}); // after ten it gives back what reading and the first targets took
    later.push_back(time_of<Milliseconds>([&] { first_answer(hanatd.socket(), nlohmann::json::object()); }));
    memory.push_back(memory_of(hanatd.pid()));
    for (int count = 0; count < 20; ++count) completed.push_back(complete(hanatd, services));
    hanatd.stop(milliseconds{60'000});
  }
  tell(services, "start to status of one", "ms", first);
  tell(services, "start to status of all", "ms", whole);
  tell(services, "start until all have their target", "ms", decided, limit_of(services, 800));
  tell(services, "status of all, later", "ms", later, limit_of(services, 150));
  tell(services, "memory then, VmRSS", "MB", memory, limit_of(services, 40));
  tell(services, "TAB: hanatctl complete with all names", "ms", completed, limit_of(services, 20));
}

/// Asks all the time: the longest that an answer took until `done` says so.
double longest_answer(const std::string& socket, const std::function<bool()>& done) {
  double longest = 0;
  while (!done()) longest = std::max(longest, time_of<Milliseconds>([&] { call(socket, "Version"); }));
  return longest;
}

/// The targets are those that the kernel holds; then one service changes.
void restarting(unsigned services, int runs) {
  Lab lab;
  const test::TcpServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};
  const std::string last = fmt::format("s{}", services);
  test::Hanatd hanatd{lab, many_services(services, {}, "keep")};
  wait_for_target(hanatd.socket(), last);
  std::vector<double> adopted, answers, reloads;
  for (int run = 0; run < runs; ++run) {
    std::this_thread::sleep_for(milliseconds{1'000});
    hanatd.stop(milliseconds{60'000});
    adopted.push_back(time_of<Milliseconds>([&] {
      hanatd.launch();
      wait_for_target(hanatd.socket(), last);
    }));
    const auto quiet = TestClock::now() + milliseconds{3'000};
    answers.push_back(longest_answer(hanatd.socket(), [&] { return TestClock::now() > quiet; }));
    const std::string more = run % 2 == 0 ? "\n[service.more]\nlisten = \"203.0.113.11:1/tcp\"\nprimary = \"198.18.11.2:8443\"\n" : "";
    hanatd.write_config(many_services(services, {}, "keep") + more);
    reloads.push_back(time_of<Milliseconds>([&] { call(hanatd.socket(), "Reload"); }));
  }
  tell(services, "restart until the targets are adopted", "ms", adopted, limit_of(services, 500));
  tell(services, "longest answer of three seconds then", "ms", answers, 50);
  tell(services, "reload of one change", "ms", reloads, limit_of(services, 10));
  hanatd.stop(milliseconds{60'000});
}

/// From the first to the last of so many services that lose their server at once, by the times of their flips.
struct Burst {
  double flips_ms = 0, hooks_ms = 0; // all flips; until the last hook has ended, from the first flip on
};
Burst flip_all(unsigned services, bool hooks) {
  Lab lab;
  test::TcpServer primary{lab, Host::primary, 8443, "primary"};
  const test::TcpServer backup{lab, Host::backup, 8443, "backup"};
  test::Hanatd hanatd{lab, many_services(services, hooks ? "hook = [\"/bin/true\"]\n" : "")};
  hanatd.wait_for(
      [](const Status& status) {
        return all_at(status, "primary") &&
               std::ranges::all_of(status.services, [](const ServiceStatus& one) { return test::server(one, "backup").health == "up"; });
      },
      milliseconds{60'000});
  const auto ended = [&] {
    const auto told = call(hanatd.socket(), "Status", {{"service", "s1"}}).at("status").get<Status>().daemon.hooks;
    return told ? told->calls.at("ok") : 0;
  };
  while (hooks && ended() < services) std::this_thread::sleep_for(milliseconds{100}); // those of the first targets
  primary.kill();
  const Status status = hanatd.wait_for([](const Status& now) { return all_at(now, "backup"); }, milliseconds{60'000});
  auto first = TestClock::time_point::max(), last = TestClock::time_point::min();
  for (const ServiceStatus& service : status.services) {
    const auto at = test::moment_of(service.last_flip.value().at);
    first = std::min(first, at);
    last = std::max(last, at);
  }
  Burst burst{.flips_ms = Milliseconds{last - first}.count()};
  while (hooks && ended() < std::uint64_t{2} * services) std::this_thread::sleep_for(milliseconds{20});
  burst.hooks_ms = Milliseconds{TestClock::now() - first}.count();
  hanatd.stop(milliseconds{60'000});
  return burst;
}

/// Each service has a hook of its own, and all flip at once: that costs processes, and no flip waits for them.
void telling_hooks(bool small) {
  const unsigned services = small ? 1'000 : 10'000;
  std::vector<double> alone, told, hooks;
  for (int run = 0; run < (small ? 1 : 5); ++run) {
    alone.push_back(flip_all(services, false).flips_ms);
    const Burst burst = flip_all(services, true);
    told.push_back(burst.flips_ms);
    hooks.push_back(burst.hooks_ms);
  }
  print({.what = fmt::format("{} services flip, each with a hook (floor: without): all flips", services),
         .unit = "ms",
         .figure = figure_of(told),
         .floor = figure_of(alone),
         .ratio = figure_of(told).median / std::max(figure_of(alone).median, 0.001)});
  print({.what = "  until the last hook has ended", .unit = "ms", .figure = figure_of(hooks)});
}

class Failovers {
public:
  explicit Failovers() : hanatd_{lab_, test::fast_service({.extra = "failback = { penalty = \"0s\" }"})} { wait_until_up(); }

  /// The primary's process dies under 1,000 connects a second. From the flip's moment until the first client is connected to the backup:
  /// an upper bound, as that moment is told up to 1 ms early and clients come 1 ms apart.
  double measure() {
    test::Load load{lab_, Host::client, Lab::vip(443), {.per_second = 1'000, .duration = milliseconds{10'000}}};
    std::this_thread::sleep_for(milliseconds{30});
    primary_.kill();
    const Status status = hanatd_.wait_target("web", "backup");
    const auto flip = test::moment_of(test::service(status, "web").last_flip.value().at);
    std::this_thread::sleep_for(milliseconds{20});
    std::optional<TestClock::time_point> first;
    for (const test::Connect& connect : load.stop().connects)
      if (connect.by == "backup") first = std::min(first.value_or(TestClock::time_point::max()), connect.started + connect.connected);
    if (!first) throw std::runtime_error("no client met the backup");
    primary_.start();
    wait_until_up();
    return Milliseconds{*first - flip}.count();
  }

private:
  void wait_until_up() {
    hanatd_.wait_target("web", "primary", milliseconds{10'000});
    hanatd_.wait_for([](const Status& now) { return test::server(test::service(now, "web"), "backup").health == "up"; });
  }

  Lab lab_;
  test::TcpServer primary_{lab_, Host::primary, 8443, "primary"}, backup_{lab_, Host::backup, 8443, "backup"};
  test::Hanatd hanatd_;
};

void failing_over(bool small) {
  Failovers failovers;
  std::vector<double> times;
  for (int round = 0; round < (small ? 5 : 150); ++round) times.push_back(failovers.measure());
  const Figure figure = figure_of(times);
  print(
      {.what = "verdict to first new client on the new target", .unit = "ms", .figure = figure, .target = at_most("p99", *figure.p99, 5)});
}

} // namespace
} // namespace hanat::bench

int main(int argc, char** argv) {
  return hanat::bench::run(argc, argv, [](bool small) {
    for (const unsigned services : small ? std::vector{10'000U} : std::vector{100U, 1'000U, 10'000U, 50'000U}) {
      hanat::bench::starting(services, small ? 1 : 3);
      hanat::bench::restarting(services, small ? 3 : 10);
    }
    hanat::bench::failing_over(small);
    hanat::bench::telling_hooks(small);
  });
}
