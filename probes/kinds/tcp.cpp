// A non-blocking connect() watched by uv_poll, with one absolute deadline.
#include "probes/kinds/tcp.hpp"

#include <algorithm>
#include <utility>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "probes/io/connect.hpp"

namespace hanat::probes {
namespace {

/// When a busy loop runs late, the kernel still knows how long ago the last packet of the handshake arrived.
Clock::duration since_last_packet(int fd) {
  tcp_info info{};
  socklen_t length = sizeof info;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return {};
  return std::chrono::milliseconds{info.tcpi_last_ack_recv};
}

class TcpConnect final : public PendingProbe {
public:
  TcpConnect(uv_loop_t* loop, Clock::time_point start, Fd socket, Poll poll, const ProbeSpec& spec, OnResult on_result)
      : PendingProbe(start, std::move(on_result)), spec_(spec), socket_(std::move(socket)), poll_(std::move(poll)),
        deadline_(loop, start, spec_.timeout, [this] { finish(fail_result(Reason::timeout, elapsed())); }) {
    poll_->data = this;
  }

  int watch() {
    return uv_poll_start(poll_.get(), UV_WRITABLE, [](uv_poll_t* poll, int, int) { static_cast<TcpConnect*>(poll->data)->on_ready(); });
  }

private:
  // libuv reports a refused connection as a failure of the poll handle; the socket itself has the errno.
  void on_ready() {
    const auto now = Clock::now();
    const int error = pending_error(socket_.get());
    finish(error != 0 ? result_from_errno(error, elapsed(now)) : connected(now));
  }

  ProbeResult connected(Clock::time_point now) const {
    auto latency = elapsed(now);
    if (latency > spec_.timeout || (spec_.slow && latency > *spec_.slow)) latency -= std::min(since_last_packet(socket_.get()), latency);
    if (latency <= spec_.timeout) return pass_result(spec_, Reason::connected, latency);
    return deadline_.checked(fail_result(Reason::timeout, latency), now);
  }

  const ProbeSpec& spec_;
  Fd socket_; // declared before its poll handle, so closed after it
  Poll poll_;
  Deadline deadline_;
};

} // namespace

StartResult probe_tcp(uv_loop_t* loop, const Probe& probe, OnResult on_result) {
  const auto start = Clock::now();
  auto connected = connect_probe_socket(probe, SOCK_STREAM, start);
  if (auto* failure = std::get_if<ProbeResult>(&connected)) return std::move(*failure);
  auto& [socket, established] = std::get<ConnectedSocket>(connected);
  if (established) return pass_result(probe.spec, Reason::connected, Clock::now() - start);
  return watch_socket<TcpConnect>(loop, start, std::move(socket), probe.spec, std::move(on_result));
}

} // namespace hanat::probes
