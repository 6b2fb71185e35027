// The keys that only some kinds of probes take: which they are, and who reads them.
// Not here: the keys of every probe, and which kinds there are (config_probe).
#pragma once

#include <string_view>

#include "daemon/config_parts.hpp"

namespace hanat::config {

// Each reads its keys into `spec.details`; the reader finds what is wrong.

/// config_probe_http
inline constexpr std::string_view http_keys[] = {"method", "path", "host", "body", "status"};
inline constexpr std::string_view https_keys[] = {"method", "path", "host", "body", "status", "verify"};
void read_http(TableReader& reader, probes::Spec& spec);
void read_https(TableReader& reader, probes::Spec& spec);

} // namespace hanat::config
