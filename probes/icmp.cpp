// Raw sockets, each with its questions by their sequence. A socket is closed with the last question that is under way on it.
#include "probes/icmp.hpp"

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

#include "probes/icmp_message.hpp"
#include "probes/loop.hpp"
#include "probes/socket.hpp"

namespace hanat::probes {
namespace {

constexpr int most_messages = 256; // in one turn of the loop
constexpr std::size_t longest_icmp_message =
    2'048; // a reply has 24 bytes beside the IP header, an error at most 576 (IPv4) or 1,280 (IPv6)
// The replies of ten thousand questions in a loop that is late by 100 ms, at 0.8 KiB of the kernel's memory each.
constexpr int receive_buffer = 1 << 20;
constexpr std::size_t every_sequence = 1 << 16;

/// Of all the ICMP that this machine hears, what may be an answer.
bool pass_answers_only(int fd, Family family) {
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

class IcmpAsking;

/// One raw socket.
class Channel : public std::enable_shared_from_this<Channel> {
public:
  Channel(Socket socket, Poll poll, Family family) : family_(family), socket_(std::move(socket)), poll_(std::move(poll)) {
    poll_->data = this;
  }
  int watch() {
    return uv_poll_start(poll_.get(), UV_READABLE,
                         [](uv_poll_t* poll, int status, int) { static_cast<Channel*>(poll->data)->on_ready(status); });
  }
  /// Sends a request; 0, or the errno of the call that failed.
  int send(IcmpAsking& asking);
  void forget(std::uint16_t sequence) { asked_.erase(sequence); }

private:
  void on_ready(int status);
  void hear(std::string_view bytes, const sockaddr_storage& from);

  Family family_;
  std::mt19937_64 random_{std::random_device{}()};
  std::uint16_t id_ = static_cast<std::uint16_t>(random_());
  std::uint16_t last_ = static_cast<std::uint16_t>(random_());
  std::unordered_map<std::uint16_t, IcmpAsking*> asked_; // by sequence
  Socket socket_;                                        // declared before its watcher, and so closed after it
  Poll poll_;
};

class IcmpAsking final : public Asking {
public:
  IcmpAsking(uv_loop_t* loop, const Question& question, std::shared_ptr<Channel> channel, Done done)
      : question_(question), done_(std::move(done)), channel_(std::move(channel)), deadline_(loop, start_, question.spec.timeout, [this] {
          answer({.outcome = Outcome::abnormal, .reason = Reason::timeout, .latency = Clock::now() - start_, .detail = {}});
        }) {}
  ~IcmpAsking() override {
    if (sent_) channel_->forget(key_.sequence);
  }

  const Address& server() const { return question_.server.address; }
  const EchoKey& key() const { return key_; }
  Clock::time_point start() const { return start_; }
  void sent(const EchoKey& key) {
    key_ = key;
    sent_ = true;
  }
  void heard(const IcmpHeard& heard) {
    const auto now = Clock::now();
    const auto latency = now - start_;
    // Heard after the deadline, because we stood still: it may have been there in time.
    if (deadline_.missed(now)) return answer({.outcome = Outcome::blind, .reason = Reason::stalled, .latency = latency, .detail = {}});
    if (heard.reason == Reason::answered) return answer(right_answer(question_.spec, Reason::answered, latency));
    answer({.outcome = Outcome::abnormal, .reason = heard.reason, .latency = latency, .detail = std::string{heard.detail}});
  }

private:
  void answer(const Answer& answer) {
    const auto done = std::move(done_);
    done(answer);
  }

  const Question& question_;
  Done done_;
  Clock::time_point start_ = Clock::now();
  EchoKey key_;
  bool sent_ = false;
  std::shared_ptr<Channel> channel_;
  Deadline deadline_;
};

int Channel::send(IcmpAsking& asking) {
  if (asked_.size() >= every_sequence) return ENOBUFS;
  do ++last_;
  while (asked_.contains(last_));
  const EchoKey key{.id = id_, .sequence = last_, .token = random_()};
  const std::string request = echo_request(family_, key);
  const SocketAddress address = to_sockaddr({.address = asking.server(), .port = 0});
  if (sendto(socket_.fd(), request.data(), request.size(), 0, address.get(), address.length) < 0) return errno == EAGAIN ? ENOBUFS : errno;
  asked_.emplace(key.sequence, &asking);
  asking.sent(key);
  return 0;
}

void Channel::on_ready(int status) {
  static thread_local std::array<char, longest_icmp_message> buffer;
  const auto alive = shared_from_this(); // the last answer would end it
  for (int reads = 0; reads < most_messages && !asked_.empty(); ++reads) {
    sockaddr_storage from{};
    socklen_t length = sizeof from;
    const ssize_t count = recvfrom(socket_.fd(), buffer.data(), buffer.size(), MSG_TRUNC, reinterpret_cast<sockaddr*>(&from), &length);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) break; // nothing more; an error of the socket passes with this call
    if (static_cast<std::size_t>(count) <= buffer.size()) hear({buffer.data(), static_cast<std::size_t>(count)}, from);
  }
  // libuv stops watching a socket with an error. Unwatched, questions would end as silence, so it must be watched again.
  if (status < 0) watch();
}

void Channel::hear(std::string_view bytes, const sockaddr_storage& from) {
  const auto heard = parse_icmp(family_, bytes);
  if (!heard || heard->key.id != id_) return;
  const auto found = asked_.find(heard->key.sequence);
  if (found == asked_.end()) return;
  IcmpAsking& asking = *found->second;
  if (heard->has_token && heard->key.token != asking.key().token) return;
  // A reply comes from the host that was asked; an error from anywhere, about a packet to it.
  if (heard->quoted ? *heard->quoted != asking.server() : !same_address(asking.server(), from)) return;
  asking.heard(*heard); // ends it
}

} // namespace

struct Icmp::Impl {
  using Key = std::tuple<Family, std::optional<Address>, std::string>; // source, interface

