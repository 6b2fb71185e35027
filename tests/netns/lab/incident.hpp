// What can happen to a server under load, and what its clients saw of it: the same for every way in which a gateway finds it out.
// Not here: the gateway (hanatd, HAProxy).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "tests/netns/lab/load.hpp"

namespace hanat::test {

enum class Incident : std::uint8_t {
  killed,   // the process dies: its kernel refuses
  hanging,  // the process is stopped: its kernel still accepts
  link_cut, // the server's end of the cable: the gateway loses the carrier
  silent,   // the machine drops every packet
  sick,     // the service answers 500
};
std::string_view to_text(Incident incident);

/// Answers a line with its name, and an HTTP request with a status.
class MixedServer : public StreamServer {
public:
  MixedServer(Lab& lab, Host host, std::uint16_t port, const std::string& name);
  void status(int code) { *status_ = code; }

private:
  MixedServer(Lab& lab, Host host, std::uint16_t port, const std::string& name, std::shared_ptr<std::atomic<int>> status);
  std::shared_ptr<std::atomic<int>> status_;
};

/// A gateway's own word on when it knew; nullopt: it never did.
using Verdict = std::function<std::optional<TestClock::time_point>()>;

struct Seen {
  LoadResult load;
  TestClock::time_point began;                    // of the incident
  std::optional<TestClock::time_point> verdict;   // of the gateway
  std::optional<TestClock::time_point> recovered; // the first connection, begun after the incident, that met the backup: when it stood
  std::size_t failed() const { return load.failed(); }
  /// The longest way to an established connection of those that began after the incident (or met it); failed ones are not in it.
  std::chrono::nanoseconds slowest_connect() const { return load.slowest_connect(); }
};

/// So many new connections a second to `vip`; after 0.5 s it happens to the primary; after `span` more it is undone.
Seen meet(Lab& lab, MixedServer& primary, const Endpoint& vip, Incident incident, milliseconds span, const Verdict& verdict,
          unsigned per_second = 1'000);

} // namespace hanat::test
