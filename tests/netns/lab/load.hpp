// Many clients: so many new connections a second, each asks one line, in the background, and an account of every one of them.
// Not here: single clients (peers).
#pragma once

#include <atomic>
#include <exception>
#include <iosfwd>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include <fmt/ostream.h>

#include "tests/netns/lab/peers.hpp"

namespace hanat::test {

struct LoadPlan {
  unsigned per_second = 1000;
  milliseconds duration{5000};  // finish() may end it sooner
  milliseconds deadline{10000}; // of each connection, from connect() to the answer
};

/// One connection.
struct Connect {
  TestClock::time_point started;
  std::chrono::nanoseconds connected{-1}; // connect() to the established connection; negative: never
  std::chrono::nanoseconds ended{};       // connect() to the answer or the failure
  Result result = Result::timeout;
  std::string by; // who answered
};

struct LoadResult {
  std::vector<Connect> connects; // in order of their start

  std::map<std::string, std::size_t> answered() const; // by server
  std::size_t count(Result result) const;
  std::size_t failed() const { return connects.size() - count(Result::answered); }
  /// Of the connections that were made; percent 0..100. Zero when there are none.
  std::chrono::nanoseconds connect_time(double percent) const;
  std::chrono::nanoseconds slowest_connect() const { return connect_time(100); }
  /// connect() to answer, of the connections that were answered.
  std::chrono::nanoseconds answer_time(double percent) const;
  std::chrono::nanoseconds slowest_answer() const { return answer_time(100); }
};
/// "5000 connects: 1203 primary, 3797 backup; connect p50 0.11 p99 0.30 slowest 98.21 ms; answer ..."
std::ostream& operator<<(std::ostream& stream, const LoadResult& result);

class Load {
public:
  Load(Lab& lab, Host host, const Endpoint& to, LoadPlan plan = {});
  ~Load();
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;
  /// Starts no more connections, waits for those under way (each to its own deadline).
  LoadResult stop();
  /// Waits until the plan's duration is over and the last connection has ended.
  LoadResult finish();

private:
  std::atomic<bool> ending_ = false;
  LoadResult result_;
  std::exception_ptr failure_;
  std::thread thread_;
};

} // namespace hanat::test

template <> struct fmt::formatter<hanat::test::LoadResult> : fmt::ostream_formatter {};
