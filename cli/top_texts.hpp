// What hanatd says, as values of the live screen (top/): the words are those of the other commands. Pure.
// Not here: how they stand on it (top/draw), asking hanatd (top_command).
#pragma once

#include <string>

#include "cli/top/flow_rates.hpp"
#include "cli/top/values.hpp"
#include "daemon/api/status.hpp"
#include "daemon/util/wall_time.hpp"

namespace hanat::cli {

top::Head top_head(const DaemonStatus& daemon, const std::string& host, WallTime now);
top::Row top_row(const ServiceStatus& service, const top::Rates& rates, WallTime now);
top::Event top_event(const HistoryEntry& entry, WallTime now);

} // namespace hanat::cli
