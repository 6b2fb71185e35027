// What the whole daemon needs: to start with 10,000 services, in memory, for the names of a completion, and from the verdict until a new
// client is on the new target. hanat-bench-daemon [short]. Needs root; works in a Lab of its own.
#include <algorithm>
#include <chrono>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "daemon/api/client.hpp"
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

constexpr unsigned number_of_services = 10'000;

std::string many_services() {
  // Probes are not what is measured here: 2,000 a second.
  std::string text =
      "[hanatd]\non_stop = \"remove\"\n\n[defaults]\nprobe = { type = \"tcp\", interval = \"10s\", fast_interval = \"1s\" }\n\n";
  for (unsigned port = 1; port <= number_of_services; ++port)
    text += fmt::format(
        "[service.s{0}]\nlisten = \"203.0.113.10:{0}/tcp\"\nprimary = \"198.18.11.2:8443\"\nbackup = \"198.18.12.2:8443\"\n\n", port);
  return text;
}

/// VmRSS of a process, in MB of 1,048,576 bytes.
double memory_of(pid_t process) {
  std::ifstream file(fmt::format("/proc/{}/status", process));
  for (std::string word; file >> word;)
    if (double kilobytes = 0; word == "VmRSS:" && file >> kilobytes) return kilobytes / 1024;
  throw std::runtime_error("no VmRSS of the daemon");
}

bool all_decided(const Status& status) {
  return std::ranges::all_of(status.services, [](const ServiceStatus& service) { return service.target == "primary"; });
}

/// Asks until it is answered: the daemon is just starting.
void first_answer(const std::string& socket, const nlohmann::json& parameters) {
  for (const auto end = TestClock::now() + milliseconds{60'000};; std::this_thread::sleep_for(milliseconds{1})) try {
      call(socket, "Status", parameters);
      return;
    } catch (const NoDaemon&) {
      if (TestClock::now() > end) throw;
    }
}

/// From TAB until hanatctl has ended: the name of every service.
double complete(const test::Hanatd& hanatd) {
  test::Output all;
  const double took = time_of<Milliseconds>([&] {
    all = test::collect({"env", "HANAT_SOCKET=" + hanatd.socket(), test::hanatctl_program(), "complete", "bash", "force-backup", ""},
                        milliseconds{10'000});
  });
  if (std::ranges::count(all.out, '\n') != number_of_services) throw std::runtime_error("hanatctl complete: " + all.err);
  return took;
}

void starting(bool small) {
  Lab lab;
  const test::TcpServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};
  std::vector<double> first, whole, decided, memory, later, completed;
  for (int run = 0; run < (small ? 1 : 3); ++run) {
    test::Hanatd hanatd{lab, many_services(), {.start = false}};
    if (const test::Output checked = hanatd.ctl({"check", hanatd.config().string()}); checked.exit != 0)
      throw std::runtime_error("hanatctl check: " + checked.err.substr(0, 500));
    const auto began = TestClock::now();
    const auto since = [&] { return Milliseconds{TestClock::now() - began}.count(); };
    hanatd.launch();
    first_answer(hanatd.socket(), {{"service", "s1"}});
    first.push_back(since());
    first_answer(hanatd.socket(), nlohmann::json::object());
    whole.push_back(since());
    hanatd.wait_for(all_decided, milliseconds{60'000});
    decided.push_back(since());
    std::this_thread::sleep_for(std::chrono::seconds{12}); // after ten it gives back what reading and the first targets took
    later.push_back(time_of<Milliseconds>([&] { first_answer(hanatd.socket(), nlohmann::json::object()); }));
    memory.push_back(memory_of(hanatd.pid()));
    for (int count = 0; count < 20; ++count) completed.push_back(complete(hanatd));
    hanatd.stop(milliseconds{60'000});
  }
  const auto tell = [](const std::string& what, const std::string& unit, const std::vector<double>& values, std::optional<double> limit) {
    const Figure figure = figure_of(values);
    print({.what = what,
           .unit = unit,
           .figure = figure,
           .target = limit ? std::optional{at_most("p99", *figure.p99, *limit)} : std::nullopt});
  };
  tell("hanatd with 10000 services: start to status of one", "ms", first, {});
  tell("  start to status of all", "ms", whole, {});
  tell("  start until all have their target, servers up", "ms", decided, {});
  tell("  status of all, later", "ms", later, {});
  tell("  memory then, VmRSS", "MB", memory, 64);
  tell("  TAB: hanatctl complete with all names", "ms", completed, 20);
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
    hanat::bench::starting(small);
    hanat::bench::failing_over(small);
  });
}
