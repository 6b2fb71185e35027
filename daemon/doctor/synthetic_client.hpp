// hanatd's own client: opens flows to virtual endpoints the way that real clients come, and says what became of each. TCP: a SYN, which is
// reset behind the SYN-ACK, so that no server has to accept it; UDP: a probe's payload. Blocking: for a worker thread.
// Not here: what a result means (host_checks, doctor).
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "daemon/doctor/client_link.hpp"
#include "daemon/doctor/client_packet.hpp"
#include "nat/address.hpp"
#include "nat/clock.hpp"
#include "nat/fd.hpp"

namespace hanat {

/// Who hanatd's own clients are: servers see these addresses unless the service has its source translated. 198.18.0.0/15 is for tests of
/// networks (RFC 2544), fd68:616e:6174::/48 is a unique local prefix; nobody else on a network should have them. A hanatd whose table has
/// another name than "hanat" has others, so that several may run beside each other.
struct ClientAddresses {
  Address ipv4, ipv6;
  const Address& of(Family family) const { return family == Family::ipv4 ? ipv4 : ipv6; }
};
ClientAddresses doctor_client(const std::string& table);     // 198.19.255.253, fd68:616e:6174::fd; otherwise 198.19.0-254.253
ClientAddresses path_check_client(const std::string& table); // 198.19.255.254, fd68:616e:6174::fe
/// Of this hanatd or another one.
bool is_own_client(const Address& address);

struct ClientFlow {
  Vip vip;             // of a range: its first port is tried
  std::string payload; // of UDP
};

enum class FlowOutcome : std::uint8_t {
  answered,
  refused,     // a reset, or a port unreachable of the server or the gateway
  unreachable, // another ICMP error
  silent,
  not_sent, // this machine has no such family, or no payload is known for UDP
};
struct FlowResult {
  FlowOutcome outcome = FlowOutcome::silent;
  Clock::duration latency{};        // from the first packet
  Endpoint client;                  // that it came from
  std::optional<ClientReply> error; // of refused and unreachable, where it was ICMP
  // TCP, when the packets were watched: by which interfaces the SYN left and the reply came back; empty: it was not seen
  std::string left_by, back_by;
};

class SyntheticClient {
public:
  /// Makes the veth pair. Throws std::system_error.
  SyntheticClient(const std::string& table, const ClientAddresses& addresses);

  struct Options {
    Clock::duration spacing{};                               // between first packets
    Clock::duration retry = std::chrono::milliseconds{400};  // one more try of who got no reply: a first refusal may be held
    Clock::duration wait = std::chrono::milliseconds{1'000}; // for a reply
    bool watch = false;                                      // follow TCP through this machine's interfaces
  };
  /// One result per flow, in their order. Returns early when cancelled.
  std::vector<FlowResult> run(std::span<const ClientFlow> flows, const Options& options, const std::atomic<bool>& cancelled);
  /// Whether the server answers a ping of the client: then packets get there and back, whatever became of others.
  bool pings(const Address& server, Clock::duration wait);

  const std::string& interface() const { return link_.inner(); }

private:
  struct Run;
  void send(Family family, const Packet& packet) const;
  void receive(Run& run);
  void follow(Run& run, int socket) const;
  Clock::time_point advance(Run& run, Clock::time_point now) const;
  void take(Run& run, const ClientReply& reply, Clock::time_point now) const;

  ClientAddresses addresses_;
  ClientLink link_;
  Fd socket_;
};

} // namespace hanat
