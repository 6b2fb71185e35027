// Questions that a service answers from its own data.
#include "daemon/running_service.hpp"

#include <algorithm>
#include <utility>

namespace hanat {
namespace {

/// Reasons that say that nothing came back.
bool is_silence(probes::Reason reason) {
  switch (reason) {
  case probes::Reason::timeout:
  case probes::Reason::host_unreachable:
  case probes::Reason::net_unreachable:
  case probes::Reason::no_carrier: return true;
  case probes::Reason::connected:
  case probes::Reason::answered:
  case probes::Reason::refused:
  case probes::Reason::reset:
  case probes::Reason::closed:
  case probes::Reason::wrong_status:
  case probes::Reason::wrong_answer:
  case probes::Reason::garbled:
  case probes::Reason::too_large:
  case probes::Reason::tls_failed:
  case probes::Reason::certificate_expires:
  case probes::Reason::slow:
  case probes::Reason::no_descriptors:
  case probes::Reason::no_buffers:
  case probes::Reason::no_ports:
  case probes::Reason::no_processes:
  case probes::Reason::forbidden:
  case probes::Reason::conntrack_full:
  case probes::Reason::stalled:
  case probes::Reason::local_error: return false;
  }
  return false;
}

/// Is another server than `self` holding the traffic, and fit for it?
bool another_works(const RunningService& service, std::size_t self) {
  const auto current = standing(service).current;
  if (!current || *current == self) return false;
  return candidate(service.servers[*current]).health != Health::down;
}

} // namespace

std::string target_name(const RunningService& service) { return service.current ? service.servers[*service.current].role : "none"; }

Standing standing(const RunningService& service) {
  if (service.would) return service.would->standing;
  return {.current = service.current, .refused = service.refused};
}

Candidate candidate(const RunningServer& server) { return together({server.health, server.up_since}, server.elsewhere); }

std::vector<Candidate> candidates(const RunningService& service) {
  std::vector<Candidate> result;
  result.reserve(service.servers.size());
  for (const RunningServer& server : service.servers) result.push_back(candidate(server));
  return result;
}

void share(std::span<RunningService* const> group) {
  const auto own = [](const RunningServer& server) { return Candidate{server.health, server.up_since}; };
  for (std::size_t index = 0; index < group.front()->servers.size(); ++index) {
    Candidate before = nobody_else, after = nobody_else; // of the services before, and behind, the one in turn
    for (RunningService* service : group) {
      RunningServer& server = service->servers.at(index);
      server.elsewhere = before;
      before = together(before, own(server));
    }
    for (auto service = group.rbegin(); service != group.rend(); ++service) {
      RunningServer& server = (*service)->servers[index];
      server.elsewhere = together(server.elsewhere, after);
      after = together(after, own(server));
    }
  }
}

void assess(RunningService& service, Time now) {
  const auto current = standing(service).current;
  for (std::size_t index = 0; index < service.servers.size(); ++index) {
    RunningServer& server = service.servers[index];
    const Situation situation{.target_works = another_works(service, index), .preferred = current && index < *current};
    std::vector<Health> verdicts;
    for (RunningQuestion& question : server.questions) {
      question.window.assess(situation, now);
      verdicts.push_back(question.window.health());
    }
    const Health before = std::exchange(server.health, combine(verdicts));
    if (server.health == Health::up && before != Health::up) server.up_since = now;
  }
}

probes::Pace pace_of(const Service& service, const RunningQuestion& question) {
  const probes::Spec& spec = question.question->spec;
  if (question.window.urgent()) return {.interval = spec.fast_interval, .in_flight = service.down.fails};
  return {.interval = spec.interval, .in_flight = 1};
}

bool is_silent(const RunningServer& server) {
  return server.health == Health::down && std::ranges::any_of(server.questions, [](const RunningQuestion& question) {
           return question.window.health() == Health::down && question.last_abnormal && is_silence(*question.last_abnormal);
         });
}

std::optional<Time> next_alarm(const RunningService& service, Time now) {
  std::optional<Time> alarm;
  const auto at = [&](std::optional<Time> moment) {
    if (moment && *moment > now) alarm = alarm ? std::min(*alarm, *moment) : *moment;
  };
  at(service.failback_at);
  if (service.force) at(service.force->until);
  for (const RunningServer& server : service.servers)
    for (const RunningQuestion& question : server.questions) at(question.window.stable_at());
  for (const auto& [vip, until] : service.moved_until) at(until);
  for (const Departure& departure : service.departures) {
    if (!departure.in_job) at(departure.due);
    if (departure.drain) at(departure.drain->until);
  }
  return alarm;
}

} // namespace hanat
