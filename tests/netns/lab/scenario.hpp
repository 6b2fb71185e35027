// Configurations that tests share: one service with two servers, paced fast so that a test waits milliseconds where an operator waits
// seconds.
#pragma once

#include <cstdint>
#include <string>

#include <fmt/format.h>

#include "tests/netns/lab/lab.hpp"

namespace hanat::test {

struct FastService {
  std::string name = "web";
  std::string listen = "203.0.113.10:443/tcp"; // or `a", "b`
  std::uint16_t port = 8443;                   // of both servers
  Family family = Family::ipv4;
  std::string probe = "type = \"tcp\"";
  std::string down = "fails = 3, within = \"2s\"";
  std::string up = "passes = 2, stable_for = \"100ms\"";
  std::string extra = {}; // more lines
};

/// One [service.NAME] with the Lab's primary and backup. Planned moves reset at once, unless `extra` says otherwise: what drains is a
/// test's own.
inline std::string fast_service(const FastService& service = {}) {
  const bool own = service.extra.find("on_forced") != std::string::npos;
  const std::string more = own ? service.extra : "on_forced = \"reset\"" + (service.extra.empty() ? "" : "\n" + service.extra);
  return fmt::format("[service.{}]\nlisten = [\"{}\"]\nprimary = \"{}\"\nbackup = \"{}\"\n"
                     "probe = {{ {}, interval = \"50ms\", fast_interval = \"10ms\", timeout = \"200ms\" }}\n"
                     "down = {{ {} }}\nup = {{ {} }}\n{}\n",
                     service.name, service.listen, to_text(Lab::endpoint(Host::primary, service.port, service.family)),
                     to_text(Lab::endpoint(Host::backup, service.port, service.family)), service.probe, service.down, service.up, more);
}

} // namespace hanat::test
