// Raw sockets, each with its pending probes by sequence number. A socket is closed with its last pending probe.
#include "probes/kinds/icmp.hpp"

#include <array>
#include <cerrno>
#include <cstddef>
#include <map>
#include <random>
#include <tuple>
#include <unordered_map>
#include <utility>

#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <linux/icmp.h>

#include "probes/io/probe_deadline.hpp"
#include "probes/io/socket.hpp"
#include "probes/io/timers.hpp"
#include "probes/io/uv.hpp"
#include "probes/kinds/icmp_message.hpp"

namespace hanat::probes {
namespace {

constexpr int messages_per_turn = 256; // of the loop
constexpr std::size_t longest_icmp_message =
    2'048; // a reply has 24 bytes beside the IP header, an error at most 576 (IPv4) or 1,280 (IPv6)
// Holds the replies to ten thousand probes a second while the loop is 100 ms late, at 0.8 KiB of kernel memory each.
constexpr int receive_buffer = 1 << 20;
constexpr std::size_t sequence_count = 1 << 16;

/// Echo replies and errors only, of all the ICMP that this machine receives.
bool filter_replies(int fd, Family family) {
  if (family == Family::ipv4) {
    const icmp_filter only{.data = ~(1U << ICMP_ECHOREPLY | 1U << ICMP_DEST_UNREACH | 1U << ICMP_TIME_EXCEEDED)};
    return setsockopt(fd, SOL_RAW, ICMP_FILTER, &only, sizeof only) == 0;
  }
  icmp6_filter only{};
  ICMP6_FILTER_SETBLOCKALL(&only);
  for (const int type : {ICMP6_ECHO_REPLY, ICMP6_DST_UNREACH, ICMP6_TIME_EXCEEDED}) ICMP6_FILTER_SETPASS(type, &only);
  return setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &only, sizeof only) == 0;
}

bool same_address(const Address& address, const sockaddr_storage& from) {
  const auto* bytes = address.family() == Family::ipv4
                          ? reinterpret_cast<const std::uint8_t*>(&reinterpret_cast<const sockaddr_in*>(&from)->sin_addr)
                          : reinterpret_cast<const std::uint8_t*>(&reinterpret_cast<const sockaddr_in6*>(&from)->sin6_addr);
  return address == Address::from_bytes({bytes, address.bytes().size()});
}

class PendingIcmp;

/// One raw socket.
class Channel : public std::enable_shared_from_this<Channel> {
public:
  Channel(Fd socket, Poll poll, Family family) : family_(family), socket_(std::move(socket)), poll_(std::move(poll)) { poll_->data = this; }
  int watch() {
    return uv_poll_start(poll_.get(), UV_READABLE,
                         [](uv_poll_t* poll, int status, int) { static_cast<Channel*>(poll->data)->on_ready(status); });
  }
  /// Sends a request; 0, or the errno of the call that failed.
  int send(PendingIcmp& pending);
  void forget(std::uint16_t sequence) { pending_.erase(sequence); }

private:
  void on_ready(int status);
  void on_data(std::string_view bytes, const sockaddr_storage& from);

  Family family_;
  std::mt19937_64 random_{std::random_device{}()};
  std::uint16_t id_ = static_cast<std::uint16_t>(random_());
  std::uint16_t last_ = static_cast<std::uint16_t>(random_());
  std::unordered_map<std::uint16_t, PendingIcmp*> pending_; // by sequence
  Fd socket_;                                               // declared before its poll handle, so closed after it
  Poll poll_;
};

class PendingIcmp final : public PendingProbe {
public:
  PendingIcmp(Timers& timers, const Probe& probe, std::shared_ptr<Channel> channel, OnResult on_result)
      : PendingProbe(Clock::now(), std::move(on_result)), probe_(probe), channel_(std::move(channel)),
        deadline_(timers, start(), probe.spec.timeout, [this] { finish(fail_result(Reason::timeout, elapsed())); }) {}
  ~PendingIcmp() override {
    if (sent_) channel_->forget(key_.sequence);
  }

