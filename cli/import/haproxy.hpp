// haproxy.cfg: frontends with their backend, and listen sections.
// Pure. Not here: its lines (haproxy_sections), servers (haproxy_server), health checks (haproxy_checks).
#pragma once

#include <vector>

#include "cli/import/model.hpp"

namespace hanat::cli::imports {

/// `any`: the addresses that "bind *:443" stands for.
Imported parse_haproxy(const SourceText& source, const std::vector<Address>& any);

} // namespace hanat::cli::imports
