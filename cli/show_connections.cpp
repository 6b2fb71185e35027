// A table, a sentence a server, and the list.
#include "cli/show_connections.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/text.hpp"
#include "daemon/util/escape.hpp"

namespace hanat::cli {
namespace {

std::string name_of(const ConnectionServer& server) { return escaped(server.role.empty() ? server.address : server.role); }

std::string other_services(const ConnectionServer& server) {
  std::vector<std::string> names;
  names.reserve(server.also_target_of.size());
  for (const std::string& name : server.also_target_of) names.push_back(escaped(name));
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string of_target(const ConnectionsReport& report, const ConnectionServer& server) {
  const auto other = std::ranges::find_if(report.servers, [](const auto& one) { return !one.target && one.health == "up"; });
  const std::string begin = fmt::format("{}: {}, gets new ones: not now", name_of(server), plural(server.counts.live(), "connection"));
  if (other == report.servers.end()) return begin + "; no other server is up, so its clients would not be served";
  const bool to_primary = other->role == "primary";
  return begin +
         fmt::format("; {} is up: hanatctl {} {}", name_of(*other), to_primary ? "force-primary" : "force-backup", escaped(report.service));
}

} // namespace

std::string show_unplugging(const ConnectionsReport& report, const ConnectionServer& server) {
  if (server.target) return of_target(report, server);
  const std::uint64_t live = server.counts.live();
  if (server.returns_in_s)
    return fmt::format("{}: {}, gets new ones again in {}: not yet; hanatctl force-backup {} keeps them away", name_of(server),
                       plural(live, "connection"), duration(*server.returns_in_s), escaped(report.service));
  const std::string begin = fmt::format("{}: {}, gets no new ones", name_of(server), plural(live, "connection"));
  if (!server.also_target_of.empty()) return fmt::format("{}; but it has the traffic of {}: not yet", begin, other_services(server));
  if (live == 0) return begin + ": may be unplugged";
  if (server.leaving == "drain")
    return fmt::format("{}: not yet; the drain ends in {}", begin, server.ends_in_s ? duration(*server.ends_in_s) : "an unknown time");
  if (server.leaving == "cut") return begin + ": in a moment; they are being cut";
  return begin + ": these break when it is unplugged";
}

std::string show_connections(const ConnectionsReport& report, const View& view) {
  const Colorizer paint{view.colour};
  std::string text = paint(Colour::bold, fmt::format("{:<25} {:>7} {:>7} {:>11} {:>7} {:>8} {:>6}", escaped(report.service), "health",
                                                     "opening", "established", "closing", "answered", "silent")) +
                     "\n";
  std::uint64_t by_server = 0, offloaded = 0;
  for (const ConnectionServer& server : report.servers) {
    const ConnectionCounts& counts = server.counts;
    const std::string name =
        server.role.empty() ? escaped(server.address) : fmt::format("{} {}", escaped(server.role), escaped(server.address));
    text += fmt::format("{:<25} {:>7} {:>7} {:>11} {:>7} {:>8} {:>6}{}\n", name, escaped(server.health), counts.opening, counts.established,
                        counts.closing, counts.answered, counts.unanswered, server.target ? " <-" : "");
    by_server += counts.opened_by_server;
    offloaded += counts.offloaded;
  }
  if (by_server > 0) text += fmt::format("{} of them opened by a server\n", by_server);
  if (offloaded > 0) text += fmt::format("{} of them offloaded to a flowtable\n", offloaded);
  for (const ConnectionServer& server : report.servers)
    for (const std::string& line : wrapped(show_unplugging(report, server), view.width, 2)) text += line + "\n";
  for (const ConnectionEntry& flow : report.list)
    text += fmt::format("  {} -> {}  {}  {}{}{}\n", escaped(flow.client), escaped(flow.listen), escaped(flow.server), escaped(flow.state),
                        flow.opened_by_server ? ", opened by the server" : "", flow.offloaded ? ", offloaded" : "");
  return text;
}

} // namespace hanat::cli
