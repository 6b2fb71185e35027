// A small network on this machine: client, gateway, servers, each in a network namespace of its own without a name. The namespaces are held
// by descriptors and threads alone, so every end of the test, kill -9 too, removes them, their links, rules and processes.
// Not here: what runs in it (peers, hanatd).
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "nat/address.hpp"
#include "tests/netns/lab/fd.hpp"
#include "tests/netns/lab/process.hpp"

namespace hanat::test {

enum class Host : std::uint8_t { gateway, client, bystander, primary, backup, backup2, gateway_b };
std::string_view to_text(Host host);

struct LabOptions {
  bool bystander = false;    // a second client
  bool backup2 = false;      // a third server
  bool vip_local = false;    // the VIPs are addresses of the gateway; false: clients route them through the gateway, which has them not
  bool return_routes = true; // servers answer clients through the gateway; false: they know their own link only (SNAT is needed)
  std::optional<bool> tcp_loose = std::nullopt; // nf_conntrack_tcp_loose on the gateway
  std::vector<std::string> vips = {"203.0.113.10", "203.0.113.11", "2001:db8::10", "2001:db8::11"};
  bool pair = false; // a second gateway, and no link: a PairLab lays others
};

/// A network namespace and a thread in it that keeps it alive and starts programs.
class Namespace {
public:
  Namespace();
  ~Namespace();
  Namespace(const Namespace&) = delete;
  Namespace& operator=(const Namespace&) = delete;

  int fd() const;
  std::string path() const; // for ip(8): "netns PATH"
  /// Runs `body` on a new thread in the namespace, waits, and throws on what it throws.
  void enter(const std::function<void()>& body) const;
  /// The same on the thread that lives as long as the namespace: what it starts lives as long.
  void on_keeper(const std::function<void()>& body);

private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The links are gateway - each other host: on the gateway "to-client", "to-primary", ...; on the host "eth0".
class Lab {
public:
  explicit Lab(LabOptions options = {});
  ~Lab();
  Lab(const Lab&) = delete;
  Lab& operator=(const Lab&) = delete;

  /// A host's address on its link: 198.18.N.2 or fd00:N::2.
  static Address address(Host host, Family family = Family::ipv4);
  /// The gateway's address on the link to a host: 198.18.N.1 or fd00:N::1.
  static Address gateway_address(Host link, Family family = Family::ipv4);
  static Endpoint endpoint(Host host, std::uint16_t port, Family family = Family::ipv4) { return {address(host, family), port}; }
  /// 203.0.113.10 or 2001:db8::10, with a port.
  static Endpoint vip(std::uint16_t port, Family family = Family::ipv4);

  /// Runs `body` on a thread inside the host's namespace; returns or throws what it does.
  template <typename Body> std::invoke_result_t<Body> in(Host host, Body&& body) {
    using Result = std::invoke_result_t<Body>;
    if constexpr (std::is_void_v<Result>) {
      place(host).enter(std::forward<Body>(body));
    } else {
      std::optional<Result> result;
      place(host).enter([&] { result.emplace(body()); });
      return std::move(*result);
    }
  }
  /// socket() inside the host's namespace: it stays there, whoever uses it. Close-on-exec.
  Fd socket(Host host, int family, int type);

  /// Starts a program on the host; it ends at the latest with the Lab. out, err: descriptors, -1: /dev/null.
  [[nodiscard]] Process spawn(Host host, const std::vector<std::string>& argv, int out = -1, int err = -1);
  /// Runs a command line with sh on the host.
  Output run(Host host, const std::string& command, std::chrono::milliseconds deadline = std::chrono::seconds{20});
  /// The same without a shell, with a text as stdin.
  Output run(Host host, const std::vector<std::string>& argv, const std::string& input,
             std::chrono::milliseconds deadline = std::chrono::seconds{20});
  /// run(), and throws std::runtime_error with what it said unless it exits with 0. Returns stdout.
  std::string must(Host host, const std::string& command);

  /// "net.ipv4.ip_forward"
  void sysctl(Host host, const std::string& name, const std::string& value);
  std::string sysctl(Host host, const std::string& name);

  /// Takes a host's own end of its link down (the gateway loses the carrier) or up again, with addresses and routes as before.
  void link(Host host, bool up);
  /// A silent host drops every packet, in and out, and still answers ARP: the machine hangs, the cable does not.
  void silent(Host host, bool on);

  Namespace& place(Host host);

private:
  void wire();
  void set_sysctls(Host host);

  LabOptions options_;
  std::array<std::unique_ptr<Namespace>, 7> places_;
};

} // namespace hanat::test
