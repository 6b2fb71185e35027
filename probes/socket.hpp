// The socket of a probe: non-blocking, from the source and through the interface that the operator asked for; a TCP one is gone without a
// trace when it is closed. Not here: connecting it.
#pragma once

#include <utility>
#include <variant>

#include <sys/socket.h>
#include <unistd.h>

#include "probes/spec.hpp"

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

/// The socket for a question, or the errno of the call that failed: ours, never the server's. `type`: SOCK_STREAM, SOCK_DGRAM or SOCK_RAW
/// with its protocol.
std::variant<Socket, int> open_probe_socket(const Question& question, int type = SOCK_STREAM, int protocol = 0);

/// The errno that waits at a socket after connect(); 0: it is connected.
int pending_error(int fd);

} // namespace hanat::probes
