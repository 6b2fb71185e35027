// The whole daemon, with a service that is moved to and fro by calls: alone, and beside a thousand probes a second of a Redis that takes
// nothing but TLS and a password. A call is answered when the kernel has the move.
#include "tests/bench/secured_flips.hpp"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/api/client.hpp"
#include "tests/bench/table.hpp"
#include "tests/netns/lab/authority.hpp"
#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/process.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::bench {
namespace {

using test::Host;
using test::Lab;
using test::milliseconds;
using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr unsigned secured_services = 100; // each is probed ten times a second

/// A Redis in the Lab, and the keys of a probe that it lets in.
class SecuredRedis {
public:
  explicit SecuredRedis(Lab& lab) : authority_{folder_, "ca"} {
    authority_.issue("good");
    folder_.write("password", "pencil\n");
    chmod(folder_.file("password").c_str(), 0600);
    std::vector<std::string> words{"redis-server",
                                   "--bind",
                                   to_text(Lab::address(Host::primary)),
                                   "--port",
                                   "0",
                                   "--tls-port",
                                   "6380",
                                   "--save",
                                   "",
                                   "--dir",
                                   folder_.path().string(),
                                   "--tls-cert-file",
                                   folder_.file("good.crt"),
                                   "--tls-key-file",
                                   folder_.file("good.key"),
                                   "--tls-ca-cert-file",
                                   folder_.file("ca.crt"),
                                   "--tls-auth-clients",
                                   "no",
                                   "--user",
                                   "hanat",
                                   "on",
                                   ">pencil",
                                   "+ping",
                                   "+role"};
    process_.emplace(lab.spawn(Host::primary, words));
  }
  std::string services() const {
    std::string text;
    for (unsigned number = 1; number <= secured_services; ++number)
      text +=
          fmt::format("[service.s{0}]\nlisten = \"203.0.113.10:{1}/tcp\"\nprimary = \"198.18.11.2:6380\"\nprobe = {{ type = \"redis\", "
                      "role = \"master\", interval = \"100ms\", timeout = \"2s\", user = \"hanat\", password_file = \"{2}\", tls = {{ ca "
                      "= \"{3}\", name = \"db.example\" }} }}\n\n",
                      number, 1'000 + number, folder_.file("password"), folder_.file("ca.crt"));
    return text;
  }

private:
  test::TempFolder folder_;
  test::Authority authority_;
  std::optional<test::Process> process_;
};

double cpu_s(pid_t process) {
  std::ifstream file{fmt::format("/proc/{}/stat", process)};
  const std::string text{std::istreambuf_iterator<char>{file}, {}};
  std::istringstream fields{text.substr(text.rfind(')') + 2)};
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0, system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

class Mover {
public:
  explicit Mover(Lab& lab) : primary_{lab, Host::primary, 8443, "primary"}, backup_{lab, Host::backup, 8443, "backup"} {}
  /// Milliseconds from the call until the kernel has the move, so many times, and what hanatd takes of a processor meanwhile.
  std::pair<Figure, double> move(const test::Hanatd& hanatd, int times) {
    std::vector<double> figures;
    const double cpu_before = cpu_s(hanatd.pid());
    const auto began = test::TestClock::now();
    for (int i = 0; i < times; ++i) {
      const auto called = test::TestClock::now();
      call(hanatd.socket(), "Force", {{"service", "web"}, {"server", i % 2 == 0 ? "backup" : "primary"}});
      figures.push_back(Milliseconds{test::TestClock::now() - called}.count());
      std::this_thread::sleep_for(milliseconds{20});
    }
    const double busy = (cpu_s(hanatd.pid()) - cpu_before) / std::chrono::duration<double>(test::TestClock::now() - began).count();
    return {figure_of(std::move(figures)), busy};
  }

private:
  test::TcpServer primary_, backup_;
};

} // namespace

void flips_beside_secured_probes(bool small) {
  const int times = small ? 100 : 1'000;
  Lab lab;
  Mover mover{lab};
  const SecuredRedis redis{lab};
  test::Hanatd hanatd{lab, test::fast_service()};
  const auto wait_until_up = [&] {
    hanatd.wait_for(
        [](const Status& now) {
          return std::ranges::all_of(now.services, [](const ServiceStatus& one) { return one.target == "primary" || one.forced; });
        },
        milliseconds{30'000});
  };
  wait_until_up();
  const auto [alone, busy_alone] = mover.move(hanatd, times);
  if (hanatd.reload(test::fast_service() + redis.services()).exit != 0) throw std::runtime_error("no reload");
  wait_until_up();
  const auto [beside, busy] = mover.move(hanatd, times);
  print({.what = "a move, from the call to the answer; beside 1000 TLS logins a second",
         .unit = "ms",
         .figure = beside,
         .floor = alone,
         .ratio = beside.median / alone.median,
         .target = at_most("p99", beside.p99.value_or(0), 10)});
  print({.what = "  of one core", .unit = "", .figure = {.median = busy - busy_alone}, .target = at_most("part", busy - busy_alone, 0.6)});
}

} // namespace hanat::bench
