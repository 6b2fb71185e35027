// A thousand flows that are none of a service's business live through a thousand of its transitions: TCP and UDP of both families, of other
// services, of the operator's own NAT on the service's address and on others, to the service's own servers, and flows that a server began.
// Not here: flows of the services that move (matrix, fire), one service that flips as fast as it can (fire_bystanders).
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/netns/daemon/failover/fire.hpp"

namespace hanat::test {
namespace {

using std::chrono::seconds;

/// One flow: TCP or UDP, and who has to answer it.
class Bystander {
public:
  Bystander(Lab& lab, Protocol protocol, const Endpoint& to, std::string answer, std::uint16_t source_port = 0)
      : answer_(std::move(answer)) {
    if (protocol == Protocol::tcp)
      tcp_.emplace(lab, Host::client, to);
    else
      udp_.emplace(lab, Host::client, to, source_port);
  }
  bool lives() { return (tcp_ ? tcp_->ask(seconds{2}) : ask_udp()).text == answer_; }
  const std::string& answer() const { return answer_; }

private:
  Attempt ask_udp() {
    const Attempt attempt = udp_->ask(seconds{1});
    return attempt.result == Result::timeout ? udp_->ask(seconds{1}) : attempt; // one datagram may be lost on a busy machine
  }
  std::optional<TcpClient> tcp_;
  std::optional<UdpClient> udp_;
  std::string answer_;
};

class Bystanders : public Fire {
protected:
  static constexpr unsigned services = 50;     // that move
  static constexpr unsigned moves = 20;        // of all of them
  static constexpr std::size_t per_kind = 100; // flows: five kinds, of each family

  /// Those that move, and one that does not.
  static std::string config() {
    std::string text = "[defaults]\nup = { passes = 2, stable_for = \"100ms\" }\nprimary = [\"198.18.11.2:8443\", \"[fd00:11::2]:8443\"]\n"
                       "backup = [\"198.18.12.2:8443\", \"[fd00:12::2]:8443\"]\n"
                       "probe = { type = \"tcp\", port = 8443, interval = \"100ms\", fast_interval = \"20ms\" }\n";
    for (unsigned i = 1; i <= services; ++i)
      text += fmt::format("[service.s{0}]\nlisten = [\"203.0.113.10:{0}/tcp\", \"203.0.113.10:{0}/udp\", \"[2001:db8::10]:{0}/tcp\", "
                          "\"[2001:db8::10]:{0}/udp\"]\n",
                          i);
    return text + "[service.other]\nlisten = [\"203.0.113.11:900/tcp\", \"203.0.113.11:900/udp\", \"[2001:db8::11]:900/tcp\", "
                  "\"[2001:db8::11]:900/udp\"]\n";
  }
  /// The operator's own: a forwarding on the moving services' address and on another one, and sources of servers behind the latter.
  void operators_rules() {
    lab.must(Host::gateway, "nft -f - <<'END'\ntable inet operators {\n  chain pre {\n    type nat hook prerouting priority -100;\n"
                            "    ip daddr { 203.0.113.10, 203.0.113.11 } tcp dport 7000 dnat ip to 198.18.11.2:7000\n"
                            "    ip6 daddr { 2001:db8::10, 2001:db8::11 } tcp dport 7000 dnat ip6 to [fd00:11::2]:7000\n"
                            "    ip daddr { 203.0.113.10, 203.0.113.11 } udp dport 7000 dnat ip to 198.18.11.2:7000\n"
                            "    ip6 daddr { 2001:db8::10, 2001:db8::11 } udp dport 7000 dnat ip6 to [fd00:11::2]:7000\n  }\n"
                            "  chain post {\n    type nat hook postrouting priority 100;\n"
                            "    ip saddr 198.18.11.2 udp sport 7000 oifname \"to-client\" snat ip to 203.0.113.11\n"
                            "    ip6 saddr fd00:11::2 udp sport 7000 oifname \"to-client\" snat ip6 to 2001:db8::11\n  }\n}\nEND");
  }
  void add(Family family) {
    const auto at = [family](const char* v4, const char* v6, std::uint16_t port) {
      return Endpoint{.address = Address::parse(family == Family::ipv4 ? v4 : v6).value(), .port = port};
    };
    const auto vip = at("203.0.113.10", "2001:db8::10", 7000);
    const auto other_vip = at("203.0.113.11", "2001:db8::11", 7000);
    for (std::size_t i = 0; i < per_kind; ++i) {
      const Protocol protocol = i % 2 == 0 ? Protocol::tcp : Protocol::udp;
      all.emplace_back(lab, protocol, at("203.0.113.11", "2001:db8::11", 900), "primary");
      all.emplace_back(lab, protocol, vip, "forwarded");
      all.emplace_back(lab, protocol, Lab::endpoint(Host::primary, 8443, family), "primary"); // the services' own server, asked directly
      all.emplace_back(lab, protocol, Lab::endpoint(Host::backup, 8443, family), "backup");
      // A server sends first: its entry has the other direction. The ports are below those of clients.
      const auto client = static_cast<std::uint16_t>((family == Family::ipv4 ? 5'000U : 6'000U) + i);
      all.emplace_back(lab, Protocol::udp, other_vip, "forwarded", client);
      forwarded_udp.send(Lab::endpoint(Host::client, client, family), "a push");
    }
  }
  std::size_t broken() {
    return static_cast<std::size_t>(std::ranges::count_if(all, [](Bystander& one) { return !one.lives(); }));
  }

