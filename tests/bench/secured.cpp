// What a probe over TLS with a login costs hanatd, by the kind of server, beside a client that is OpenSSL alone; what a thousand of them a
// second cost, of all four kinds together; and what they do to a flip. Against Debian's Redis, PostgreSQL, MariaDB and Postfix.
// hanat-bench-secured [short]. Needs root; works in a Lab of its own. The servers are on the same machine and need two processors for a
// thousand connections a second: with fewer than four it is 400 a second, unless HANAT_PROBES says how many of each kind (250 at most).
// Not here: the servers (secured_servers), TCP probes (probes).
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "daemon/api/client.hpp"
#include "tests/bench/bare_tls.hpp"
#include "tests/bench/secured_servers.hpp"
#include "tests/bench/table.hpp"
#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::bench {
namespace {

using test::Host;
using test::Lab;
using test::milliseconds;
using test::TestClock;
using Microseconds = std::chrono::duration<double, std::micro>;

constexpr std::array bare_kinds{Bare::redis, Bare::postgres, Bare::mysql, Bare::smtp}; // in the order of SecuredServers::all()

/// Of each kind.
unsigned number_of_probes() {
  const char* const wanted = std::getenv("HANAT_PROBES");
  const unsigned usual = std::thread::hardware_concurrency() < 4 ? 100 : SecuredServers::addresses;
  return std::clamp(wanted == nullptr ? usual : static_cast<unsigned>(std::atoi(wanted)), 1U, SecuredServers::addresses);
}

/// A service that flips, and one for each probe: each of these kinds once a second at every address, and not more often while it is
/// unknown.
std::string config_of(const std::vector<SecuredServer>& kinds) {
  std::string text = "[hanatd]\non_stop = \"remove\"\n" + test::fast_service() + "\n";
  std::uint16_t port = 1;
  for (const SecuredServer& server : kinds)
    for (unsigned number = 0; number < number_of_probes(); ++number)
      text +=
          fmt::format("[service.{}{}]\nlisten = \"203.0.113.11:{}/tcp\"\nprimary = \"{}:{}\"\ndown = {{ fails = 3, within = \"60s\" }}\n"
                      "probe = {{ interval = \"1s\", fast_interval = \"1s\", timeout = \"5s\", {} }}\n",
                      server.name, number, port++, SecuredServers::address(number), server.port, server.keys);
  return text;
}

/// Microseconds of CPU time that all threads of the process have had.
double cpu_of(pid_t process) {
  double sum = 0;
  for (const auto& thread : std::filesystem::directory_iterator{fmt::format("/proc/{}/task", process)}) {
    double nanoseconds = 0;
    std::ifstream{thread.path() / "schedstat"} >> nanoseconds;
    sum += nanoseconds / 1'000;
  }
  return sum;
}

struct Answers {
  std::uint64_t all = 0, passed = 0;
  std::string others; // "timeout 3, ..."
};
Answers answers_of(const Status& status) {
  Answers answers;
  for (const ServiceStatus& service : status.services)
    for (const ServerStatus& server : service.servers) {
      if (service.name == "web" || !server.totals) continue;
      for (const ResultCountStatus& result : server.totals->results) {
        answers.all += result.number;
        if (result.outcome == "pass")
          answers.passed += result.number;
        else
          answers.others += fmt::format("{} at {}, {} times; ", result.reason, service.name, result.number);
      }
    }
  return answers;
}

struct Cost {
  double us = 0, share = 0, rate = 0; // of one probe; of a core; probes a second
  double passed = 0;                  // of all
  std::string others;                 // what did not
};
Cost cost_of(const test::Hanatd& hanatd, std::chrono::seconds span) {
  const Answers before = answers_of(hanatd.status());
  const auto began = TestClock::now();
  const double cpu = cpu_of(hanatd.pid());
  std::this_thread::sleep_for(span);
  const double used = cpu_of(hanatd.pid()) - cpu;
  const auto wall = Microseconds{TestClock::now() - began}.count();
  const Answers after = answers_of(hanatd.status());
  const auto all = static_cast<double>(std::max<std::uint64_t>(after.all - before.all, 1));
  const double count = all * wall / Microseconds{TestClock::now() - began}.count(); // a status takes a while, too
  return {.us = used / count,
          .share = used / wall,
          .rate = count * 1e6 / wall,
          .passed = static_cast<double>(after.passed - before.passed) / all,
          .others = after.others};
}

struct Flips {
  std::vector<double> commits, whole; // microseconds: decision to the kernel's acknowledgement; the order to a client's connection
};
Flips flip(Lab& lab, const test::Hanatd& hanatd, unsigned count) {
  Flips flips;
  for (unsigned i = 0; i < count; ++i) {
    const std::string target = i % 2 == 0 ? "backup" : "primary";
    const auto began = TestClock::now();
    call(hanatd.socket(), "Force", {{"service", "web"}, {"server", target}});
    while (test::connect_once(lab, Host::client, Lab::vip(443)).text != target)
      if (TestClock::now() > began + milliseconds{5'000}) throw std::runtime_error("no client comes to the " + target);
    flips.whole.push_back(Microseconds{TestClock::now() - began}.count());
    const Status status = call(hanatd.socket(), "Status", {{"service", "web"}}).at("status").get<Status>();
    flips.commits.push_back(static_cast<double>(test::service(status, "web").last_flip.value().commit_us));
    std::this_thread::sleep_for(milliseconds{7});
  }
  return flips;
}

/// Until every probe has passed, and TLS sessions are there to resume.
void warm_up(const test::Hanatd& hanatd) {
  test::wait_both_up(hanatd);
  hanatd.wait_for(
      [](const Status& status) {
        return std::ranges::all_of(status.services, [](const ServiceStatus& one) { return test::server(one, "primary").health == "up"; });
      },
      milliseconds{60'000});
  std::this_thread::sleep_for(milliseconds{3'000});
}

void one_kind(Lab& lab, const SecuredServers& servers, std::size_t index, bool small) {
  const SecuredServer& server = servers.all().at(index);
  const Endpoint at{.address = Address::parse(SecuredServers::address(0)).value(), .port = server.port};
  const auto bare = [&](bool resume) {
    return lab.in(Host::gateway, [&] { return bare_tls(bare_kinds.at(index), at, servers.authority(), resume, small ? 200 : 1'000); });
  };
  const BareCost whole = bare(false), again = bare(true);
  const bool resumes = again.resumed > 0;
  test::Hanatd hanatd{lab, config_of({server})};
  warm_up(hanatd);
  const Cost cost = cost_of(hanatd, std::chrono::seconds{small ? 3 : 15});
  if (cost.passed < 1) fmt::print(stderr, "{}: not all pass: {}\n", server.name, cost.others);
  print({.what = fmt::format("{}: a probe (floor: OpenSSL alone{})", server.name, resumes ? ", resumed" : "; no session is resumed"),
         .unit = "us",
         .figure = {.median = cost.us},
         .floor = Figure{.median = resumes ? again.us : whole.us},
         .ratio = cost.us / (resumes ? again.us : whole.us)});
  if (resumes) print({.what = "  OpenSSL alone, a whole handshake", .unit = "us", .figure = {.median = whole.us}});
}

void all_kinds(Lab& lab, const SecuredServers& servers, const Flips& alone, bool small) {
  const test::Hanatd hanatd{lab, config_of({servers.all().begin(), servers.all().end()})};
  warm_up(hanatd);
  const Cost cost = cost_of(hanatd, std::chrono::seconds{small ? 4 : 20});
  print({.what = "all four together: probes",
         .unit = "1/s",
         .figure = {.median = cost.rate},
         .target = at_least("probes", cost.rate, 3.96 * number_of_probes())});
  if (cost.passed < 1) fmt::print(stderr, "not all pass: {}\n", cost.others);
  print({.what = "  passed", .unit = "", .figure = {.median = cost.passed}, .target = at_least("passed", cost.passed, 1)});
  print({.what = "  a probe", .unit = "us", .figure = {.median = cost.us}});
  print({.what = "  of one core", .unit = "", .figure = {.median = cost.share}});
  const double thousand = cost.share * 1'000 / cost.rate;
  print({.what = "  of one core, at 1000 a second", .unit = "", .figure = {.median = thousand}, .target = at_most("part", thousand, 0.6)});
  const Flips beside = flip(lab, hanatd, small ? 100 : 500);
  const auto compare = [](const char* what, const std::vector<double>& figures, const std::vector<double>& floors,
                          std::optional<double> limit) {
    const Figure figure = figure_of(figures), floor = figure_of(floors);
    Line line{.what = what, .unit = "us", .figure = figure, .floor = floor, .ratio = figure.median / floor.median};
    if (limit) line.target = at_most("p99", *figure.p99, *limit);
    print(line);
  };
  compare("a flip beside them: decision to commit ACK (floor: without)", beside.commits, alone.commits, 100);
  compare("  an order until a client is at the new server (without)", beside.whole, alone.whole, 5'000);
}

void compare(bool small) {
  Lab lab;
  const test::TcpServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};
  const SecuredServers servers{lab};
  for (std::size_t index = 0; index < servers.all().size(); ++index) one_kind(lab, servers, index, small);
  const Flips alone = [&] {
    const test::Hanatd hanatd{lab, config_of({})};
    test::wait_both_up(hanatd);
    return flip(lab, hanatd, small ? 100 : 500);
  }();
  all_kinds(lab, servers, alone, small);
}

} // namespace
} // namespace hanat::bench

int main(int argc, char** argv) { return hanat::bench::run(argc, argv, hanat::bench::compare); }
