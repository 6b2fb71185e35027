// The gateway's second look at conntrack: from time to time all of it is compared with where flows should be, and what is somewhere else
// departs the usual way. So nothing that a cut missed, or that others made, stays for long.
// Not here: the comparison (nat/ledger), the cut (gateway_cut).
#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "daemon/gateway.hpp"
#include "daemon/words.hpp"
#include "nat/port_range.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;

constexpr int compare_share = 100;       // a comparison takes at most a hundredth of a processor; 1,000,000 entries are 2.5 s
constexpr auto compare_again_after = 1s; // when it had to give way
constexpr auto remembered_for = 10min;   // an endpoint that is no longer hanat's: a packet that was held somewhere is long gone

bool keeps_streams(const Service& service) {
  return std::ranges::any_of(std::array{service.on_failover, service.on_failback, service.on_forced},
                             [](const FlowPolicy& policy) { return policy.fate == FlowFate::keep; });
}

/// Where flows of an endpoint may be. Where TCP may be kept it may be at every server: a state file that was lost must not end it.
std::vector<Endpoint> places_of(const RunningService& service, const Vip& vip) {
  std::vector<Endpoint> places;
  if (const auto target = service.loaded.target.find(vip); target != service.loaded.target.end()) places.push_back(target->second.server);
  if (vip.protocol != Protocol::tcp || service.refused || !keeps_streams(service.config)) return places;
  for (const Server& server : service.config.servers)
    if (const auto endpoint = endpoint_for(server, vip)) places.push_back(*endpoint);
  return places;
}

/// "web backup", or the address of what is no server of the service.
std::string comment_for(const RunningService& service, const Mapping& mapping) {
  for (const Server& server : service.config.servers)
    if (endpoint_for(server, mapping.vip) == mapping.server) return fmt::format("{} {}", service.config.name, server.role);
  return fmt::format("{} {}", service.config.name, to_text(mapping.server));
}

} // namespace

/// What conntrack may hold. A service that has decided nothing yet is not compared, nor one that is only observed.
nat::Ledger Gateway::ledger(Time now) {
  nat::Ledger result;
  for (const auto& service : services_) {
    for (const Departure& departure : service->departures)
      for (const Mapping& mapping : departure.mappings) result.spare(mapping);
    if (service->removed || service->would || (!service->current && !service->refused)) continue;
    for (const auto& [vip, comment] : service->loaded.known) result.allow(vip, places_of(*service, vip));
  }
  std::erase_if(given_up_, [now](const auto& entry) { return entry.second.until <= now; });
  for (const auto& [mapping, given_up] : given_up_) result.give_up(mapping);
  return result;
}

void Gateway::start_reconcile(Time now) {
  if (next_reconcile_ > now || committer_.busy()) return;
  CutJob job;
  job.ledger = std::make_shared<const nat::Ledger>(ledger(now));
  reconciling_ = job_yields_ = true;
  cutter_.start(std::move(job));
}

/// What was seen is looked at again: targets may have changed meanwhile.
void Gateway::reconciled(const CutResult& result, Time now) {
  next_reconcile_ = now + std::max<Clock::duration>(reconcile_period_, result.spent * compare_share);
  const bool undecided = committer_.busy() || kernel_state_ != KernelState::in_step;
  if (result.failure.empty() && (!result.strays || undecided))
    next_reconcile_ = now + std::max<Clock::duration>(compare_again_after, result.spent * compare_share);
  if (stopped_ || !result.strays || result.strays->empty() || undecided) return;
  const nat::Ledger current = ledger(now);
  std::map<Vip, RunningService*> holders;
  for (const auto& service : services_)
    for (const auto& [vip, comment] : service->loaded.known) holders[vip] = service.get();
  std::map<RunningService*, nat::Flows> found;
  for (const auto& [mapping, number] : *result.strays) {
    if (!current.stray(mapping)) continue;
    const auto holder = find_covering(holders, mapping.vip);
    RunningService* service = holder == holders.end() ? &gone_service(given_up_.at(mapping).service) : holder->second;
    found[service].emplace(mapping, number);
  }
  for (const auto& [service, strays] : found) chase(*service, strays, now);
}

/// One departure a server.
void Gateway::chase(RunningService& service, const nat::Flows& strays, Time now) {
  std::map<std::pair<std::string, bool>, Departure> departures;
  std::map<std::pair<std::string, bool>, std::uint64_t> numbers;
  for (const auto& [mapping, number] : strays) {
    const bool early = mapping == untranslated(mapping.vip);
    const std::pair key{early ? service.config.name : comment_for(service, mapping), early};
    Departure& departure = departures[key];
    departure.mappings.push_back(mapping);
    departure.comment = key.first;
    departure.untranslated = early;
    departure.due = now;
    numbers[key] += number;
    if (!early) service.moved_until[mapping.vip] = now + moved_for;
  }
  for (auto& [key, departure] : departures) {
    departure.id = ++next_departure_;
    events_.push_back(words::strays(service, departure, numbers[key]));
    service.departures.push_back(std::move(departure));
  }
  departing_.insert(&service);
  touch(service);
}

void Gateway::give_up(const Mapping& mapping, const std::string& service, Time now) {
  given_up_[mapping] = {service, now + std::max<Clock::duration>(remembered_for, 2 * reconcile_period_)};
}

/// Endpoints of the service that are not among `still` are its no more: where their flows may be is remembered.
void Gateway::remember(const RunningService& service, const std::vector<Vip>& still, Time now) {
  for (const Vip& vip : service.config.listen) {
    std::vector<Vip> overlapping;
    std::ranges::copy_if(still, std::back_inserter(overlapping), [&vip](const Vip& other) { return overlap(vip, other); });
    for (const Vip& part : without(vip, overlapping))
      for (const Server& server : service.config.servers)
        if (const auto endpoint = endpoint_for(server, part)) give_up({part, *endpoint}, service.config.name, now);
  }
}

/// A service that is no longer configured, for what is left of it.
RunningService& Gateway::gone_service(const std::string& name) {
  const auto gone = std::ranges::find_if(services_, [&](const auto& service) { return service->removed && service->config.name == name; });
  if (gone != services_.end()) return **gone;
  RunningService& service = add_service(name);
  retire(service);
  return service;
}

} // namespace hanat
