// A TCP server inside a test that does exactly what the test says, one thread a connection, on loopback of the test's own namespace.
// Not here: real servers.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <string>
#include <string_view>
#include <thread>

#include "nat/address.hpp"

namespace hanat::test {

/// One connection, seen from the server. Every call ends early when the server is destroyed or the client is gone.
class Client {
public:
  Client(int fd, const Address& peer, const std::atomic<bool>& over) : fd_(fd), peer_(peer), over_(over) {}
  /// False: the client does not read any more.
  bool send(std::string_view bytes);
  /// Up to the empty line of an HTTP request; false: the client left.
  bool read_request(std::string* text = nullptr);
  /// Until the client leaves: true when it left with RST.
  bool read_to_reset();
  void hold(std::chrono::milliseconds time = std::chrono::minutes{10});
  void leave_by_reset(); // when the script ends
  const Address& peer() const { return peer_; }

private:
  int fd_;
  Address peer_;
  const std::atomic<bool>& over_;
};

class ScriptedServer {
public:
  using Serve = std::function<void(Client&)>;
  explicit ScriptedServer(Serve serve, std::string_view address = "127.0.0.1");
  ~ScriptedServer();
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  Endpoint endpoint() const { return endpoint_; }
  unsigned connections() const { return connections_; }
  unsigned peak() const { return peak_; } // at the same time

private:
  void accept_all();
  void serve_one(int fd, const Address& peer);

  Serve serve_;
  Endpoint endpoint_;
  int listener_ = -1;
  std::atomic<bool> over_ = false;
  std::atomic<unsigned> connections_ = 0, open_ = 0, peak_ = 0;
  std::list<std::thread> threads_;
  std::thread acceptor_;
};

/// Runs a shell command in the calling thread's namespace; throws with the command when it fails.
void shell(const std::string& command);

} // namespace hanat::test
