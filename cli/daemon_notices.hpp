// What an operator should know about hanatd itself: its table, its configuration, its probes, the other gateway. Sentences, in the order in
// which they stand on a screen. Pure. Not here: services (notices), the screens (show_status, top_texts).
#pragma once

#include <vector>

#include "cli/notices.hpp"
#include "daemon/api/status.hpp"
#include "daemon/util/wall_time.hpp"

namespace hanat::cli {

std::vector<Notice> daemon_notices(const DaemonStatus& daemon, WallTime now);

} // namespace hanat::cli
