// What the model test configures: services with their servers and policies, as plain values, and the file that hanatd reads.
// Not here: how a random edit changes them (edits), what hanatd must make of them (rules).
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "nat/address.hpp"
#include "tests/netns/lab/lab.hpp"

namespace hanat::test::model {

/// A server: a program on one of three machines, by its port.
struct Place {
  unsigned machine = 0;
  std::uint16_t port = 0;
  auto operator<=>(const Place&) const = default;
};
inline constexpr unsigned machines = 3;
inline constexpr std::array<std::uint16_t, 2> app_ports = {8001, 8002};
inline constexpr std::array<Host, machines> hosts = {Host::primary, Host::backup, Host::backup2};

/// "b8002": what the program there answers.
std::string name_of(const Place& place);
/// "198.18.12.2:8002"
std::string address_of(const Place& place);

enum class NoServer : std::uint8_t { refuse, drop, keep };

struct ServiceSpec {
  std::string name;
  std::vector<std::uint16_t> listen; // ports of the one listen address
  std::vector<Place> servers = {};   // the primary first; no two on one machine
  bool asks = false;                 // the probe wants an answer; otherwise a handshake is enough
  unsigned interval_ms = 50, fast_ms = 10, timeout_ms = 250, fails = 3, passes = 2, stable_ms = 100, none_after_ms = 200;
  unsigned penalty_ms = 0;
  bool manual = false; // failback
  NoServer on_none = NoServer::refuse;
  std::string on_failover = "reset", on_forced = "reset";
  bool masquerade = false, observe = false;
  bool udp = false; // beside TCP
  std::string group = {};
  bool operator==(const ServiceSpec&) const = default;

  /// How long its servers may take until hanatd has their new state, however they changed.
  unsigned reaction_ms() const;
};

struct Spec {
  std::vector<ServiceSpec> services;
  unsigned names_given = 0; // for new services and groups
  bool operator==(const Spec&) const = default;

  const ServiceSpec* find(const std::string& name) const;
  /// The indexes of the services that move with this one, itself among them.
  std::vector<std::size_t> together_with(std::size_t service) const;
};

Spec first_spec();
std::string to_toml(const Spec& spec);

} // namespace hanat::test::model
