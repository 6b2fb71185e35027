// Connections that are there when a gateway dies, of four kinds, and an account of which of them carry on: TCP that asks and is answered
// all the time, TCP that waits in silence, TCP on which only the server speaks, and UDP. Not here: new connections (load).
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <iosfwd>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <fmt/ostream.h>

#include "tests/netns/lab/peers.hpp"

namespace hanat::test {

/// Sends the time as a line to each of its connections every interval, and never reads.
class PushServer {
public:
  PushServer(Lab& lab, Host host, std::uint16_t port, milliseconds interval = milliseconds{20});
  ~PushServer();
  PushServer(const PushServer&) = delete;
  PushServer& operator=(const PushServer&) = delete;

private:
  void serve(milliseconds interval);

  Fd listener_;
  std::atomic<bool> ending_ = false;
  std::thread thread_;
};

struct FlowPlan {
  std::size_t busy = 100, idle = 300, push = 10, udp = 20;
  milliseconds busy_interval{100}; // between two requests of one flow; a request waits for the answer to the one before
  milliseconds udp_interval{20};
};

/// Where the flows go: a TcpServer, a PushServer and a UdpServer.
struct FlowTargets {
  Endpoint lines, push, udp;
};

struct FlowEnds {
  std::size_t reset = 0; // or closed
  std::size_t hung = 0;  // nothing came until the deadline
  std::size_t broken() const { return reset + hung; }
  bool operator==(const FlowEnds&) const = default;
};

struct FlowReport {
  FlowEnds busy, idle, push, udp;
  std::chrono::nanoseconds udp_silence{}; // the longest time between two answers of one UDP flow
  std::map<std::string, std::size_t> by;  // flows by the server that answered last
  std::chrono::nanoseconds took{};        // until the last of those that carry on did so
  std::size_t broken() const { return busy.broken() + idle.broken() + push.broken() + udp.broken(); }
};
/// "busy 0 reset 0 hung, idle ..., UDP silent for 120 ms at the most"
std::ostream& operator<<(std::ostream& stream, const FlowReport& report);

class Flows {
public:
  /// Opens all of them and waits until they carry something (idle ones: until they are connected). Throws when that fails.
  Flows(Lab& lab, Host host, const FlowTargets& to, FlowPlan plan = {});
  ~Flows();
  Flows(const Flows&) = delete;
  Flows& operator=(const Flows&) = delete;

  /// Every flow, idle ones too, has to carry something that began after this call; those that do not until the deadline are hung.
  FlowReport check(milliseconds deadline = milliseconds{8000});

private:
  enum class Kind : std::uint8_t { busy, idle, push, udp };
  struct Flow {
    Kind kind;
    Fd socket;
    bool waits = false, ended = false;
    TestClock::time_point asked{}, carried{}, heard{}; // carried: when the last thing that came through had begun
    std::string rest, by = {};
  };
  void open(const Endpoint& to, Kind kind, std::size_t number);
  std::size_t wait_until_they_carry() const;
  void run(const FlowTargets& to);
  void send_due(TestClock::time_point now);
  void ask(Flow& flow);
  void read(Flow& flow);
  void take(Flow& flow, const std::string& text);
  bool all_carried(TestClock::time_point since) const;
  FlowReport report(TestClock::time_point since) const;
  void end();

  FlowPlan plan_;
  mutable std::mutex mutex_;
  std::vector<Flow> flows_;
  std::vector<std::size_t> busy_, udp_, idle_; // indices
  std::size_t next_busy_ = 0, next_udp_ = 0, next_idle_ = 0;
  TestClock::time_point busy_due_{}, udp_due_{};
  std::chrono::nanoseconds udp_silence_{};
  Fd epoll_;
  bool opened_ = false;
  std::atomic<bool> ending_ = false;
  std::exception_ptr failure_;
  std::thread thread_;
};

} // namespace hanat::test

template <> struct fmt::formatter<hanat::test::FlowReport> : fmt::ostream_formatter {};
