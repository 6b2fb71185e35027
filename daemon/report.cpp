// From running services to status values.
#include "daemon/report.hpp"

#include <algorithm>
#include <map>

#include <fmt/format.h>

namespace hanat {
namespace {

double seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }
double milliseconds(Clock::duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

/// The question that stands for the server: the one with the worst health, then with the most abnormal answers.
const RunningQuestion& worst(const RunningServer& server, Time now) {
  const auto rank = [now](const RunningQuestion& question) {
    const int health = question.window.health() == Health::down ? 2 : question.window.health() == Health::unknown ? 1 : 0;
    return std::pair{health, question.window.fails(now)};
  };
  return *std::ranges::max_element(server.questions, {}, rank);
}

ServerStatus report(const RunningService& service, const RunningServer& server, Time now) {
  ServerStatus status;
  status.role = server.role;
  status.address = to_text(server.addresses.front());
  if (server.addresses.size() > 1)
    for (const Endpoint& address : server.addresses) status.addresses.push_back(to_text(address));
  status.health = to_text(server.health);
  if (!service.config.group.empty()) status.group_health = to_text(candidate(server).health);
  const RunningQuestion& question = worst(server, now);
  status.fails = {.count = question.window.fails(now), .of = service.config.down.fails, .within_s = seconds(service.config.down.within)};
  if (question.last)
    status.last = LastAnswer{.outcome = std::string{to_text(question.last->outcome)},
                             .reason = std::string{to_text(question.last->reason)},
                             .detail = question.last->detail,
                             .latency_ms = milliseconds(question.last->latency),
                             .age_s = seconds(now - question.last_at)};
  return status;
}

/// Old flows that are still where they were: their number is unknown until all were counted.
struct Staying {
  std::uint64_t drained = 0;
  std::optional<std::uint64_t> left = 0;
  std::optional<Time> until;

  void add(const Drain& drain) {
    drained += drain.drained();
    left = left && drain.left ? std::optional{*left + *drain.left} : std::nullopt;
    if (drain.until) until = until ? std::max(*until, *drain.until) : *drain.until;
  }
  std::optional<double> ends_in_s(Time now) const { return until ? std::optional{std::max(0.0, seconds(*until - now))} : std::nullopt; }
};

std::vector<DrainingStatus> draining(const RunningService& service, Time now) {
  std::map<std::pair<std::string, bool>, std::pair<Staying, Endpoint>> servers; // drained apart from kept
  for (const Departure& departure : service.departures) {
    if (!departure.drain || departure.mappings.empty()) continue;
    auto& [staying, address] = servers[{departure.comment, departure.drain->until.has_value()}];
    staying.add(*departure.drain);
    address = departure.mappings.front().server;
  }
  std::vector<DrainingStatus> result;
  result.reserve(servers.size());
  for (const auto& [key, server] : servers)
    result.push_back({.server = key.first.substr(key.first.find(' ') + 1),
                      .address = to_text(server.second),
                      .drained = server.first.drained,
                      .left = server.first.left,
                      .ends_in_s = server.first.ends_in_s(now)});
  return result;
}

Staying staying_of(const RunningService& service, const Flip& flip) {
  Staying staying;
  for (const Departure& departure : service.departures)
    if (departure.drain && departure.flip == flip.number && !departure.mappings.empty()) staying.add(*departure.drain);
  return staying;
}

/// The address of the target; without one server for all families, that of the first listener's.
std::optional<std::string> target_address(const RunningService& service) {
  const bool stands = service.current || service.would; // what is not touched may go to a server that is configured no more
  if (!stands || service.loaded.target.empty()) return std::nullopt;
  const auto first = service.loaded.target.find(service.config.listen.front());
  return to_text((first == service.loaded.target.end() ? service.loaded.target.begin() : first)->second.server);
}

} // namespace

FlipStatus report(const RunningService& service, const Flip& flip) {
  FlipStatus status;
  const Staying staying = staying_of(service, flip);
  status.drained = flip.drained + staying.drained;
  status.left = staying.left;
  status.at = to_text(flip.at);
  status.from = flip.from;
  status.to = flip.to;
  status.why = to_text(flip.why);
  status.commit_us = flip.commit.count();
  status.cut = {.tcp = flip.cut.tcp, .udp = flip.cut.udp, .sctp = flip.cut.sctp};
  status.nudged = flip.nudged;
  if (!flip.cutting) status.cut_ms = milliseconds(flip.cut_time);
  return status;
}

std::optional<FlipStatus> flip_of(const RunningService& service, const Departure& departure) {
  if (!service.last_flip || departure.flip != service.last_flip->number) return std::nullopt;
  return report(service, *service.last_flip);
}

ServiceStatus report(const RunningService& service, Time now) {
  ServiceStatus status;
  status.name = service.config.name;
  status.target = target_name(service);
  status.target_address = target_address(service);
  status.since = to_text(service.since);
  status.why = to_text(service.why);
  if (!service.config.group.empty()) status.group = service.config.group;
  if (const auto& would = service.would) {
    status.mode = "observe";
    status.would_target = would->standing.current ? service.servers[*would->standing.current].role : "none";
    status.would_why = to_text(would->why);
  }
  if (service.force)
    status.forced = ForcedStatus{.target = service.servers[service.force->server].role,
                                 .until = service.force->until_wall ? std::optional{to_text(*service.force->until_wall)} : std::nullopt,
                                 .reason = service.force->reason,
                                 .by = service.force->by};
  if (service.failback_at && !service.would) status.failback_in_s = std::max(0.0, seconds(*service.failback_at - now));
  // A better server that is only being watched until it is stable comes back as soon as it is: say so too.
  status.flips = service.flips;
  status.listen = service.config.listen_text;
  for (const RunningServer& server : service.servers) status.servers.push_back(report(service, server, now));
  if (const auto& flip = service.last_flip) {
    status.last_flip = report(service, *flip);
    status.last_flip->drain_ends_in_s = staying_of(service, *flip).ends_in_s(now);
  }
  status.draining = draining(service, now);
  for (const auto& [why, count] : service.totals.flips) status.totals.flips.emplace(to_text(why), count);
  status.totals.cut = {.tcp = service.totals.cut.tcp, .udp = service.totals.cut.udp, .sctp = service.totals.cut.sctp};
  status.totals.nudged = service.totals.nudged;
  status.totals.drained = service.totals.drained;
  return status;
}

std::optional<std::string> blindness(const Gateway::Services& services) {
  std::size_t asked = 0;
  std::map<probes::Reason, std::size_t> blind;
  for (const auto& service : services)
    for (const RunningServer& server : service->servers)
      for (const RunningQuestion& question : server.questions) {
        ++asked;
        if (question.last && question.last->outcome == probes::Outcome::blind) ++blind[question.last->reason];
      }
  if (blind.empty()) return std::nullopt;
  const auto& [reason, count] = *std::ranges::max_element(blind, {}, [](const auto& entry) { return entry.second; });
  if (count == asked) return std::string{to_text(reason)};
  return fmt::format("{} ({} of {} questions)", to_text(reason), count, asked);
}

} // namespace hanat
