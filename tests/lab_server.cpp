// Two tiny roles for the demonstration: a server that answers each line with its name, and a client that asks all the time and tells who
// answered. Not here: the servers and clients of the tests (netns/peers), which need no program of their own.
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <system_error>
#include <thread>

#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "nat/address.hpp"
#include "tests/netns/lab/fd.hpp"

namespace {

using hanat::Endpoint;
using hanat::Fd;
using hanat::test::checked;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds pause_between_requests{10};
constexpr milliseconds patience{5000}; // of one request

double in_ms(Clock::duration time) { return std::chrono::duration<double, std::milli>(time).count(); }

void say(const std::string& text) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  tm parts{};
  localtime_r(&now.tv_sec, &parts);
  fmt::print("{:02}:{:02}:{:02}.{:03}  {}\n", parts.tm_hour, parts.tm_min, parts.tm_sec, now.tv_nsec / 1'000'000, text);
  std::fflush(stdout);
}

void answer_lines(const Fd& connection, const std::string& reply) {
  std::array<char, 4096> buffer;
  while (true) {
    const ssize_t got = recv(connection.get(), buffer.data(), buffer.size(), 0);
    if (got <= 0) return;
    for (ssize_t i = 0; i < got; ++i)
      if (buffer[static_cast<std::size_t>(i)] == '\n') send(connection.get(), reply.data(), reply.size(), MSG_NOSIGNAL);
  }
}

[[noreturn]] void serve(const std::string& name, std::uint16_t port) {
  const Fd listener{checked(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")};
  const int on = 1;
  const int off = 0;
  setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(listener.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  const auto any = hanat::to_sockaddr({.address = hanat::Address::parse("::").value(), .port = port});
  checked(bind(listener.get(), any.get(), any.length), fmt::format("bind port {}", port));
  checked(listen(listener.get(), 1024), "listen");
  while (true) {
    Fd connection{accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)};
    if (connection) std::thread([reply = name + "\n", fd = std::move(connection)] { answer_lines(fd, reply); }).detach();
  }
}

/// A new connection, one line, its answer. Throws std::system_error when there is none.
std::string ask_once(const Endpoint& to) {
  const int family = to.address.family() == hanat::Family::ipv4 ? AF_INET : AF_INET6;
  const Fd fd{checked(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")};
  // Bounds connect() too.
  const timeval limit{.tv_sec = std::chrono::floor<std::chrono::seconds>(patience).count(), .tv_usec = 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  const auto address = hanat::to_sockaddr(to);
  checked(connect(fd.get(), address.get(), address.length), "connect");
  checked(static_cast<int>(send(fd.get(), "who\n", 4, MSG_NOSIGNAL)), "send");
  std::array<char, 256> buffer;
  const ssize_t got = checked(static_cast<int>(recv(fd.get(), buffer.data(), buffer.size(), 0)), "receive");
  if (got == 0) throw std::system_error(ECONNRESET, std::generic_category(), "closed without an answer");
  const std::string answer(buffer.data(), static_cast<std::size_t>(got));
  return answer.substr(0, answer.find('\n'));
}

/// What a person wants to see of thousands of requests: who answers, every change, a time of failures as a whole, one line a second.
class Account {
public:
  void answered(const std::string& by, Clock::duration took) {
    const auto now = Clock::now();
    if (failing_ > 0) end_of_failures(now);
    if (by != by_) change(by, now);
    ++total_;
    ++in_second_;
    slowest_ = std::max(slowest_, took);
    slowest_in_second_ = std::max(slowest_in_second_, took);
    longest_gap_ = std::max(longest_gap_, now - last_answer_);
    last_answer_ = now;
    if (now - second_began_ < std::chrono::seconds{1}) return;
    say(fmt::format("{} requests, all answered by {}, slowest {:.1f} ms", in_second_, by_, in_ms(slowest_in_second_)));
    begin_second(now);
  }
  void failed(const std::string& why, Clock::duration took) {
    ++total_;
    ++failed_;
    if (++failing_ > 1) return;
    failing_since_ = Clock::now();
    say(fmt::format("!!! a request failed after {:.0f} ms: {}", in_ms(took), why));
  }
  /// True: the answers moved to another server and back, and none is missing at the end.
  bool close() const {
    say(fmt::format("{} requests: {} answered, {} failed; slowest answer {:.0f} ms, longest time without an answer {:.0f} ms", total_,
                    total_ - failed_, failed_, in_ms(slowest_), in_ms(longest_gap_)));
    return changes_ >= 2 && by_ == first_ && failing_ == 0;
  }

private:
  void change(const std::string& by, Clock::time_point now) {
    if (by_.empty()) {
      first_ = by;
      last_answer_ = now;
      say(fmt::format("{} answers", by));
    } else {
      ++changes_;
      say(fmt::format("*** now {} answers, {:.0f} ms after the last answer of {}", by, in_ms(now - last_answer_), by_));
    }
    by_ = by;
    begin_second(now);
  }
  void end_of_failures(Clock::time_point now) {
    say(fmt::format("!!! {} requests failed within {:.0f} ms", failing_, in_ms(now - failing_since_)));
    failing_ = 0;
    begin_second(now);
  }
  void begin_second(Clock::time_point now) {
    second_began_ = now;
    in_second_ = 0;
    slowest_in_second_ = {};
  }

  std::string by_, first_;
  std::size_t total_ = 0, failed_ = 0, changes_ = 0;
  std::size_t failing_ = 0; // in a row, now
  std::size_t in_second_ = 0;
  Clock::duration slowest_{}, slowest_in_second_{}, longest_gap_{};
  Clock::time_point last_answer_, failing_since_, second_began_;
};

int ask(const Endpoint& to, std::chrono::seconds how_long) {
  Account account;
  const auto end = Clock::now() + how_long;
  for (auto start = Clock::now(); start < end; start = Clock::now()) {
    try {
      const std::string by = ask_once(to);
      account.answered(by, Clock::now() - start);
    } catch (const std::system_error& error) {
      account.failed(error.what(), Clock::now() - start);
    }
    std::this_thread::sleep_until(start + pause_between_requests);
  }
  return account.close() ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) try {
  const std::string word = argc > 1 ? argv[1] : "";
  if (word == "serve" && argc == 4) serve(argv[2], static_cast<std::uint16_t>(std::stoul(argv[3])));
  const auto address = word == "ask" && argc == 5 ? hanat::Address::parse(argv[2]) : std::nullopt;
  if (address)
    return ask({.address = *address, .port = static_cast<std::uint16_t>(std::stoul(argv[3]))}, std::chrono::seconds{std::stoi(argv[4])});
  fmt::print(stderr, "usage: hanat-lab-server serve NAME PORT | ask ADDRESS PORT SECONDS\n");
  return 2;
} catch (const std::exception& error) {
  fmt::print(stderr, "hanat-lab-server: {}\n", error.what());
  return 1;
}
