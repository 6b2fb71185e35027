// A thousand clients that are there when the target changes: TCP connections that wait in silence, and UDP senders that keep sending.
// Not here: new connections (load), single clients (peers).
#pragma once

#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/netns/lab/peers.hpp"

namespace hanat::test {

/// When each of the connections ended by a reset, in that order; those that did not are left out.
std::vector<TestClock::time_point> resets_of(const std::vector<TcpClient>& clients, milliseconds deadline);

/// UDP sockets of one host that each send a datagram every `interval`, in the background.
class UdpCrowd {
public:
  UdpCrowd(Lab& lab, Host host, const Endpoint& to, std::size_t senders, milliseconds interval);
  ~UdpCrowd();
  UdpCrowd(const UdpCrowd&) = delete;
  UdpCrowd& operator=(const UdpCrowd&) = delete;

  /// How many have had an answer of that server.
  std::size_t answered_by(const std::string& server) const;
  /// Ends the sending. When each sender had its first answer of the server; absent: never.
  std::vector<std::optional<TestClock::time_point>> first_answers_of(const std::string& server);

private:
  struct Sender {
    Fd socket;
    std::vector<std::pair<std::string, TestClock::time_point>> first; // answer of each server
  };
  void run(milliseconds interval);
  void read(Sender& sender) const;
  void end();

  mutable std::mutex mutex_;
  std::vector<Sender> senders_;
  std::atomic<bool> ending_ = false;
  std::exception_ptr failure_;
  std::thread thread_;
};

} // namespace hanat::test
