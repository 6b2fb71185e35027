// SCTP by hand over raw sockets: this kernel translates and tracks SCTP, and speaks it no better than any other bytes. Enough of an
// association for conntrack to follow it: INIT, COOKIE ECHO and HEARTBEAT, each with its answer, which carries the server's name.
// Not here: TCP and UDP (peers).
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

#include "tests/netns/lab/peers.hpp"

namespace hanat::test {

/// Answers on every port.
class SctpServer {
public:
  SctpServer(Lab& lab, Host host, std::string name);
  ~SctpServer();
  /// Its process is dead, and its kernel replies to an INIT with ABORT.
  void refuse(bool on) { refusing_ = on; }
  SctpServer(const SctpServer&) = delete;
  SctpServer& operator=(const SctpServer&) = delete;

private:
  void serve(int socket);

  std::string name_;
  std::atomic<bool> refusing_ = false;
  Fd ipv4_, ipv6_, stop_;
  std::thread thread_;
};

/// One association, with one source port.
class SctpClient {
public:
  SctpClient(Lab& lab, Host host, const Endpoint& to, std::uint16_t source_port);
  /// INIT and COOKIE ECHO with their answers.
  Attempt connect(milliseconds deadline = milliseconds{1000});
  /// A HEARTBEAT and its answer.
  Attempt ask(milliseconds deadline = milliseconds{1000});

private:
  Attempt exchange(std::uint8_t chunk, std::uint8_t answer, TestClock::time_point end);
  bool refused();

  Fd socket_;
  Endpoint to_;
  std::uint16_t port_;
};

} // namespace hanat::test
