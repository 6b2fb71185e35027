// How much of a server's death its clients see: a thousand new connections a second through hanat and through HAProxy, each with its
// defaults and tuned, in the same lab, one after the other, and the same things happen to the primary.
// hanat-bench-detect [short]. Needs root and Debian's haproxy. Not here: what the same costs in peace (forward).
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/bench/table.hpp"
#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/incident.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::bench {
namespace {

using test::checked;
using test::Host;
using test::Incident;
using test::Lab;
using test::milliseconds;
using test::Seen;
using test::TestClock;
using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr std::uint16_t server_port = 8443;

// ---- who stands on the gateway

class Path {
public:
  virtual ~Path() = default;
  virtual std::string_view name() const = 0;
  /// Waits until clients are served by the primary and the backup is known to be up.
  virtual void wait_until_up(Lab& lab) = 0;
  /// When it knew that the primary was dead, since the last wait_until_up().
  virtual std::optional<TestClock::time_point> verdict() = 0;
};

class Hanat final : public Path {
public:
  Hanat(Lab& lab, bool tuned, bool http) : tuned_(tuned), hanatd_(lab, config(tuned, http)) {}
  std::string_view name() const override { return tuned_ ? "hanat tuned" : "hanat"; }
  void wait_until_up(Lab&) override {
    hanatd_.wait_target("web", "primary", milliseconds{20'000});
    hanatd_.wait_for([](const Status& now) { return test::server(test::service(now, "web"), "backup").health == "up"; });
    flips_ = test::service(hanatd_.status(), "web").flips;
  }
  std::optional<TestClock::time_point> verdict() override {
    const Status status = hanatd_.status();
    const auto& web = test::service(status, "web");
    if (web.flips == flips_ || !web.last_flip) return std::nullopt;
    return test::moment_of(web.last_flip->at);
  }

private:
  static std::string config(bool tuned, bool http) {
    const std::string probe = http ? R"(type = "http")" : R"(type = "tcp")";
    std::string text = fmt::format("[service.web]\nlisten = \"203.0.113.10:443/tcp\"\nprimary = \"198.18.11.2:{0}\"\nbackup = "
                                   "\"198.18.12.2:{0}\"\nup = {{ passes = 2, stable_for = \"300ms\" }}\n"
                                   "failback = {{ penalty = \"0s\" }}\n", // it dies again and again, and is the primary each time
                                   server_port);
    text += tuned
                ? fmt::format(
                      "probe = {{ {}, interval = \"100ms\", timeout = \"50ms\", fast_interval = \"5ms\" }}\ndown = {{ fails = 2, within = "
                      "\"10s\" }}\n",
                      probe)
                : fmt::format("probe = {{ {} }}\n", probe);
    return text;
  }
  bool tuned_;
  test::Hanatd hanatd_;
  std::uint64_t flips_ = 0;
};

class Haproxy final : public Path {
public:
  Haproxy(Lab& lab, bool tuned, bool http)
      : tuned_(tuned), directory_((std::filesystem::temp_directory_path() / "hanat-detect-XXXXXX").string()) {
    if (mkdtemp(directory_.data()) == nullptr) throw std::system_error(errno, std::generic_category(), "mkdtemp");
    lab.sysctl(Host::gateway, "net.ipv4.ip_local_port_range", "10000 65535");
    lab.sysctl(Host::gateway, "net.ipv4.tcp_tw_reuse", "1");
    std::ofstream{directory_ + "/haproxy.cfg"} << config(tuned, http);
    process_.emplace(lab.spawn(Host::gateway, {"haproxy", "-db", "-f", directory_ + "/haproxy.cfg"}));
    watcher_ = std::jthread{[this](const std::stop_token& stop) { watch(stop); }};
  }
  ~Haproxy() override {
    watcher_.request_stop();
    watcher_.join();
    process_.reset();
    std::filesystem::remove_all(directory_);
  }
  std::string_view name() const override { return tuned_ ? "HAProxy tuned" : "HAProxy"; }
  void wait_until_up(Lab& lab) override {
    for (const auto end = TestClock::now() + milliseconds{20'000}; TestClock::now() < end; std::this_thread::sleep_for(milliseconds{20})) {
      const bool up = [&] {
        const std::lock_guard lock{mutex_};
        return up_;
      }();
      if (up && test::connect_once(lab, Host::client, Lab::vip(443), milliseconds{200}).text == "primary") {
        const std::lock_guard lock{mutex_};
        down_at_.reset();
        return;
      }
    }
    throw std::runtime_error("haproxy does not serve: is it installed?");
  }
  std::optional<TestClock::time_point> verdict() override {
    const std::lock_guard lock{mutex_};
    return down_at_;
  }

private:
  std::string config(bool tuned, bool http) const {
    return fmt::format(R"(global
  maxconn 8000
  stats socket {}/admin level admin
defaults
  mode tcp
  timeout connect {}
  timeout client 30s
  timeout server 30s
  {}
  {}
listen web
  bind 203.0.113.10:443
  server primary 198.18.11.2:{} check {}
  server spare 198.18.12.2:{} check backup {}
)",
                       directory_, tuned ? "100ms" : "5s", tuned ? "option redispatch 1\n  retries 3" : "",
                       http ? "option httpchk GET /" : "", server_port,
                       tuned ? "inter 100ms fastinter 10ms fall 2 rise 2 observe layer4 error-limit 1 on-error fastinter" : "", server_port,
                       tuned ? "inter 100ms fastinter 10ms fall 2 rise 2" : "");
  }
  /// Asks it at its own socket every millisecond how the primary is.
  void watch(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      const std::string answer = ask("show servers state web\n");
      // id name id name addr state: 2 is up, 0 is down
      const auto line = answer.find(" primary ");
      if (line != std::string::npos) {
        std::istringstream words{answer.substr(line)};
        std::string name, address;
        int state = 0;
        words >> name >> address >> state;
        const std::lock_guard lock{mutex_};
        if (up_ && state == 0) down_at_ = TestClock::now();
        up_ = state == 2;
      }
      std::this_thread::sleep_for(milliseconds{1});
    }
  }
  std::string ask(const std::string& probe) const {
    const Fd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_un to{.sun_family = AF_UNIX, .sun_path = {}};
    (directory_ + "/admin").copy(to.sun_path, sizeof to.sun_path - 1);
    if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) return {};
    if (send(fd.get(), probe.data(), probe.size(), MSG_NOSIGNAL) < 0) return {};
    std::string answer;
    std::array<char, 4096> buffer;
    for (ssize_t got = 0; (got = recv(fd.get(), buffer.data(), buffer.size(), 0)) > 0;)
      answer.append(buffer.data(), static_cast<std::size_t>(got));
    return answer;
  }

