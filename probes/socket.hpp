// The TCP socket of a probe: non-blocking, from the source the operator asked for, gone without a trace when it is closed.
// Not here: connecting it.
#pragma once

#include <optional>
#include <utility>
#include <variant>

#include <unistd.h>

#include "nat/address.hpp"

namespace hanat::probes {

class Socket {
public:
  explicit Socket(int fd = -1) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(other.release()) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  int fd() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

private:
  int fd_;
};

/// The socket, or the errno of the call that failed: ours, never the server's.
std::variant<Socket, int> open_probe_socket(Family family, const std::optional<Address>& source);

} // namespace hanat::probes
