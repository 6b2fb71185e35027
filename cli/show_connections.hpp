// The connections of a service by server and state, and whether a server may be unplugged, for people. Pure but for the time zone. Not
// here: counting them (daemon).
#pragma once

#include <string>
#include <vector>

#include "cli/view.hpp"
#include "daemon/api/connections.hpp"

namespace hanat::cli {

/// May the server be unplugged? "primary: may be unplugged: it has no connections and gets no new ones"; otherwise what to do first.
struct Unplugging {
  std::string text;
  std::vector<std::string> remedies;
};
Unplugging unplugging_of(const ConnectionsReport& report, const ConnectionServer& server);
std::string show_connections(const ConnectionsReport& report, const View& view);

} // namespace hanat::cli
