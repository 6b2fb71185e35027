// Two gateways in one Lab: hanatd on the gateway, and another one on the bystander, which reaches the same servers through the gateway. The
// test gives and takes the pair's address. Not here: what is tested (peer_*_test), keepalived and conntrackd.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::test {

class TwoGateways : public testing::Test {
protected:
  static constexpr std::string_view shared = "203.0.113.99";
  static constexpr std::uint16_t port = 9718;
  static std::string first_at() { return to_text(Endpoint{Lab::gateway_address(Host::bystander), port}); }
  static std::string second_at() { return to_text(Endpoint{Lab::address(Host::bystander), port}); }

  /// [pair] of one of the two. `how`: the keys of TLS, or insecure_peer.
  static std::string pair_of(Host gateway, const std::string& how = "insecure_peer = true") {
    const bool first = gateway == Host::gateway;
    return fmt::format("[pair]\naddress = \"{}\"\nsettle = \"0s\"\nlisten = \"{}\"\npeer = \"{}\"\n{}\n", shared,
                       first ? first_at() : second_at(), first ? second_at() : first_at(), how);
  }
  static HanatdOptions on(Host host) { return {.host = host}; }
  void begin_first(const std::string& services = fast_service(), const std::string& how = "insecure_peer = true") {
    first.emplace(lab, pair_of(Host::gateway, how) + services);
  }
  void begin_second(const std::string& services = fast_service(), const std::string& how = "insecure_peer = true") {
    lab.sysctl(Host::bystander, "net.ipv4.ip_forward", "1"); // a gateway, too
    second.emplace(lab, pair_of(Host::bystander, how) + services, on(Host::bystander));
  }
  /// Both run, the first one is active, both know each other and all servers.
  void begin(const std::string& services = fast_service(), const std::string& how = "insecure_peer = true") {
    give(Host::gateway);
    begin_first(services, how);
    begin_second(services, how);
    first->wait_for(settled);
    second->wait_for(settled);
  }
  /// The address of the pair: whoever has it is active.
  void give(Host host) { lab.must(host, fmt::format("ip addr add {}/32 dev lo", shared)); }
  void take(Host host) { lab.must(host, fmt::format("ip addr del {}/32 dev lo", shared)); }
  /// Between the two, and nothing else.
  void cut_link(bool cut) {
    lab.must(
        Host::bystander,
        cut ? fmt::format("nft 'add table inet cut; add chain inet cut in {{ type filter hook input priority 0; }}; add chain inet cut "
                          "out {{ type filter hook output priority 0; }}; add rule inet cut in tcp dport {0} drop; add rule inet cut in "
                          "tcp sport {0} drop; add rule inet cut out tcp dport {0} drop; add rule inet cut out tcp sport {0} drop'",
                          port)
            : "nft delete table inet cut");
  }

  static bool seen(const Status& now) {
    const auto& pair = now.daemon.pair;
    return pair && pair->peer && !is_lost(*pair->peer) && pair->peer->role.has_value();
  }
  static std::string role(const Status& now) { return now.daemon.pair ? now.daemon.pair->role : "none"; }
  static std::string peer_role(const Status& now) { return seen(now) ? now.daemon.pair->peer->role.value_or("") : ""; }
  /// The other one answers, agrees, and every server has been judged.
  static bool settled(const Status& now) {
    if (!seen(now) || !now.daemon.pair->peer->agrees) return false;
    for (const ServiceStatus& one : now.services)
      for (const ServerStatus& server : one.servers)
        if (server.health == "unknown") return false;
    return true;
  }

  Lab lab{{.bystander = true}};
  TcpServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};
  std::optional<Hanatd> first, second;
};

} // namespace hanat::test
