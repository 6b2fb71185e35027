// A table, a sentence a server, and the list.
#include "cli/show_connections.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/remedy.hpp"
#include "cli/text.hpp"
#include "daemon/util/escape.hpp"

namespace hanat::cli {
namespace {

std::string name_of(const ConnectionServer& server) { return escaped(server.role.empty() ? server.address : server.role); }

/// "no connections", "1 connection"
std::string counted(std::uint64_t live) { return live == 0 ? "no connections" : plural(live, "connection"); }

/// What a forced move does to the connections that stand.
std::string outcome_of(const ConnectionsReport& report) {
  if (report.on_forced == "keep") return "its connections stay until they end";
  if (report.on_forced.starts_with("drain "))
    return fmt::format("its connections drain for {}, then the rest is reset", escaped(report.on_forced.substr(6)));
  return "its connections are reset";
}

Unplugging of_target(const ConnectionsReport& report, const ConnectionServer& server) {
  const auto may_serve = [](const ConnectionServer& one) { return !one.target && !one.disabled && one.health == "up"; };
  const auto other = std::ranges::find_if(report.servers, may_serve);
  const std::uint64_t live = server.counts.live();
  const std::string begin = fmt::format("{}: not now: it gets the new connections, and has {}", name_of(server), counted(live));
  if (report.observed) return {begin + ". In mode observe hanat moves nothing: first set mode = \"auto\", and reload.", {}};
  if (other == report.servers.end()) return {begin + ". No other server is up and enabled, so clients would not be served.", {}};
  const bool to_primary = other->role == "primary";
  const std::string service = escaped(report.service);
  const std::string outcome = live == 0 ? "" : fmt::format(" ({})", outcome_of(report));
  return {fmt::format("{}. First move the traffic to {}{}, then look again:", begin, name_of(*other), outcome),
          {fmt::format("hanatctl {} {}", to_primary ? "force-primary" : "force-backup", service), "hanatctl connections " + service}};
}

std::string also_target_text(const ConnectionServer& server) {
  std::vector<std::string> others;
  others.reserve(server.also_target_of.size());
  for (const std::string& name : server.also_target_of) others.push_back(escaped(name));
  return fmt::format("{}", fmt::join(others, ", "));
}

/// In mode observe, of a server that hanat sends nothing to.
Unplugging of_observed(const ConnectionsReport& report, const ConnectionServer& server) {
  const bool sends = std::ranges::any_of(report.servers, &ConnectionServer::target);
  std::string text = fmt::format("{}: {} may: look there before you unplug it; it has {}", name_of(server),
                                 sends ? "hanat sends it no new connections, but in mode observe other rules"
                                       : "hanat does not send this service's connections (mode observe), and other rules",
                                 counted(server.counts.live()));
  if (server.also_target_of.empty()) return {std::move(text), {}};
  return {fmt::format("{}, and has the traffic of {}. To see that:", text, also_target_text(server)),
          {fmt::format("hanatctl connections {}", escaped(server.also_target_of.front()))}};
}

} // namespace

Unplugging unplugging_of(const ConnectionsReport& report, const ConnectionServer& server) {
  if (server.target) return of_target(report, server);
  if (report.observed) return of_observed(report, server);
  const std::uint64_t live = server.counts.live();
  const std::string service = escaped(report.service);
  if (server.returns_in_s)
    return {fmt::format("{}: not yet: it has {}, and gets new ones again in {}. To keep them away:", name_of(server), counted(live),
                        duration(*server.returns_in_s)),
            {"hanatctl force-backup " + service}};
  const std::string has =
      live == 0 ? "it has no connections and gets no new ones" : fmt::format("it gets no new connections, and has {}", counted(live));
  if (!server.also_target_of.empty())
    return {fmt::format("{}: not yet: {} here, but it has the traffic of {}. To see that:", name_of(server), has, also_target_text(server)),
            {fmt::format("hanatctl connections {}", escaped(server.also_target_of.front()))}};
  if (live == 0) return {fmt::format("{}: may be unplugged: {}", name_of(server), has), {}};
  if (server.leaving == "drain")
    return {fmt::format("{}: not yet: {}; the drain ends in {}", name_of(server), has,
                        server.ends_in_s ? duration(*server.ends_in_s) : "an unknown time"),
            {}};
  if (server.leaving == "cut")
    return {fmt::format("{}: in a moment: {}, which {} being cut", name_of(server), has, live == 1 ? "is" : "are"), {}};
  return {fmt::format("{}: not without loss: {}, which would break", name_of(server), has), {}};
}

namespace {

std::string show_unplugging(const Unplugging& server, const View& view) {
  std::string text;
  for (const std::string& line : wrapped(server.text, view.width, 2)) text += line + "\n";
  for (const std::string& remedy : server.remedies)
    for (const std::string& line : remedy_lines(remedy, view.width, 2)) text += line + "\n";
  return text;
}

} // namespace

std::string show_connections(const ConnectionsReport& report, const View& view) {
  const Colorizer paint{view.colour};
  std::string text = paint(Colour::bold, fmt::format("{:<25} {:>7} {:>7} {:>11} {:>7} {:>8} {:>6}", escaped(report.service), "health",
                                                     "opening", "established", "closing", "answered", "silent")) +
                     "\n";
  std::uint64_t by_server = 0, offloaded = 0;
  for (const ConnectionServer& server : report.servers) {
    const ConnectionCounts& counts = server.counts;
    std::string name = server.role.empty() ? escaped(server.address) : fmt::format("{} {}", escaped(server.role), escaped(server.address));
    if (name.size() > 25) text += std::exchange(name, "") + "\n"; // an IPv6 address
    text += fmt::format("{:<25} {:>7} {:>7} {:>11} {:>7} {:>8} {:>6}{}\n", name, escaped(server.health), counts.opening, counts.established,
                        counts.closing, counts.answered, counts.unanswered, server.target ? " <-" : "");
    by_server += counts.opened_by_server;
    offloaded += counts.offloaded;
  }
  if (by_server > 0) text += fmt::format("{} of them opened by a server\n", by_server);
  if (offloaded > 0) text += fmt::format("{} of them offloaded to a flowtable\n", offloaded);
  for (const ConnectionServer& server : report.servers) text += show_unplugging(unplugging_of(report, server), view);
  for (const ConnectionEntry& flow : report.list)
    text += fmt::format("  {} -> {}  {}  {}{}{}\n", escaped(flow.client), escaped(flow.listen), escaped(flow.server), escaped(flow.state),
                        flow.opened_by_server ? ", opened by the server" : "", flow.offloaded ? ", offloaded" : "");
  return text;
}

} // namespace hanat::cli
