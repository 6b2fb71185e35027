// The history for people. Pure. Not here: the texts of entries, which are the journal's.
#pragma once

#include <string>
#include <vector>

#include "cli/view.hpp"
#include "daemon/api/status.hpp"

namespace hanat::cli {

/// "primary -> backup, failover; committed in 14 us; cut 41 tcp, 7 udp, 0 sctp in 3.1 ms; nudge sent to 41 clients"
std::string show_flip(const FlipStatus& flip);
/// The entries in the given order, with a line before each day. All times are local.
std::string show_history(const std::vector<HistoryEntry>& history, const View& view);
/// What follows on `day`, which becomes the last entry's; empty for no entries.
std::string show_history(const std::vector<HistoryEntry>& history, const View& view, std::string& day);

} // namespace hanat::cli
