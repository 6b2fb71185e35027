// A non-blocking connect() that is watched with all others, and one absolute deadline. Thousands a second are sent: no system call is made
// that is not needed.
#include "probes/kinds/tcp.hpp"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>
#include <variant>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "probes/io/connect.hpp"
#include "probes/io/conntrack_usage.hpp"
#include "probes/io/probe_deadline.hpp"
#include "probes/io/socket.hpp"

namespace hanat::probes {
namespace {

// As many as are in flight at once where ten thousand are sent in a second and are answered, or read, some hundredths of a second later: a
// loop that is late must not open and close sockets on top of it.
constexpr std::size_t idle_at_most = 256;

/// When a busy loop runs late, the kernel still knows how long ago the last packet of the handshake arrived.
Clock::duration since_last_packet(int fd) {
  tcp_info info{};
  socklen_t length = sizeof info;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return {};
  return std::chrono::milliseconds{info.tcpi_last_ack_recv};
}

class TcpConnect final : public PendingProbe, private ReadyWatch::Handler {
public:
  /// `again`: who takes the socket of a connection that was made.
  TcpConnect(Timers& timers, Clock::time_point start, ReadyWatch::Socket socket, const ProbeSpec& spec,
             std::vector<ReadyWatch::Socket>* again, OnResult on_result)
      : PendingProbe(start, std::move(on_result)), spec_(spec), socket_(std::move(socket)), again_(again),
        deadline_(timers, start, spec_.timeout, [this] { finish(fail_result(Reason::timeout, elapsed())); }) {
    socket_.wait(*this);
  }

private:
  void on_ready(bool failed) override {
    const auto now = Clock::now();
    const int error = failed ? pending_error(socket_.fd().get()) : 0;
    const ProbeResult result = error != 0 ? result_from_errno(error, elapsed(now)) : connected(now);
    if (error == 0 && again_ != nullptr && again_->size() < idle_at_most && disconnect(socket_.fd())) again_->push_back(std::move(socket_));
    finish(result);
  }

  ProbeResult connected(Clock::time_point now) const {
    auto latency = elapsed(now);
    if (latency > spec_.timeout || (spec_.slow && latency > *spec_.slow))
      latency -= std::min(since_last_packet(socket_.fd().get()), latency);
    if (latency <= spec_.timeout) return pass_result(spec_, Reason::connected, latency);
    return deadline_.checked(fail_result(Reason::timeout, latency), now);
  }

  const ProbeSpec& spec_;
  ReadyWatch::Socket socket_;
  std::vector<ReadyWatch::Socket>* again_;
  ProbeDeadline deadline_;
};

} // namespace

/// Sockets that are like those of most probes. A socket that has to be opened, watched and closed costs as much as the connection itself.
std::vector<ReadyWatch::Socket>* Tcp::idle_for(const Probe& probe) {
  if (probe.spec.source || !probe.spec.interface.empty() || conntrack_is_full()) return nullptr;
  return &idle_[probe.server.address.family() == Family::ipv4 ? 0 : 1];
}

std::variant<ReadyWatch::Socket, int> Tcp::socket_for(const Probe& probe, std::vector<ReadyWatch::Socket>* idle) {
  if (idle != nullptr && !idle->empty()) {
    ReadyWatch::Socket socket = std::move(idle->back());
    idle->pop_back();
    return socket;
  }
  auto opened = open_probe_socket(probe);
  if (const int* error = std::get_if<int>(&opened)) return *error;
  auto socket = watch_.add(std::move(std::get<Fd>(opened)));
  if (!socket) return errno;
  return *std::move(socket);
}

StartResult Tcp::start(const Probe& probe, OnResult on_result) {
  const auto start = Clock::now();
  std::vector<ReadyWatch::Socket>* const idle = idle_for(probe);
  auto found = socket_for(probe, idle);
  if (const int* error = std::get_if<int>(&found)) return result_from_errno(*error, Clock::now() - start);
  auto& socket = std::get<ReadyWatch::Socket>(found);
  const auto established = start_connect(socket.fd(), probe, start);
  if (const auto* failure = std::get_if<ProbeResult>(&established)) return *failure;
  if (std::get<bool>(established)) return pass_result(probe.spec, Reason::connected, Clock::now() - start);
  return std::make_unique<TcpConnect>(timers_, start, std::move(socket), probe.spec, idle, std::move(on_result));
}

} // namespace hanat::probes
