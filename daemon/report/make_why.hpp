// The entries of the history that led to a service's target, now or at a time. Pure. Not here: the history itself (history), the text
// (cli/show_why).
#pragma once

#include <set>
#include <string>
#include <vector>

#include "daemon/api/why.hpp"
#include "daemon/report/history.hpp"

namespace hanat {

/// `at`: RFC 3339, UTC, milliseconds; empty: now. `group`: the services that move together with it, itself included.
WhyReport make_why(const HistoryRing& history, const std::string& service, const std::string& at, const std::set<std::string>& group);

/// Services with a flip or a change of health within ten minutes before the moment, the latest first.
std::vector<std::string> services_changed_before(const HistoryRing& history, const std::string& moment, std::size_t at_most);

} // namespace hanat
