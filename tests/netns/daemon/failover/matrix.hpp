// What the matrices of transitions share: where a service is, what its servers' health depends on, and a check of all cells at once.
// Not here: the cells and what is right in each (matrix_test, matrix_flows_test).
#pragma once

#include <algorithm>
#include <array>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"

namespace hanat::test {

enum class Where : std::uint8_t { primary, backup, none, removed };
inline constexpr std::array all_wheres{Where::primary, Where::backup, Where::none, Where::removed};
inline constexpr std::array all_protocols{Protocol::tcp, Protocol::udp, Protocol::sctp};

inline std::string name_of_where(Where where) {
  switch (where) {
  case Where::primary: return "primary";
  case Where::backup: return "backup";
  case Where::none: return "none";
  case Where::removed: return "removed";
  }
  return "?";
}
inline bool is_server(Where where) { return where == Where::primary || where == Where::backup; }

/// What answers hanatd's probe: a socket that listens, or none. Nobody accepts; the kernel's queue is long enough for a test.
class Vital {
public:
  Vital(Lab& lab, Host host, std::uint16_t port) : lab_(lab), host_(host), port_(port) {}
  void live(bool on) {
    if (!on) return socket_.reset();
    if (socket_) return;
    socket_ = lab_.socket(host_, AF_INET6, SOCK_STREAM);
    const int yes = 1;
    setsockopt(socket_.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    sockaddr_in6 any{};
    any.sin6_family = AF_INET6;
    any.sin6_port = htons(port_);
    checked(bind(socket_.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any), "bind");
    checked(listen(socket_.get(), 4096), "listen");
  }

private:
  Lab& lab_;
  Host host_;
  std::uint16_t port_;
  Fd socket_;
};

/// Otherwise the kernel refuses six a second by ICMP, and every cell wants its own.
inline void refuse_without_limit(Lab& lab) {
  lab.sysctl(Host::gateway, "net.ipv4.icmp_ratelimit", "0");
  lab.sysctl(Host::gateway, "net.ipv6.icmp.ratelimit", "0");
  lab.sysctl(Host::gateway, "net.ipv4.icmp_msgs_per_sec", "100000"); // of both families
  lab.sysctl(Host::gateway, "net.ipv4.icmp_msgs_burst", "10000");
}

/// Runs one check for every cell at the same time. It returns what is wrong; empty: nothing.
template <typename Cell, typename Check> void in_all_cells(const std::vector<std::unique_ptr<Cell>>& cells, Check check) {
  std::vector<std::future<std::string>> results;
  for (const auto& cell : cells)
    results.push_back(std::async(std::launch::async, [&cell = *cell, check] {
      try {
        const std::string wrong = check(cell);
        return wrong.empty() ? wrong : cell.name() + ": " + wrong;
      } catch (const std::exception& error) {
        return cell.name() + ": " + error.what();
      }
    }));
  for (auto& result : results) {
    const std::string wrong = result.get();
    EXPECT_TRUE(wrong.empty()) << wrong;
  }
}

/// A removed service stays in the table until hanatd has recorded its flows.
template <typename Cell> void wait_until_gone(Lab& lab, const std::vector<std::unique_ptr<Cell>>& cells, Where Cell::*moment) {
  const auto is_loaded = [&](const std::string& listed) {
    return std::ranges::any_of(cells, [&](const auto& cell) {
      return cell.get()->*moment == Where::removed && listed.find(fmt::format(" . {} comment", cell->port)) != std::string::npos;
    });
  };
  const auto end = TestClock::now() + milliseconds{15'000};
  while (is_loaded(lab.must(Host::gateway, "nft list set inet hanat vips4 && nft list set inet hanat vips6")))
    ASSERT_LT(TestClock::now(), end) << "a removed service is still in the table";
}

/// One datagram may be lost, and is no proof: nobody answers three in a row.
template <typename Ask> bool nobody_answers(Ask ask) {
  for (int tries = 0; tries < 3; ++tries)
    if (ask().result == Result::answered) return false;
  return true;
}

} // namespace hanat::test
