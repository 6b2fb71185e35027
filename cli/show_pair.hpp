// One line about the role of a gateway in a pair. Pure. Not here: the rest of the status (show_status).
#pragma once

#include <string>

#include "cli/view.hpp"
#include "daemon/api/status.hpp"

namespace hanat::cli {

std::string show_pair(const PairStatus& pair, const View& view);

} // namespace hanat::cli
