// The values of a service's keys as text, to tell what differs between two configurations. What may be secret (what a probe sends,
// headers, programs) is compared and never shown. Pure. Not here: reading a configuration (load_config).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "daemon/config/config.hpp"

namespace hanat {

/// A key with another value: "down", "3 in 10s", "2 in 10s". An empty text: the key, or its service, is not there.
struct KeyDifference {
  std::string key, before, after;
  bool operator==(const KeyDifference&) const = default;
};

/// In the order of their names; empty exactly for equal configurations.
std::vector<KeyDifference> differences(const ServiceConfig& before, const ServiceConfig& after);
/// Of [hanatd].
std::vector<KeyDifference> differences(const Config& before, const Config& after);

/// Of all values of a probe and of its endpoint; the same in every run of this version. Others may be, too, but hardly by chance.
std::uint64_t probe_identity(const probes::Probe& probe);

} // namespace hanat
