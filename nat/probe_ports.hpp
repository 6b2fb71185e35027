// The source ports of probes that bypass conntrack, and what they leave for the source ports of clients. Pure.
// Not here: the rules (nftables/ruleset), binding to a port (probes/io/socket).
#pragma once

#include <cstdint>

namespace hanat::nat {

struct ProbePorts {
  std::uint16_t first = 61'000, last = 61'999;
  bool operator==(const ProbePorts&) const = default;
};

struct SourcePorts {
  std::uint16_t first, last;
};

/// Where source ports are translated to: above the privileged ones, and on that side of the probes' ports that has more of them.
constexpr SourcePorts source_ports_beside(const ProbePorts& probes) {
  constexpr std::uint16_t first = 1024, last = 65'535;
  if (probes.first - first >= last - probes.last) return {.first = first, .last = static_cast<std::uint16_t>(probes.first - 1)};
  return {.first = static_cast<std::uint16_t>(probes.last + 1), .last = last};
}

} // namespace hanat::nat
