// hanat beside keepalived and IPVS, the kernel's other way to a server, in the same Lab, one after the other: what clients see of a
// server's death, and of a move by order. hanat-bench-ipvs [short]. Needs root, a kernel with ip_vs, Debian's keepalived and ipvsadm;
// in_vm.sh runs it in a virtual machine. Then forwarding, beside plain routing. Not here: how that is measured (forward_rounds).
#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "tests/bench/forward_rounds.hpp"
#include "tests/bench/served.hpp"
#include "tests/bench/table.hpp"
#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/incident.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::bench {
namespace {

using test::Host;
using test::Incident;
using test::Lab;
using test::milliseconds;
using test::Seen;
using test::TestClock;
using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr std::uint16_t server_port = 8443;
constexpr unsigned per_second = 100; // the processor is an emulated one

class Balancer {
public:
  virtual ~Balancer() = default;
  virtual std::string_view name() const = 0;
  /// Waits until clients are served by the primary, and it could do without it.
  virtual void wait_until_up(Lab& lab) = 0;
  virtual void move(bool to_backup) = 0;
};

class Hanat final : public Balancer {
public:
  Hanat(Lab& lab, bool tuned, bool http) : lab_(lab), hanatd_(lab, config(tuned, http)) {}
  std::string_view name() const override { return "hanatd"; }
  void wait_until_up(Lab& lab) override {
    hanatd_.wait_target("web", "primary", milliseconds{60'000});
    hanatd_.wait_for([](const Status& now) { return test::server(test::service(now, "web"), "backup").health == "up"; },
                     milliseconds{60'000});
    wait_served(lab, 443, "primary", name());
  }
  void move(bool to_backup) override {
    lab_.must(Host::gateway,
              fmt::format("{} --socket {} force-{} web", test::hanatctl_program(), hanatd_.socket(), to_backup ? "backup" : "primary"));
  }

private:
  static std::string config(bool tuned, bool http) {
    return fmt::format("[service.web]\nlisten = \"203.0.113.10:443/tcp\"\nprimary = \"198.18.11.2:{0}\"\nbackup = \"198.18.12.2:{0}\"\n"
                       "probe = {{ type = \"{1}\"{2} }}\n{3}",
                       server_port, http ? "http" : "tcp",
                       tuned ? R"(, interval = "100ms", timeout = "100ms", fast_interval = "20ms")" : "",
                       tuned ? "down = { fails = 2, within = \"10s\" }\n" : "");
  }
  Lab& lab_;
  test::Hanatd hanatd_;
};

/// The backup is the sorry server: IPVS has no other that takes over only when the first is gone.
class Keepalived final : public Balancer {
public:
  Keepalived(Lab& lab, bool tuned, bool http)
      : lab_(lab), directory_((std::filesystem::temp_directory_path() / "hanat-ipvs-XXXXXX").string()) {
    if (mkdtemp(directory_.data()) == nullptr) throw std::system_error(errno, std::generic_category(), "mkdtemp");
    if (tuned) lab.sysctl(Host::gateway, "net.ipv4.vs.expire_nodest_conn", "1");
    std::ofstream{directory_ + "/keepalived.conf"} << config(tuned, http);
    process_.emplace(lab.spawn(Host::gateway, {"keepalived", "--dont-fork", "--check", "--use-file", directory_ + "/keepalived.conf",
                                               "--pid", directory_ + "/pid", "--checkers_pid", directory_ + "/checkers"}));
  }
  ~Keepalived() override {
    process_.reset();
    std::filesystem::remove_all(directory_);
  }
  std::string_view name() const override { return "keepalived"; }
  void wait_until_up(Lab& lab) override { wait_served(lab, 443, "primary", name()); }
  /// As an operator does it by hand; keepalived has no order for it.
  void move(bool to_backup) override {
    const char* from = to_backup ? "198.18.11.2" : "198.18.12.2";
    const char* to = to_backup ? "198.18.12.2" : "198.18.11.2";
    lab_.must(Host::gateway, fmt::format("ipvsadm -a -t 203.0.113.10:443 -r {0}:{2} -m && ipvsadm -d -t 203.0.113.10:443 -r {1}:{2}", to,
                                         from, server_port));
  }

private:
  static std::string config(bool tuned, bool http) {
    const std::string patience = tuned ? "connect_timeout 0.1\n    retry 1\n    delay_before_retry 0.02" : "connect_timeout 3";
    return fmt::format(R"(virtual_server 203.0.113.10 443 {{
  delay_loop {0}
  lb_algo rr
  lb_kind NAT
  protocol TCP
  sorry_server 198.18.12.2 {1}
  real_server 198.18.11.2 {1} {{
    {2} {{
    {3}
    {4}
    }}
  }}
}}
)",
                       tuned ? "0.1" : "6", server_port, http ? "HTTP_GET" : "TCP_CHECK",
                       http ? "url {\n      path /\n      status_code 200\n    }" : "", patience);
  }
  Lab& lab_;
  std::string directory_;
  std::optional<test::Process> process_;
};

struct Case {
  Incident incident;
  bool http;
};
constexpr std::array cases{Case{Incident::killed, false}, Case{Incident::link_cut, false}, Case{Incident::silent, false},
                           Case{Incident::hanging, true}};

std::unique_ptr<Balancer> make(bool hanat, Lab& lab, bool tuned, bool http) {
  if (hanat) return std::make_unique<Hanat>(lab, tuned, http);
  return std::make_unique<Keepalived>(lab, tuned, http);
}

Seen see(const Case& what, bool hanat, bool tuned) {
  Lab lab{{.vip_local = true}};
  test::MixedServer primary{lab, Host::primary, server_port, "primary"};
  const test::MixedServer backup{lab, Host::backup, server_port, "backup"};
  const std::unique_ptr<Balancer> gateway = make(hanat, lab, tuned, what.http);
  gateway->wait_until_up(lab);
  return test::meet(
      lab, primary, Lab::vip(443), what.incident, milliseconds{10'000}, [] { return std::nullopt; }, per_second);
}

/// From the order until a client is served by the other server.
std::vector<double> moves(bool hanat, int number) {
  Lab lab{{.vip_local = true}};
  const test::MixedServer primary{lab, Host::primary, server_port, "primary"}, backup{lab, Host::backup, server_port, "backup"};
  const std::unique_ptr<Balancer> gateway = make(hanat, lab, false, false);
  gateway->wait_until_up(lab);
  std::vector<double> times;
  for (int i = 0; i < number; ++i) {
    const bool to_backup = i % 2 == 0;
    const auto began = TestClock::now();
    auto order = std::async(std::launch::async, [&] { gateway->move(to_backup); });
    wait_served(lab, 443, to_backup ? "backup" : "primary", gateway->name());
    times.push_back(Milliseconds{TestClock::now() - began}.count());
    order.get();
    std::this_thread::sleep_for(milliseconds{200});
  }
  return times;
}

void compare(bool small) {
  for (const bool tuned : {false, true})
    for (const Case& what : cases) {
      if (small && what.incident != Incident::killed) continue;
      const Seen ours = see(what, true, tuned), theirs = see(what, false, tuned);
      const auto tell = [&](std::string_view of, const char* unit, double our, double their) {
        print({.what = fmt::format("{}{}: {} (floor: IPVS)", to_text(what.incident), tuned ? ", tuned" : "", of),
               .unit = unit,
               .figure = {.median = our},
               .floor = Figure{.median = their}});
      };
      tell(fmt::format("of {} that fail", ours.load.connects.size()), "", static_cast<double>(ours.failed()),
           static_cast<double>(theirs.failed()));
      tell("slowest answer", "ms", Milliseconds{ours.load.slowest_answer()}.count(), Milliseconds{theirs.load.slowest_answer()}.count());
    }
  const int number = small ? 4 : 20;
  const Figure ours = figure_of(moves(true, number)), theirs = figure_of(moves(false, number));
  print({.what = "moved by order, first client (floor: ipvsadm)",
         .unit = "ms",
         .figure = ours,
         .floor = theirs,
         .ratio = ours.median / theirs.median});
  Rounds rounds{Way::ipvs, Way::hanat, Way::routing};
  const auto connects = [](Path& path) { return path.connects(300); };
  const auto bulk = [](Path& path) { return path.bulk(milliseconds{300}); };
  rounds.measure("short connections (floor: IPVS)", "1/s", small ? 3 : 15, connects, Way::hanat, {});
  rounds.measure("bulk, one stream, (floor: IPVS)", "Gbit/s", small ? 3 : 15, bulk, Way::hanat, {});
}

} // namespace
} // namespace hanat::bench

int main(int argc, char** argv) { return hanat::bench::run(argc, argv, hanat::bench::compare); }
