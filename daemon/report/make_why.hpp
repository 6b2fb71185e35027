// The entries of the history that led to a service's target, now or at a time. Pure. Not here: the history itself (history), the text
// (cli/show_why).
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "daemon/api/why.hpp"
#include "daemon/report/history.hpp"
#include "daemon/util/wall_time.hpp"

namespace hanat {

/// Times are RFC 3339, UTC, milliseconds.
struct WhyQuery {
  std::string service = {};
  std::string from = {};            // empty: the last change of target up to `at`; otherwise all of them since then
  std::string at = {};              // empty: now
  std::set<std::string> group = {}; // the services that move together with it, itself included
  bool observed = false;            // it is only observed now: where hanatd would send its connections takes the place of a target
};
WhyReport make_why(const HistoryRing& history, const WhyQuery& query);

struct TargetSince {
  std::string target; // a role or "none"
  WallTime since{};
  bool operator==(const TargetSince&) const = default;
};
/// Of each service that the history has a target of, the newest.
std::map<std::string, TargetSince> last_targets(const HistoryRing& history);

/// Services with a change of target or of health from ten minutes before the query's end, or from its begin if that is earlier; the
/// latest first.
std::vector<std::string> services_changed_before(const HistoryRing& history, const WhyQuery& query, std::size_t at_most);

} // namespace hanat