  explicit Impl(uv_loop_t* uv_loop) : loop(uv_loop) {}
  std::variant<std::shared_ptr<Channel>, int> channel(const Question& question);

  uv_loop_t* loop;
  std::map<Key, std::weak_ptr<Channel>> channels;
};

std::variant<std::shared_ptr<Channel>, int> Icmp::Impl::channel(const Question& question) {
  const Family family = question.server.address.family();
  auto& known = channels[{family, question.spec.source, question.spec.interface}];
  if (auto channel = known.lock()) return channel;
  auto opened = open_probe_socket(question, SOCK_RAW, family == Family::ipv4 ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6});
  if (const int* error = std::get_if<int>(&opened)) return *error;
  auto& socket = std::get<Socket>(opened);
  if (!pass_answers_only(socket.fd(), family)) return errno;
  // Beyond net.core.rmem_max with the right to do so; without, as much as is allowed.
  if (setsockopt(socket.fd(), SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer, sizeof receive_buffer) != 0)
    setsockopt(socket.fd(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  int error = 0;
  Poll poll = make_poll(loop, socket.fd(), nullptr, error);
  if (!poll) return -error;
  auto channel = std::make_shared<Channel>(std::move(socket), std::move(poll), family);
  if (error = channel->watch(); error < 0) return -error;
  known = channel;
  return channel;
}

Icmp::Icmp(uv_loop_t* loop) : impl_(std::make_unique<Impl>(loop)) {}
Icmp::~Icmp() = default;

Asked Icmp::ask(const Question& question, Done done) {
  const auto start = Clock::now();
  auto channel = impl_->channel(question);
  if (const int* error = std::get_if<int>(&channel)) return answer_from_errno(*error, Clock::now() - start);
  auto& open = std::get<std::shared_ptr<Channel>>(channel);
  auto asking = std::make_unique<IcmpAsking>(impl_->loop, question, open, std::move(done));
  if (const int error = open->send(*asking); error != 0) return answer_from_connect(error, Clock::now() - start);
  return asking;
}

} // namespace hanat::probes
