// A Lab with two gateways: the addresses of the service and of the servers' router move between them by keepalived, and conntrackd copies
// the connections, both as Debian packages them, with the configurations of packaging/examples/pair. Only names and addresses differ.
//
//   client --- eth0 gateway   eth1 --- primary      one bridge for each of the nets of clients, of servers, and between the gateways (eth2)
//           \- eth0 gateway_b eth1 -/- backup
//
// The servers' addresses are the Lab's; their net is 198.18.8.0/21 and fd00:10::/28. Not here: connections (flows, load).
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "tests/netns/lab/flows.hpp"
#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/machine.hpp"

namespace hanat::test {

enum class PairMode : std::uint8_t { inject, ftfw };

struct PairOptions {
  PairMode mode = PairMode::inject;
  Family family = Family::ipv4;
  std::string snat = "none"; // "fixed": the router's address, which moves with the others
  bool paired = true;        // false: no [pair], each hanatd by itself
  std::string more = {};     // lines of the service
};

class PairLab : public Lab {
public:
  explicit PairLab(PairOptions options = {});
  ~PairLab();

  /// Both gateways with everything; A (Host::gateway) is active, and B has taken up its work as the standby.
  void start();
  /// One gateway, as after a boot: hanatd, conntrackd, keepalived.
  void start(Host gateway);
  /// The power fails: its cables are dead, then all its processes are killed. Returns the moment before.
  TestClock::time_point kill(Host gateway);

  void start_keepalived(Host gateway);
  void stop_keepalived(Host gateway); // as `systemctl stop` does
  void start_conntrackd(Host gateway);
  void kill_conntrackd(Host gateway);
  /// It does nothing until it is thawed.
  void freeze_conntrackd(Host gateway, bool on);
  /// One of a gateway's cables, by the name of its interface.
  void plug(Host gateway, const std::string& interface, bool in);

  bool has_address(Host gateway);
  /// Until the gateway has the service's address.
  void wait_active(Host gateway, milliseconds deadline = milliseconds{10'000});
  /// Until the gateway's notify script is through with the role, "master" or "backup".
  void wait_notified(Host gateway, const std::string& role, milliseconds deadline = milliseconds{10'000});
  /// Until the standby has copies of that many connections.
  void wait_copied(Host standby, std::size_t number, milliseconds deadline = milliseconds{30'000});
  std::size_t copies(Host standby);

  Hanatd& hanatd(Host gateway);
  Machine& machine(Host gateway);
  /// Of both: what the daemons wrote. For messages of failed tests.
  std::string logs();

  /// The gateways tell each other what they know.
  bool linked() const;
  /// The service "web": lines of text, pushes of the server, datagrams.
  FlowTargets targets() const;

private:
  struct Side;
  Side& at(Host gateway);
  void wire();
  void set_sysctls(Host gateway);
  void make_certificates();
  std::string example(const std::string& name, Host gateway) const;
  std::string hanat_toml(Host gateway) const;

  PairOptions options_;
  Namespace wires_;
  std::map<Host, std::unique_ptr<Side>> gateways_;
};

/// Two servers for the PairLab's service, on the primary and on the backup.
struct PairServers {
  explicit PairServers(PairLab& lab);
  TcpServer primary, backup;
  PushServer primary_push, backup_push;
  UdpServer primary_udp, backup_udp;
};

/// What a gateway does to the service's TCP connections: packets that it sends in the service's name, entries that go, since this was made.
class Meddling {
public:
  Meddling(PairLab& lab, Host gateway);
  std::size_t forged();
  std::size_t deleted();

private:
  PairLab& lab_;
  Host gateway_;
  std::optional<Process> listener_;
};

/// The gateway, and nobody else, takes the primary for down, for that long; returns when it has seen that it is up.
void misjudge(PairLab& lab, Host gateway, milliseconds time);

} // namespace hanat::test
