// One thread in the client's namespace with one epoll; connections end in the order of their deadlines, which is that of their starts.
#include "tests/netns/lab/load.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <exception>
#include <ostream>

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

namespace hanat::test {
namespace {

using std::chrono::nanoseconds;

void raise_descriptor_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

class Generator {
public:
  Generator(const Endpoint& to, const LoadPlan& plan, const std::atomic<bool>& ending, std::vector<Connect>& connects)
      : family_(to.address.family() == Family::ipv4 ? AF_INET : AF_INET6), to_(to_sockaddr(to)), plan_(plan), ending_(ending),
        connects_(connects), epoll_(checked(epoll_create1(EPOLL_CLOEXEC), "epoll")) {}

  void run() {
    const auto end = TestClock::now() + plan_.duration;
    const nanoseconds step = nanoseconds{std::chrono::seconds{1}} / plan_.per_second;
    auto next = end - plan_.duration;
    bool starting = true;
    while (starting || !open_.empty()) {
      starting = starting && !ending_ && next < end;
      for (const auto now = TestClock::now(); starting && next <= now && next < end; next += step) start();
      wait_until(starting ? next : TestClock::now() + milliseconds{20});
      expire();
    }
  }

private:
  struct Open {
    Fd fd;
    std::string answer;
  };

  void end(std::size_t index, Result result) {
    connects_[index].result = result;
    connects_[index].ended = TestClock::now() - connects_[index].started;
    const auto open = open_.find(index);
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, open->second.fd.get(), nullptr); // a child about to exec may hold a copy: closing is not enough
    open_.erase(open);
  }

  void start() {
    const std::size_t index = connects_.size();
    connects_.push_back({.started = TestClock::now(), .by = {}});
    Fd fd{::socket(family_, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    const bool made = fd && (connect(fd.get(), to_.get(), to_.length) == 0 || errno == EINPROGRESS);
    if (!made) {
      connects_.back().result = result_of(errno);
      connects_.back().ended = TestClock::now() - connects_.back().started;
      return;
    }
    epoll_event event{.events = EPOLLOUT, .data = {.u64 = index}};
    checked(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event), "epoll_ctl");
    open_.emplace(index, Open{.fd = std::move(fd), .answer = {}});
  }

  void wait_until(TestClock::time_point end) {
    const auto left = std::max(nanoseconds{0}, end - TestClock::now());
    const timespec timeout{.tv_sec = left / std::chrono::seconds{1}, .tv_nsec = (left % std::chrono::seconds{1}).count()};
    std::array<epoll_event, 256> events;
    const int count = epoll_pwait2(epoll_.get(), events.data(), events.size(), &timeout, nullptr);
    for (int i = 0; i < count; ++i) step(events[static_cast<std::size_t>(i)].data.u64);
  }

  void step(std::size_t index) {
    if (connects_[index].connected < nanoseconds{0})
      connected(index);
    else
      read_answer(index);
  }

  void connected(std::size_t index) {
    const int fd = open_.at(index).fd.get();
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0) return end(index, result_of(error));
    connects_[index].connected = TestClock::now() - connects_[index].started;
    if (send(fd, "who\n", 4, MSG_NOSIGNAL) < 0) return end(index, result_of(errno));
    epoll_event event{.events = EPOLLIN, .data = {.u64 = index}};
    checked(epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event), "epoll_ctl");
  }

  void read_answer(std::size_t index) {
    Open& open = open_.at(index);
    std::array<char, 256> buffer;
    const ssize_t got = recv(open.fd.get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got < 0) return end(index, result_of(errno));
    if (got == 0) return end(index, Result::closed);
    open.answer.append(buffer.data(), static_cast<std::size_t>(got));
    if (!open.answer.ends_with('\n')) return;
    connects_[index].by = open.answer.substr(0, open.answer.size() - 1);
    end(index, Result::answered);
  }

  void expire() {
    const auto limit = TestClock::now() - plan_.deadline;
    while (!open_.empty() && connects_[open_.begin()->first].started < limit) end(open_.begin()->first, Result::timeout);
  }

  int family_;
  SocketAddress to_;
  LoadPlan plan_;
  const std::atomic<bool>& ending_;
  std::vector<Connect>& connects_;
  Fd epoll_;
  std::map<std::size_t, Open> open_; // by index, so the oldest is first
};

nanoseconds at_percent(std::vector<nanoseconds>& values, double percent) {
  if (values.empty()) return nanoseconds{0};
  std::ranges::sort(values);
  const auto rank = static_cast<std::size_t>(std::ceil(percent / 100 * static_cast<double>(values.size())));
  return values[std::clamp<std::size_t>(rank, 1, values.size()) - 1];
}

double in_ms(nanoseconds time) { return std::chrono::duration<double, std::milli>(time).count(); }

} // namespace

std::map<std::string, std::size_t> LoadResult::answered() const {
  std::map<std::string, std::size_t> by;
  for (const Connect& connect : connects)
    if (connect.result == Result::answered) ++by[connect.by];
  return by;
}

std::size_t LoadResult::count(Result result) const {
  return static_cast<std::size_t>(std::ranges::count(connects, result, &Connect::result));
}

nanoseconds LoadResult::connect_time(double percent) const {
  std::vector<nanoseconds> times;
  for (const Connect& connect : connects)
    if (connect.connected >= nanoseconds{0}) times.push_back(connect.connected);
  return at_percent(times, percent);
}

nanoseconds LoadResult::answer_time(double percent) const {
  std::vector<nanoseconds> times;
  for (const Connect& connect : connects)
    if (connect.result == Result::answered) times.push_back(connect.ended);
  return at_percent(times, percent);
}

std::ostream& operator<<(std::ostream& stream, const LoadResult& result) {
  stream << result.connects.size() << " connects:";
  for (const auto& [name, count] : result.answered()) stream << ' ' << count << ' ' << name;
  for (const Result kind :
       {Result::refused, Result::reset, Result::closed, Result::timeout, Result::unreachable, Result::prohibited, Result::failed})
    if (const auto count = result.count(kind); count > 0) stream << ", " << count << ' ' << to_text(kind);
  return stream << fmt::format("; connect p50 {:.2f} p99 {:.2f} slowest {:.2f} ms; answer p50 {:.2f} p99 {:.2f} slowest {:.2f} ms",
                               in_ms(result.connect_time(50)), in_ms(result.connect_time(99)), in_ms(result.slowest_connect()),
                               in_ms(result.answer_time(50)), in_ms(result.answer_time(99)), in_ms(result.slowest_answer()));
}

Load::Load(Lab& lab, Host host, const Endpoint& to, LoadPlan plan) {
  raise_descriptor_limit();
  thread_ = std::thread([this, &lab, host, to, plan] {
    try {
      lab.in(host, [&] { Generator(to, plan, ending_, result_.connects).run(); });
    } catch (...) {
      failure_ = std::current_exception();
    }
  });
}

Load::~Load() {
  ending_ = true;
  if (thread_.joinable()) thread_.join();
}

LoadResult Load::stop() {
  ending_ = true;
  return finish();
}

LoadResult Load::finish() {
  if (thread_.joinable()) thread_.join();
  if (failure_) std::rethrow_exception(failure_);
  return result_;
}

} // namespace hanat::test
