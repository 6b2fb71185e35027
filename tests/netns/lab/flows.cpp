// One thread and one epoll for all flows of a Flows; what is due is sent in turns, so that they do not all send at once.
#include "tests/netns/lab/flows.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <ostream>
#include <stdexcept>

#include <fcntl.h>
#include <linux/close_range.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/netns/lab/bound_socket.hpp"

namespace hanat::test {
namespace {

using std::chrono::nanoseconds;

TestClock::time_point time_in(std::string_view text) {
  nanoseconds::rep since = 0;
  std::from_chars(text.data(), text.data() + text.size(), since);
  return TestClock::time_point{nanoseconds{since}};
}

std::string now_as_text() { return std::to_string(nanoseconds{TestClock::now().time_since_epoch()}.count()); }

} // namespace

// ---- PushServer

PushServer::PushServer(Lab& lab, Host host, std::uint16_t port, milliseconds interval)
    : listener_(bound_socket(lab, host, SOCK_STREAM, port)) {
  checked(listen(listener_.get(), 4096), "listen");
  thread_ = std::thread([this, interval] { serve(interval); });
}

PushServer::~PushServer() {
  ending_ = true;
  thread_.join();
}

void PushServer::serve(milliseconds interval) {
  std::vector<Fd> connections;
  for (auto due = TestClock::now(); !ending_;) {
    pollfd polled{.fd = listener_.get(), .events = POLLIN, .revents = 0};
    const auto left = std::chrono::ceil<milliseconds>(due - TestClock::now());
    if (poll(&polled, 1, static_cast<int>(std::max(milliseconds{0}, left).count())) > 0)
      while (Fd fd{accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)}) {
        const int on = 1;
        setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        connections.push_back(std::move(fd));
      }
    if (TestClock::now() < due) continue;
    due = TestClock::now() + interval;
    const std::string line = now_as_text() + "\n";
    std::erase_if(connections, [&](const Fd& fd) { return send(fd.get(), line.data(), line.size(), MSG_NOSIGNAL) < 0 && errno != EAGAIN; });
  }
}

// ---- Flows

std::ostream& operator<<(std::ostream& stream, const FlowReport& report) {
  for (const auto& [name, ends] :
       {std::pair{"busy", report.busy}, std::pair{"idle", report.idle}, std::pair{"push", report.push}, std::pair{"UDP", report.udp}})
    stream << fmt::format("{}: {} reset, {} hung; ", name, ends.reset, ends.hung);
  for (const auto& [name, count] : report.by) stream << fmt::format("{} on {}; ", count, name);
  using Ms = std::chrono::duration<double, std::milli>;
  return stream << fmt::format("UDP silent for {:.0f} ms at the most; all carried on after {:.0f} ms", Ms{report.udp_silence}.count(),
                               Ms{report.took}.count());
}

Flows::Flows(Lab& lab, Host host, const FlowTargets& to, FlowPlan plan) : plan_(plan) {
  thread_ = std::thread([this, &lab, host, to] {
    try {
      lab.in(host, [&] { run(to); });
    } catch (...) {
      const std::scoped_lock lock(mutex_);
      failure_ = std::current_exception();
    }
  });
  if (const std::size_t silent = wait_until_they_carry(); silent > 0) {
    end();
    if (failure_) std::rethrow_exception(failure_);
    throw std::runtime_error(fmt::format("{} of {} flows carry nothing", silent, flows_.size()));
  }
}

Flows::~Flows() { end(); }

void Flows::end() {
  ending_ = true;
  if (thread_.joinable()) thread_.join();
}

