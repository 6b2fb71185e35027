// keepalived.conf: virtual servers, and the addresses of VRRP as a pair.
// Pure, but for the files that `includes` reads. Not here: its blocks (keepalived_blocks), health checks (keepalived_checks).
#pragma once

#include "cli/import/model.hpp"

namespace hanat::cli::imports {

Imported parse_keepalived(const SourceText& source, const Includes& includes);

} // namespace hanat::cli::imports
