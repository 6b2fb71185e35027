// A status for the tests of what hanatctl shows, in the time zone UTC. Not here: any test.
#pragma once

#include <cstdlib>
#include <ctime>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "cli/view.hpp"
#include "daemon/api/status.hpp"

namespace hanat::cli {

inline const WallTime now = *parse_wall_time("2026-01-31T14:00:05.000Z");

class Show : public testing::Test {
protected:
  Show() {
    setenv("TZ", "UTC", 1);
    tzset();
  }
};

inline ServerStatus server(const char* role, const char* address, const char* health, const char* reason, unsigned fails) {
  ServerStatus made;
  made.role = role;
  made.address = address;
  made.health = health;
  made.fails = {.count = fails, .of = 3, .within_s = 10};
  made.last = LastResult{.outcome = fails == 0 ? "pass" : "fail", .reason = reason, .detail = "", .latency_ms = 0.214, .age_s = 0.4};
  return made;
}

inline ServiceStatus web() {
  ServiceStatus made;
  made.name = "web";
  made.target = "primary";
  made.target_address = "10.0.0.11:8443";
  made.since = "2026-01-31T11:57:05.000Z";
  made.why = "primary-up";
  made.listen = {"203.0.113.10:443/tcp", "203.0.113.10:443/udp"};
  made.servers = {server("primary", "10.0.0.11:8443", "up", "connected", 0), server("backup", "10.0.0.12:8443", "up", "connected", 0)};
  return made;
}

inline ServiceStatus failed_over() {
  auto made = web();
  made.target = "backup";
  made.target_address = "10.0.0.12:8443";
  made.since = "2026-01-31T13:59:22.000Z";
  made.why = "failover";
  made.servers[0] = server("primary", "10.0.0.11:8443", "down", "refused", 3);
  made.flips = 1;
  made.last_flip = FlipStatus{.at = "2026-01-31T13:59:22.000Z",
                              .from = "primary",
                              .to = "backup",
                              .why = "failover",
                              .commit_us = 14,
                              .cut = {.tcp = 41, .udp = 7, .sctp = 0},
                              .nudged = 41,
                              .cut_ms = 3.14};
  return made;
}

inline Status with(std::vector<ServiceStatus> services) {
  Status status;
  status.daemon.pid = 812;
  status.daemon.uptime_s = 273'600;
  status.daemon.version = "0.1.0";
  status.daemon.config = "/etc/hanat/hanat.toml";
  status.services = std::move(services);
  return status;
}

} // namespace hanat::cli
