// A control server with a test's handler, on its own loop and thread, at a socket in a temporary directory; and a client for raw bytes.
#pragma once

#include <cerrno>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <poll.h>
#include <sys/socket.h>
#include <uv.h>

#include "daemon/control/server.hpp"
#include "daemon/util/credentials.hpp"
#include "daemon/util/unix_socket.hpp"
#include "nat/fd.hpp"
#include "tests/unit/temp_dir.hpp"

namespace hanat::test {

class Served {
public:
  explicit Served(ControlServer::Handler handler = echo, const std::string& operators = {},
                  std::chrono::milliseconds reply_within = std::chrono::minutes{1})
      : path_(dir_ / "control.sock") {
    uv_loop_init(&loop_);
    uv_async_init(&loop_, &wake_, [](uv_async_t* wake) { static_cast<Served*>(wake->data)->woken(); });
    wake_.data = this;
    try {
      server_ = std::make_unique<ControlServer>(&loop_, path_, Operators{.name = operators, .gid = find_group(operators)},
                                                std::move(handler), reply_within);
    } catch (...) {
      uv_close(reinterpret_cast<uv_handle_t*>(&wake_), nullptr);
      uv_run(&loop_, UV_RUN_DEFAULT);
      uv_loop_close(&loop_);
      throw;
    }
    thread_ = std::thread([this] { uv_run(&loop_, UV_RUN_DEFAULT); });
  }
  ~Served() {
    on_loop([this] {
      server_.reset();
      uv_close(reinterpret_cast<uv_handle_t*>(&wake_), nullptr);
    });
    thread_.join();
    uv_loop_close(&loop_);
  }
  Served(const Served&) = delete;
  Served& operator=(const Served&) = delete;

  /// Replies with the call itself and its caller.
  static nlohmann::json echo(const Call& call) {
    return {{"method", call.method}, {"parameters", call.parameters}, {"by", user_name(call.peer.uid)}};
  }

  const std::string& path() const { return path_; }
  ControlServer& server() { return *server_; }
  uv_loop_t* loop() { return &loop_; }
  /// Runs on the loop's thread, soon.
  void on_loop(std::function<void()> work) {
    {
      const std::lock_guard lock{mutex_};
      work_.push_back(std::move(work));
    }
    uv_async_send(&wake_);
  }

private:
  void woken() {
    std::vector<std::function<void()>> work;
    {
      const std::lock_guard lock{mutex_};
      work.swap(work_);
    }
    for (const auto& each : work) each();
  }

  TempDir dir_;
  std::string path_;
  uv_loop_t loop_{};
  uv_async_t wake_{};
  std::mutex mutex_;
  std::vector<std::function<void()>> work_;
  std::unique_ptr<ControlServer> server_;
  std::thread thread_;
};

/// A client that may break every rule.
class RawClient {
public:
  explicit RawClient(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const auto address = unix_address(path);
    if (connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      throw std::system_error(errno, std::generic_category(), "connect");
  }
  int fd() const { return fd_.get(); }
  void close() { fd_.reset(); }
  /// False when the other end has closed.
  bool send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const auto sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  /// A message and its NUL.
  bool say(std::string_view text) const { return send(std::string(text) + '\0'); }
  /// One message without its NUL; "" when the other end closed, "(nothing)" when nothing arrived in time.
  std::string hear(std::chrono::milliseconds timeout = std::chrono::seconds{3}) {
    for (;;) {
      if (const auto end = heard_.find('\0'); end != std::string::npos) {
        auto message = heard_.substr(0, end);
        heard_.erase(0, end + 1);
        return message;
      }
      pollfd waiting{.fd = fd_.get(), .events = POLLIN, .revents = 0};
      if (::poll(&waiting, 1, static_cast<int>(timeout.count())) == 0) return "(nothing)";
      char buffer[65536];
      const auto got = recv(fd_.get(), buffer, sizeof buffer, 0);
      if (got <= 0) return "";
      heard_.append(buffer, static_cast<std::size_t>(got));
    }
  }

private:
  Fd fd_;
  std::string heard_;
};

} // namespace hanat::test
