// What the kernel tells without being asked: a client was refused, a cable was pulled, a route went. A signal never judges a server: it
// makes the daemon ask now. Not here: how each source hears it (client_log, ways), what is asked then (daemon).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <uv.h>

#include "nat/address.hpp"

namespace hanat::probes {

enum class SignalKind : std::uint8_t {
  refused,          // a server's RST to a real client
  unanswered,       // a client sent its SYN again
  unreachable,      // ICMP from the path
  carrier_lost,     // the interface by which the way leaves lost its carrier, was set down or is gone
  route_gone,       // no route any more, or another one
  address_gone,     // our own address on the way
  neighbour_failed, // the server, or the gateway before it, does not answer ARP or neighbour discovery
};
std::string_view to_text(SignalKind kind);

/// `server` with port 0 means every port of that address. At least one of `server` and `vip` is there.
struct Signal {
  SignalKind kind = SignalKind::refused;
  std::optional<Endpoint> server = std::nullopt;
  std::optional<Vip> vip = std::nullopt;
  std::string detail = {}; // an interface's name, who sent the ICMP message: short, printable
  bool operator==(const Signal&) const = default;
};

/// Called on the loop, never from inside a function that was called. It may add and remove ways; it must not destroy its source.
using OnSignal = std::function<void(const Signal&)>;

class ClientLog;
class Ways;

/// All sources on one loop.
class Signals {
public:
  struct Options {
    std::uint32_t mark = 0;                         // of the probes' packets, for policy routing
    std::size_t ways_buffer = std::size_t{1} << 20; // receive buffers, in bytes
    std::size_t clients_buffer = std::size_t{1} << 18;
  };
  /// Throws std::system_error where the routes cannot be watched. Without the clients' log it works on: see client_log_failure().
  Signals(uv_loop_t* loop, OnSignal on_signal, Options options);
  Signals(uv_loop_t* loop, OnSignal on_signal);
  ~Signals(); // the loop must run once more to close handles
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  /// The ways to servers: watched from add() to remove().
  Ways& ways() { return *ways_; }
  /// Why no client is heard ("somebody else reads the log group"), or nullopt.
  const std::optional<std::string>& client_log_failure() const { return client_log_failure_; }

private:
  std::unique_ptr<Ways> ways_;
  std::unique_ptr<ClientLog> client_log_;
  std::optional<std::string> client_log_failure_;
};

} // namespace hanat::probes