/// How many do not.
std::size_t Flows::wait_until_they_carry() const {
  constexpr auto patience = milliseconds{30'000};
  const auto silent = [](const Flow& flow) { return flow.kind != Kind::idle && flow.carried == TestClock::time_point{}; };
  for (const auto deadline = TestClock::now() + patience;; std::this_thread::sleep_for(milliseconds{5})) {
    const std::scoped_lock lock(mutex_);
    if (failure_) return 1;
    const auto count = static_cast<std::size_t>(std::ranges::count_if(flows_, silent));
    if ((opened_ && count == 0) || TestClock::now() > deadline) return std::max<std::size_t>(count, opened_ ? 0 : 1);
  }
}

void Flows::open(const Endpoint& to, Kind kind, std::size_t number) {
  const SocketAddress address = to_sockaddr(to);
  for (std::size_t count = 0; count < number; ++count) {
    Fd fd{checked(::socket(address.get()->sa_family, (kind == Kind::udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0), "socket")};
    const timeval limit{.tv_sec = 5, .tv_usec = 0};
    setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    checked(connect(fd.get(), address.get(), address.length), fmt::format("flow {} to {}", flows_.size(), to_text(to)));
    checked(fcntl(fd.get(), F_SETFL, O_NONBLOCK), "O_NONBLOCK");
    const int on = 1;
    if (kind != Kind::udp) setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    epoll_event event{.events = EPOLLIN, .data = {.u64 = flows_.size()}};
    checked(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event), "epoll_ctl");
    if (kind == Kind::busy) busy_.push_back(flows_.size());
    if (kind == Kind::udp) udp_.push_back(flows_.size());
    if (kind == Kind::idle) idle_.push_back(flows_.size());
    flows_.push_back({.kind = kind, .socket = std::move(fd), .rest = {}});
  }
}

/// The descriptors are this thread's own: a process that may have 20,000 holds the servers' ends of as many connections beside these.
void Flows::run(const FlowTargets& to) {
  checked(close_range(3, ~0U, CLOSE_RANGE_UNSHARE), "close_range");
  const struct Closing {
    Flows& flows;
    ~Closing() {
      const std::scoped_lock lock(flows.mutex_);
      for (Flow& flow : flows.flows_) flow.socket.reset();
      flows.epoll_.reset();
    }
  } closing{*this};
  {
    const std::scoped_lock lock(mutex_);
    epoll_ = Fd{checked(epoll_create1(EPOLL_CLOEXEC), "epoll")};
    flows_.reserve(plan_.busy + plan_.idle + plan_.push + plan_.udp);
    open(to.lines, Kind::idle, plan_.idle);
    open(to.lines, Kind::busy, plan_.busy);
    open(to.push, Kind::push, plan_.push);
    open(to.udp, Kind::udp, plan_.udp);
    next_idle_ = idle_.size();
    busy_due_ = udp_due_ = TestClock::now();
    opened_ = true;
  }
  std::array<epoll_event, 512> events;
  while (!ending_) {
    const int count = epoll_wait(epoll_.get(), events.data(), events.size(), 1);
    const std::scoped_lock lock(mutex_);
    for (int i = 0; i < count; ++i) read(flows_[events[static_cast<std::size_t>(i)].data.u64]);
    send_due(TestClock::now());
  }
}

/// What is late by more than a turn is left out: a test's thread that was held up must not send a burst.
void Flows::send_due(TestClock::time_point now) {
  const auto in_turns = [&](const std::vector<std::size_t>& which, std::size_t& next, TestClock::time_point& due, nanoseconds interval) {
    if (which.empty()) return;
    const auto step = interval / static_cast<nanoseconds::rep>(which.size());
    due = std::max(due, now - interval);
    for (; due <= now; due += step, next = (next + 1) % which.size()) ask(flows_[which[next]]);
  };
  in_turns(busy_, next_busy_, busy_due_, plan_.busy_interval);
  in_turns(udp_, next_udp_, udp_due_, plan_.udp_interval);
  constexpr std::size_t at_once = 10; // of idle ones, that wake up for a check: all at once would overflow the queues of a busy machine
  for (std::size_t count = 0; count < at_once && next_idle_ < idle_.size(); ++count) ask(flows_[idle_[next_idle_++]]);
}

void Flows::ask(Flow& flow) {
  if (flow.ended || (flow.waits && flow.kind != Kind::udp)) return;
  flow.asked = TestClock::now();
  flow.waits = true;
  const std::string text = flow.kind == Kind::udp ? now_as_text() : "who\n";
  send(flow.socket.get(), text.data(), text.size(), MSG_NOSIGNAL); // an error of the socket is met by read()
}

void Flows::read(Flow& flow) {
  std::array<char, 4096> buffer;
  while (true) {
    const ssize_t got = recv(flow.socket.get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got < 0 && flow.kind == Kind::udp) continue; // an ICMP error; read once, it is gone
    if (got <= 0) {
      flow.ended = true;
      epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, flow.socket.get(), nullptr);
      return;
    }
    take(flow, std::string(buffer.data(), static_cast<std::size_t>(got)));
  }
}

void Flows::take(Flow& flow, const std::string& text) {
  const auto now = TestClock::now();
  if (flow.kind == Kind::udp) {
    const auto space = text.find(' ');
    if (space == std::string::npos) return;
    flow.by = text.substr(0, space);
    flow.carried = std::max(flow.carried, time_in(text.substr(space + 1)));
    if (flow.heard != TestClock::time_point{}) udp_silence_ = std::max(udp_silence_, nanoseconds{now - flow.heard});
    flow.heard = now;
    return;
  }
  flow.rest += text;
  const auto end = flow.rest.rfind('\n');
  if (end == std::string::npos) return;
  const auto before = end == 0 ? std::string::npos : flow.rest.rfind('\n', end - 1);
  const std::string line = flow.rest.substr(before == std::string::npos ? 0 : before + 1, end);
  flow.rest.erase(0, end + 1);
  flow.heard = now;
  flow.waits = false;
  if (flow.kind == Kind::push)
    flow.carried = time_in(line);
  else {
    flow.carried = flow.asked;
    flow.by = line.substr(0, line.find('\n'));
  }
}

bool Flows::all_carried(TestClock::time_point since) const {
  return std::ranges::all_of(flows_, [&](const Flow& flow) { return flow.ended || flow.carried >= since; });
}

FlowReport Flows::report(TestClock::time_point since) const {
  FlowReport report;
  report.udp_silence = udp_silence_;
  for (const Flow& flow : flows_) {
    const auto ends_of = [&]() -> FlowEnds& {
      switch (flow.kind) {
      case Kind::busy: return report.busy;
      case Kind::idle: return report.idle;
      case Kind::push: return report.push;
      case Kind::udp: return report.udp;
      }
      throw std::logic_error("a kind of flow that is none");
    };
    if (flow.ended)
      ++ends_of().reset;
    else if (flow.carried < since)
      ++ends_of().hung;
    else
      report.took = std::max(report.took, nanoseconds{flow.heard - since});
    if (!flow.by.empty()) ++report.by[flow.by];
  }
  return report;
}

FlowReport Flows::check(milliseconds deadline) {
  const auto since = TestClock::now();
  {
    const std::scoped_lock lock(mutex_);
    next_idle_ = 0;
  }
  while (true) {
    {
      const std::scoped_lock lock(mutex_);
      if (failure_) std::rethrow_exception(failure_);
      if (all_carried(since) || TestClock::now() > since + deadline) return report(since);
    }
    std::this_thread::sleep_for(milliseconds{10});
  }
}

} // namespace hanat::test