  const Address& server() const { return probe_.server.address; }
  const EchoKey& key() const { return key_; }
  void on_sent(const EchoKey& key) {
    key_ = key;
    sent_ = true;
  }
  void on_received(const IcmpReceived& received) {
    const auto now = Clock::now();
    const Verdict verdict{received.reason, std::string{received.detail}};
    finish(deadline_.checked(result_from_verdict(probe_.spec, verdict, elapsed(now)), now));
  }

private:
  const Probe& probe_;
  EchoKey key_;
  bool sent_ = false;
  std::shared_ptr<Channel> channel_;
  ProbeDeadline deadline_;
};

int Channel::send(PendingIcmp& pending) {
  if (pending_.size() >= sequence_count) return ENOBUFS;
  do ++last_;
  while (pending_.contains(last_));
  const EchoKey key{.id = id_, .sequence = last_, .token = random_()};
  const std::string request = echo_request(family_, key);
  const SocketAddress address = to_sockaddr({.address = pending.server(), .port = 0});
  if (sendto(socket_.get(), request.data(), request.size(), 0, address.get(), address.length) < 0) return errno == EAGAIN ? ENOBUFS : errno;
  pending_.emplace(key.sequence, &pending);
  pending.on_sent(key);
  return 0;
}

void Channel::on_ready(int status) {
  static thread_local std::array<char, longest_icmp_message> buffer;
  const auto self = shared_from_this(); // the last result would destroy it
  for (int reads = 0; reads < messages_per_turn && !pending_.empty(); ++reads) {
    sockaddr_storage from{};
    socklen_t length = sizeof from;
    const ssize_t count = recvfrom(socket_.get(), buffer.data(), buffer.size(), MSG_TRUNC, reinterpret_cast<sockaddr*>(&from), &length);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) break; // nothing more; the call clears an error of the socket
    if (static_cast<std::size_t>(count) <= buffer.size()) on_data({buffer.data(), static_cast<std::size_t>(count)}, from);
  }
  // libuv stops watching a socket that has an error. Its probes would all time out, so watch it again.
  if (status < 0) watch();
}

void Channel::on_data(std::string_view bytes, const sockaddr_storage& from) {
  const auto received = parse_icmp(family_, bytes);
  if (!received || received->key.id != id_) return;
  const auto found = pending_.find(received->key.sequence);
  if (found == pending_.end()) return;
  PendingIcmp& pending = *found->second;
  if (received->has_token && received->key.token != pending.key().token) return;
  // A reply comes from the probed host; an error from any host, about a packet to the probed one.
  if (received->quoted ? *received->quoted != pending.server() : !same_address(pending.server(), from)) return;
  pending.on_received(*received); // destroys it
}

} // namespace

struct Icmp::Impl {
  using Key = std::tuple<Family, std::optional<Address>, std::string>; // source, interface

  explicit Impl(Timers& on) : timers(on) {}
  std::variant<std::shared_ptr<Channel>, int> channel(const Probe& probe);

  Timers& timers;
  std::map<Key, std::weak_ptr<Channel>> channels;
};

std::variant<std::shared_ptr<Channel>, int> Icmp::Impl::channel(const Probe& probe) {
  const Family family = probe.server.address.family();
  auto& known = channels[{family, probe.spec.source, probe.spec.interface}];
  if (auto channel = known.lock()) return channel;
  auto opened = open_probe_socket(probe, SOCK_RAW, family == Family::ipv4 ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6});
  if (const int* error = std::get_if<int>(&opened)) return *error;
  auto& socket = std::get<Fd>(opened);
  if (!filter_replies(socket.get(), family)) return errno;
  // Above net.core.rmem_max with CAP_NET_ADMIN; otherwise up to it.
  if (setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer, sizeof receive_buffer) != 0)
    setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  int error = 0;
  Poll poll = try_poll(timers.loop(), socket.get(), error);
  if (!poll) return -error;
  auto channel = std::make_shared<Channel>(std::move(socket), std::move(poll), family);
  if (error = channel->watch(); error < 0) return -error;
  known = channel;
  return channel;
}

Icmp::Icmp(Timers& timers) : impl_(std::make_unique<Impl>(timers)) {}
Icmp::~Icmp() = default;

StartResult Icmp::start(const Probe& probe, OnResult on_result) {
  const auto start = Clock::now();
  auto channel = impl_->channel(probe);
  if (const int* error = std::get_if<int>(&channel)) return result_from_errno(*error, Clock::now() - start);
  auto& open = std::get<std::shared_ptr<Channel>>(channel);
  auto pending = std::make_unique<PendingIcmp>(impl_->timers, probe, open, std::move(on_result));
  if (const int error = open->send(*pending); error != 0) return result_from_connect(error, Clock::now() - start);
  return pending;
}

} // namespace hanat::probes
