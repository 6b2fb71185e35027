// Waiting until a client is served. Not here: by whom (peers, ipvs).
#pragma once

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string_view>
#include <thread>

#include <fmt/format.h>

#include "tests/netns/lab/peers.hpp"

namespace hanat::bench {

/// Until a client of that port is served by this server. `balancer`: who stands in between, for the error.
inline void wait_served(test::Lab& lab, std::uint16_t port, std::string_view by, std::string_view balancer) {
  using test::milliseconds;
  for (const auto end = test::TestClock::now() + milliseconds{60'000}; test::TestClock::now() < end;
       std::this_thread::sleep_for(std::chrono::microseconds{200}))
    if (test::connect_once(lab, test::Host::client, test::Lab::vip(port), milliseconds{500}).text == by) return;
  throw std::runtime_error(fmt::format("{}: no client of port {} is served by {}", balancer, port, by));
}

} // namespace hanat::bench
