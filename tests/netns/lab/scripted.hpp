// A TCP server whose behaviour a test scripts, one thread per connection, on loopback of the test's own namespace; folders, certificates
// and shell commands for real servers. Not here: UDP and raw sockets (the tests that need them).
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <list>
#include <string>
#include <string_view>
#include <thread>

#include "nat/address.hpp"

namespace hanat::test {

/// One connection, seen from the server. Every call returns early when the server is destroyed or the client is gone.
class Client {
public:
  Client(int fd, const Address& peer, const std::atomic<bool>& stopping) : fd_(fd), peer_(peer), stopping_(stopping) {}
  /// False: the client closed the connection.
  bool send(std::string_view bytes);
  /// Up to the empty line of an HTTP request; false: the client closed the connection.
  bool read_request(std::string* text = nullptr);
  /// Until the client closes the connection; true: with RST.
  bool read_until_reset();
  void hold(std::chrono::milliseconds time = std::chrono::minutes{10});
  void close_with_reset(); // when the script ends
  const Address& peer() const { return peer_; }

private:
  int fd_;
  Address peer_;
  const std::atomic<bool>& stopping_;
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
  unsigned peak() const { return peak_; } // of connections at once

private:
  void accept_all();
  void serve_one(int fd, const Address& peer);

  Serve serve_;
  Endpoint endpoint_;
  int listener_ = -1;
  std::atomic<bool> stopping_ = false;
  std::atomic<unsigned> connections_ = 0, open_ = 0, peak_ = 0;
  std::list<std::thread> threads_;
  std::thread acceptor_;
};

/// A new folder, deleted with its contents at the end.
class TempFolder {
public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::string file(const char* name) const { return (path_ / name).string(); }
  void write(const char* name, const std::string& text) const;
  std::string read(const char* name) const;

private:
  std::filesystem::path path_;
};

/// Makes NAME.crt and NAME.key in the folder: self-signed, for web.example and 127.0.0.1. `validity`: options of `openssl ca`.
void make_certificate(const TempFolder& folder, const std::string& name, const std::string& validity);

/// Runs a shell command in the calling thread's namespace; throws with the command when it fails.
void shell(const std::string& command);

} // namespace hanat::test
