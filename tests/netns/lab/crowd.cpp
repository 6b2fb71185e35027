// One thread and one epoll for all senders; a part of them sends every millisecond, so that they do not all send at once.
#include "tests/netns/lab/crowd.hpp"

#include <algorithm>
#include <array>

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

namespace hanat::test {

std::vector<TestClock::time_point> resets_of(const std::vector<TcpClient>& clients, milliseconds deadline) {
  std::vector<pollfd> waiting;
  for (const TcpClient& client : clients) waiting.push_back({.fd = client.fd(), .events = POLLIN, .revents = 0});
  std::vector<TestClock::time_point> resets;
  for (const auto end = TestClock::now() + deadline; TestClock::now() < end && !waiting.empty();) {
    if (poll(waiting.data(), waiting.size(), 20) <= 0) continue;
    const auto now = TestClock::now();
    std::erase_if(waiting, [&](const pollfd& client) {
      if (client.revents == 0) return false;
      int error = 0;
      socklen_t length = sizeof error;
      getsockopt(client.fd, SOL_SOCKET, SO_ERROR, &error, &length);
      if (error == ECONNRESET) resets.push_back(now);
      return true;
    });
  }
  return resets;
}

UdpCrowd::UdpCrowd(Lab& lab, Host host, const Endpoint& to, std::size_t senders, milliseconds interval) {
  const SocketAddress address = to_sockaddr(to);
  for (std::size_t count = 0; count < senders; ++count) {
    Sender& sender = senders_.emplace_back();
    sender.socket = lab.socket(host, address.get()->sa_family, SOCK_DGRAM | SOCK_NONBLOCK);
    checked(connect(sender.socket.get(), address.get(), address.length), "connect UDP to " + to_text(to));
  }
  thread_ = std::thread([this, interval] {
    try {
      run(interval);
    } catch (...) {
      failure_ = std::current_exception();
    }
  });
}

UdpCrowd::~UdpCrowd() { end(); }

void UdpCrowd::end() {
  ending_ = true;
  if (thread_.joinable()) thread_.join();
}

std::size_t UdpCrowd::answered_by(const std::string& server) const {
  const std::scoped_lock lock(mutex_);
  return static_cast<std::size_t>(std::ranges::count_if(senders_, [&](const Sender& sender) {
    return std::ranges::any_of(sender.first, [&](const auto& answer) { return answer.first == server; });
  }));
}

std::vector<std::optional<TestClock::time_point>> UdpCrowd::first_answers_of(const std::string& server) {
  end();
  if (failure_) std::rethrow_exception(failure_);
  std::vector<std::optional<TestClock::time_point>> result;
  for (const Sender& sender : senders_) {
    const auto found = std::ranges::find_if(sender.first, [&](const auto& answer) { return answer.first == server; });
    result.push_back(found == sender.first.end() ? std::nullopt : std::optional{found->second});
  }
  return result;
}

void UdpCrowd::run(milliseconds interval) {
  const Fd epoll{checked(epoll_create1(EPOLL_CLOEXEC), "epoll")};
  for (std::size_t index = 0; index < senders_.size(); ++index) {
    epoll_event event{.events = EPOLLIN, .data = {.u64 = index}};
    checked(epoll_ctl(epoll.get(), EPOLL_CTL_ADD, senders_[index].socket.get(), &event), "epoll_ctl");
  }
  const auto step = std::chrono::nanoseconds{interval} / static_cast<std::int64_t>(senders_.size());
  std::size_t next = 0;
  std::array<epoll_event, 256> events;
  for (auto due = TestClock::now(); !ending_;) {
    for (const auto now = TestClock::now(); due <= now; due += step, next = (next + 1) % senders_.size())
      send(senders_[next].socket.get(), "1", 1, MSG_NOSIGNAL); // a refusal of the datagram before is no matter here
    const int count = epoll_wait(epoll.get(), events.data(), events.size(), 1);
    const std::scoped_lock lock(mutex_);
    for (int i = 0; i < count; ++i) read(senders_[events[static_cast<std::size_t>(i)].data.u64]);
  }
}

void UdpCrowd::read(Sender& sender) const {
  std::array<char, 256> buffer;
  while (true) {
    const ssize_t got = recv(sender.socket.get(), buffer.data(), buffer.size(), 0);
    if (got < 0) return; // none left, or the ICMP error that epoll told of
    const std::string text(buffer.data(), static_cast<std::size_t>(got));
    const std::string server = text.substr(0, text.find(' '));
    if (std::ranges::none_of(sender.first, [&](const auto& answer) { return answer.first == server; }))
      sender.first.emplace_back(server, TestClock::now());
  }
}

} // namespace hanat::test
