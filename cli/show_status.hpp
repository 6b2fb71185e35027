// The status for people: totals, then what is wrong, grouped by cause, then the rest in a few words; or every service with all of its
// servers. Pure. Not here: the sentences about a service (notices), JSON (printed as received), one line for monitoring (show_check).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cli/view.hpp"
#include "daemon/api/status.hpp"

namespace hanat::cli {

enum class Detail : std::uint8_t { overview, full };

std::string show_status(const Status& status, Detail detail, const View& view);

/// "refused, 3 of 3 fails in 10 s, 0.4 s ago", "connected 0.21 ms, 0.4 s ago"
std::string show_last(const std::optional<LastResult>& last, const FailsStatus& fails);

} // namespace hanat::cli
