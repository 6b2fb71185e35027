// The history for people. Pure. Not here: the texts of entries, which are the journal's.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/view.hpp"
#include "daemon/api/status.hpp"

namespace hanat::cli {

/// "primary 10.0.0.11:8443"; without an address the role alone.
std::string place_of(const std::string& role, const std::string& address);
/// "primary -> backup, failover; committed in 14 us; cut 41 tcp, 7 udp in 3.1 ms; nudge sent to 41 clients". The addresses of the servers
/// stand behind their roles where they are given.
std::string show_flip(const FlipStatus& flip, const std::string& from_address = {}, const std::string& to_address = {});
/// The text of an entry, of an override without how long it lasts and what ends it: that is shown from other fields.
std::string_view text_of(const HistoryEntry& entry);
/// All of an entry but its time and its service.
std::string entry_text(const HistoryEntry& entry, WallTime now);
/// The entries in the given order, with a line before each day. All times are local.
std::string show_history(const std::vector<HistoryEntry>& history, const View& view);
/// What follows on `day`, which becomes the last entry's; empty for no entries.
std::string show_history(const std::vector<HistoryEntry>& history, const View& view, std::string& day);

} // namespace hanat::cli
