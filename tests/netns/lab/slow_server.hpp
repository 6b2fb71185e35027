// A server that is alive and slow: it answers each connection after a time, or stands still for a moment now and then, as one does whose
// memory is being tidied. Answers a line with its name, and an HTTP request with 200; each connection once. Not here: servers that answer
// at once (peers).
#pragma once

#include <atomic>
#include <string>
#include <thread>

#include "tests/netns/lab/peers.hpp"

namespace hanat::test {

class SlowServer {
public:
  SlowServer(Lab& lab, Host host, std::uint16_t port, std::string name);
  ~SlowServer();
  SlowServer(const SlowServer&) = delete;
  SlowServer& operator=(const SlowServer&) = delete;

  /// From now on each connection is answered so long after it was made.
  void delay(milliseconds time) { delay_ms_ = time.count(); }
  /// All of it stands still for so long, once in each `every`; zero: never.
  void pause(milliseconds time, milliseconds every);

private:
  void serve();

  std::string name_;
  std::atomic<std::int64_t> delay_ms_ = 0, pause_ms_ = 0, every_ms_ = 0;
  std::atomic<bool> ending_ = false;
  Fd listener_;
  std::thread thread_;
};

} // namespace hanat::test
