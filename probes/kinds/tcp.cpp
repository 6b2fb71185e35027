// A non-blocking connect() that is watched with all others, and one absolute deadline. Thousands a second are sent: no system call is made
// that is not needed.
#include "probes/kinds/tcp.hpp"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <utility>
#include <variant>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "probes/io/connect.hpp"
#include "probes/io/conntrack_usage.hpp"

namespace hanat::probes {
namespace {

// As many as are in flight at once where thousands are sent in a second, and their servers are near.
constexpr std::size_t idle_at_most = 64;

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
  TcpConnect(uv_loop_t* loop, Clock::time_point start, Fd socket, const ProbeSpec& spec, std::vector<Fd>* again, OnResult on_result)
      : PendingProbe(start, std::move(on_result)), spec_(spec), socket_(std::move(socket)), again_(again),
        deadline_(loop, start, spec_.timeout, [this] { finish(fail_result(Reason::timeout, elapsed())); }) {}

  /// False: errno says why not.
  bool watch(ReadyWatch& watch, ReadyWatch::Watched watched) {
    watched_ = watch.until_writable(socket_.get(), *this, watched);
    return watched_.has_value();
  }

private:
  void on_ready(bool failed) override {
    const auto now = Clock::now();
    const int error = failed ? pending_error(socket_.get()) : 0;
    const ProbeResult result = error != 0 ? result_from_errno(error, elapsed(now)) : connected(now);
    if (error == 0 && again_ != nullptr && again_->size() < idle_at_most && disconnect(socket_)) again_->push_back(std::move(socket_));
    finish(result);
  }

  ProbeResult connected(Clock::time_point now) const {
    auto latency = elapsed(now);
    if (latency > spec_.timeout || (spec_.slow && latency > *spec_.slow)) latency -= std::min(since_last_packet(socket_.get()), latency);
    if (latency <= spec_.timeout) return pass_result(spec_, Reason::connected, latency);
    return deadline_.checked(fail_result(Reason::timeout, latency), now);
  }

  const ProbeSpec& spec_;
  Fd socket_;
  std::vector<Fd>* again_;
  std::optional<ReadyWatch::Ticket> watched_;
  Deadline deadline_;
};

} // namespace

/// Sockets that are like those of most probes. A socket that has to be opened, watched and closed costs as much as the connection itself.
std::vector<Fd>* Tcp::idle_for(const Probe& probe) {
  if (probe.spec.source || !probe.spec.interface.empty() || conntrack_is_full()) return nullptr;
  return &idle_[probe.server.address.family() == Family::ipv4 ? 0 : 1];
}

StartResult Tcp::start(const Probe& probe, OnResult on_result) {
  const auto start = Clock::now();
  std::vector<Fd>* const idle = idle_for(probe);
  const bool again = idle != nullptr && !idle->empty();
  auto opened = [&] {
    if (!again) return connect_probe_socket(probe, SOCK_STREAM, start);
    Fd socket = std::move(idle->back());
    idle->pop_back();
    return connect_socket(std::move(socket), probe, start);
  }();
  if (auto* failure = std::get_if<ProbeResult>(&opened)) return std::move(*failure);
  auto& [socket, established] = std::get<ConnectedSocket>(opened);
  if (established) return pass_result(probe.spec, Reason::connected, Clock::now() - start);
  auto pending = std::make_unique<TcpConnect>(loop_, start, std::move(socket), probe.spec, idle, std::move(on_result));
  if (!pending->watch(watch_, again ? ReadyWatch::Watched::again : ReadyWatch::Watched::first))
    return result_from_errno(errno, Clock::now() - start);
  return pending;
}

} // namespace hanat::probes