  bool tuned_;
  std::string directory_;
  std::optional<test::Process> process_;
  std::mutex mutex_;
  bool up_ = false;
  std::optional<TestClock::time_point> down_at_;
  std::jthread watcher_;
};

// ---- what is seen

struct Case {
  Incident incident;
  bool http;
  milliseconds span;
};
constexpr std::array cases{Case{Incident::killed, false, milliseconds{7'000}}, Case{Incident::link_cut, false, milliseconds{7'000}},
                           Case{Incident::silent, false, milliseconds{8'000}}, Case{Incident::hanging, true, milliseconds{8'000}},
                           Case{Incident::sick, true, milliseconds{8'000}}};

void print_head_of_detection() {
  std::printf("%-20s %-14s %8s %8s %6s %7s %8s %14s %14s %12s %18s\n", "what happens", "who", "connects", "refused", "reset", "closed",
              "timed out", "slowest connect", "slowest answer", "to verdict", "verdict to client");
}

std::string ms(std::optional<Milliseconds> time) { return time ? fmt::format("{:.1f} ms", time->count()) : "-"; }

void print_case(const Case& what, std::string_view who, const Seen& seen) {
  const auto since = [](std::optional<TestClock::time_point> from, std::optional<TestClock::time_point> to) -> std::optional<Milliseconds> {
    if (!from || !to) return std::nullopt;
    return Milliseconds{*to - *from};
  };
  using test::Result;
  fmt::print("{:<20} {:<14} {:>8} {:>8} {:>6} {:>7} {:>8} {:>14} {:>14} {:>12} {:>18}\n", test::to_text(what.incident), who,
             seen.load.connects.size(), seen.load.count(Result::refused), seen.load.count(Result::reset), seen.load.count(Result::closed),
             seen.load.count(Result::timeout) + seen.load.count(Result::unreachable), ms(Milliseconds{seen.load.slowest_connect()}),
             ms(Milliseconds{seen.load.slowest_answer()}), ms(since(seen.began, seen.verdict)), ms(since(seen.verdict, seen.recovered)));
  std::fflush(stdout);
}

/// A UDP service dies: one steady client, a datagram every 5 ms. HAProxy forwards no UDP.
void detect_udp(bool tuned) {
  Lab lab;
  test::UdpServer primary{lab, Host::primary, 5353, "primary"}, backup{lab, Host::backup, 5353, "backup"};
  const std::string rate = tuned ? R"(, interval = "100ms", timeout = "50ms", fast_interval = "5ms" }
down = { fails = 2, within = "10s" })"
                                 : " }";
  test::Hanatd hanatd{lab, fmt::format("[service.web]\nlisten = \"203.0.113.10:53/udp\"\nprimary = \"198.18.11.2:5353\"\nbackup = "
                                       "\"198.18.12.2:5353\"\nprobe = {{ type = \"udp\", send = \"who\"{}\n",
                                       rate)};
  hanatd.wait_target("web", "primary");
  hanatd.wait_for([](const Status& now) { return test::server(test::service(now, "web"), "backup").health == "up"; });
  test::UdpStream stream{lab, Host::client, Lab::vip(53), milliseconds{5}};
  std::this_thread::sleep_for(milliseconds{500});
  const auto began = TestClock::now();
  primary.kill();
  const Status status = hanatd.wait_target("web", "backup", milliseconds{20'000});
  std::this_thread::sleep_for(milliseconds{500});
  const auto datagrams = stream.finish();
  std::size_t refused = 0, lost = 0;
  std::optional<TestClock::time_point> first;
  for (const auto& datagram : datagrams) {
    refused += datagram.refused ? 1U : 0U;
    lost += datagram.sent_at >= began && !datagram.answered_at ? 1U : 0U;
    if (datagram.by == "backup" && datagram.answered_at) first = std::min(first.value_or(*datagram.answered_at), *datagram.answered_at);
  }
  const auto verdict = test::moment_of(test::service(status, "web").last_flip.value().at);
  const auto since = [](TestClock::time_point from, std::optional<TestClock::time_point> to) -> std::optional<Milliseconds> {
    return to ? std::optional{Milliseconds{*to - from}} : std::nullopt;
  };
  fmt::print("{:<20} {:<14} {:>8} {:>8} {:>6} {:>7} {:>8} {:>14} {:>14} {:>12} {:>18}\n", "UDP service dead",
             tuned ? "hanat tuned" : "hanat", datagrams.size(), refused, "-", "-", lost, "-", ms(since(began, first)),
             ms(since(began, verdict)), ms(since(verdict, first)));
}

void detect(bool small) {
  print_head_of_detection();
  for (const Case& what : cases) {
    if (small && what.incident != Incident::killed && what.incident != Incident::link_cut) continue;
    for (const bool tuned : {false, true}) {
      for (const bool hanat : {true, false}) {
        if (small && hanat == tuned) continue; // hanat as it comes, HAProxy at its best
        Lab lab{{.vip_local = true}};
        test::MixedServer primary{lab, Host::primary, server_port, "primary"}, backup{lab, Host::backup, server_port, "backup"};
        const std::unique_ptr<Path> path = hanat ? std::unique_ptr<Path>{std::make_unique<Hanat>(lab, tuned, what.http)}
                                                 : std::make_unique<Haproxy>(lab, tuned, what.http);
        path->wait_until_up(lab);
        const milliseconds span = small ? milliseconds{2'000} : what.span;
        print_case(what, path->name(), test::meet(lab, primary, Lab::vip(443), what.incident, span, [&] { return path->verdict(); }));
      }
    }
  }
  if (small) return;
  detect_udp(false);
  detect_udp(true);
}

} // namespace
} // namespace hanat::bench

int main(int argc, char** argv) {
  try {
    hanat::bench::detect(argc > 1 && std::string_view{argv[1]} == "short");
    return EXIT_SUCCESS;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
    return EXIT_FAILURE;
  }
}
