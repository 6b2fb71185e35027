// A connected UDP socket watched by uv_poll.
#include "probes/io/udp_exchange.hpp"

#include <array>
#include <cerrno>
#include <cstddef>
#include <utility>

#include <sys/socket.h>

#include "probes/io/connect.hpp"
#include "probes/io/probe_deadline.hpp"

namespace hanat::probes {
namespace {

constexpr int datagrams_per_turn = 64; // of the loop: a flooding server must not starve everything else
constexpr std::size_t longest_datagram = std::size_t{64} << 10;

/// The errno of recv(): an ICMP error about our flow, or a local failure. 0: it says nothing about the server.
int relevant_error(int error) {
  switch (error) {
  case EACCES: return EHOSTUNREACH; // ICMPv6 "administratively prohibited" from another machine, not our own firewall
  case EMSGSIZE:                    // the path takes shorter packets only
  case EPROTO:                      // "parameter problem"
  case EOPNOTSUPP: return 0;        // "source route failed"
  default: return error;
  }
}

/// While this queue holds an error, poll() reports nothing else.
void empty_error_queue(int fd) {
  for (int reads = 0; reads < datagrams_per_turn; ++reads) {
    msghdr nothing{};
    if (recvmsg(fd, &nothing, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) return;
  }
}

class UdpExchange final : public PendingProbe {
public:
  UdpExchange(Timers& timers, Clock::time_point start, Fd socket, Poll poll, const Probe& probe, JudgeReply judge, OnResult on_result)
      : PendingProbe(start, std::move(on_result)), judge_(std::move(judge)), socket_(std::move(socket)), poll_(std::move(poll)),
        deadline_(timers, start, probe.spec.timeout, [this] { expire(); }) {
    poll_->data = this;
  }

  int watch() {
    return uv_poll_start(poll_.get(), UV_READABLE,
                         [](uv_poll_t* poll, int status, int) { static_cast<UdpExchange*>(poll->data)->on_ready(status); });
  }

private:
  void on_ready(int status) {
    if (const auto result = receive()) return finish(*result);
    if (status >= 0) return;
    // libuv stops watching a socket that has an error. This error said nothing about the server.
    empty_error_queue(socket_.get());
    if (const int error = watch(); error < 0) finish(result_from_errno(-error, elapsed()));
  }

  /// nullopt: no result yet.
  std::optional<ProbeResult> receive() {
    static thread_local std::array<char, longest_datagram> buffer;
    for (int reads = 0; reads < datagrams_per_turn; ++reads) {
      const ssize_t count = recv(socket_.get(), buffer.data(), buffer.size(), 0);
      const auto now = Clock::now();
      if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return std::nullopt;
      if (count < 0 && (errno == EINTR || relevant_error(errno) == 0)) continue;
      auto result = count < 0 ? result_from_errno(relevant_error(errno), elapsed(now))
                              : judge_({buffer.data(), static_cast<std::size_t>(count)}, elapsed(now));
      if (result) return deadline_.checked(*std::move(result), now);
      ignored_ = true;
    }
    return std::nullopt;
  }

  void expire() { finish(fail_result(Reason::timeout, elapsed(), ignored_ ? "only datagrams that are no reply to this probe" : "")); }

  JudgeReply judge_;
  bool ignored_ = false;
  Fd socket_; // declared before its poll handle, so closed after it
  Poll poll_;
  ProbeDeadline deadline_;
};

} // namespace

StartResult udp_exchange(Timers& timers, const Probe& probe, std::string_view message, JudgeReply judge, OnResult on_result) {
  const auto start = Clock::now();
  auto connected = connect_probe_socket(probe, SOCK_DGRAM, start);
  if (auto* failure = std::get_if<ProbeResult>(&connected)) return std::move(*failure);
  auto& socket = std::get<ConnectedSocket>(connected).socket;
  if (send(socket.get(), message.data(), message.size(), 0) < 0)
    return result_from_errno(errno == EAGAIN ? ENOBUFS : errno, Clock::now() - start);
  return watch_socket<UdpExchange>(timers, start, std::move(socket), probe, std::move(judge), std::move(on_result));
}

} // namespace hanat::probes
