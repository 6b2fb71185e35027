// What the three systems have in common and hanat has not: services with servers of both families, servers that are named twice, services
// without a probe that could judge them. Pure.
// Not here: what one system alone has (keepalived, haproxy, iptables).
#pragma once

#include <string>
#include <vector>

#include "cli/import/model.hpp"

namespace hanat::cli::imports {

void finish(Imported& imported);

/// The marks LOST in the output, the lines that are not needed, and the services that stand there as more than a comment.
struct Counts {
  std::size_t services = 0, refused = 0, lost = 0, hints = 0, needless = 0;
};
Counts count(const Imported& imported);

} // namespace hanat::cli::imports