  TcpServer forwarded_tcp{lab, Host::primary, 7000, "forwarded"};
  UdpServer forwarded_udp{lab, Host::primary, 7000, "forwarded"};
  UdpServer udp_primary{lab, Host::primary, 8443, "primary"}, udp_backup{lab, Host::backup, 8443, "backup"};
  std::vector<Bystander> all;
};

TEST_F(Bystanders, AThousandOfEveryKindOutliveAThousandTransitions) {
  operators_rules();
  Hanatd hanatd{lab, config(), {.state = folder.path}};
  const auto all_at = [](const char* role) {
    return [role](const Status& now) {
      return std::ranges::all_of(now.services, [&](const ServiceStatus& one) {
        return one.target == role && std::ranges::all_of(one.servers, [](const ServerStatus& server) { return server.health == "up"; });
      });
    };
  };
  hanatd.wait_for(all_at("primary"), seconds{10});
  // Something to cut. (Load also raises the limit of descriptors, which the bystanders need.)
  Load load{lab, Host::client, Lab::vip(1), {.per_second = 100, .duration = std::chrono::hours{1}}};
  UdpStream stream{lab, Host::client, Lab::vip(2), milliseconds{5}};
  for (const Family family : {Family::ipv4, Family::ipv6}) add(family);
  ASSERT_EQ(all.size(), 1'000U);
  ASSERT_EQ(broken(), 0U) << "before anything moved";
  const auto began = TestClock::now();
  std::size_t asked = 0, lost = 0;
  for (unsigned move = 1; move <= moves; ++move) {
    for (unsigned number = 1; number <= services; ++number) flip(hanatd, move % 2 == 1 ? "backup" : "primary", fmt::format("s{}", number));
    for (std::size_t part = 0; part < all.size() / 4; ++part, ++asked) lost += all[asked % all.size()].lives() ? 0U : 1U;
  }
  std::this_thread::sleep_for(milliseconds{2500}); // the last TCP flows are cut and swept
  lost += broken();
  const std::chrono::duration<double> took = TestClock::now() - began;
  const Status status = hanatd.status();
  std::uint64_t transitions = 0;
  for (const ServiceStatus& one : status.services) transitions += one.flips;
  fmt::print("{} transitions in {:.1f} s beside {} flows: {} broken; load {}\n", transitions, took.count(), all.size(), lost, load.stop());
  EXPECT_EQ(transitions, services * moves);
  EXPECT_EQ(service(status, "other").flips, 0U);
  EXPECT_EQ(lost, 0U);
}

} // namespace
} // namespace hanat::test
