// What conntrack may hold, and what is done with the rest.
#include "daemon/failover/conntrack_audit.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <memory>

#include <fmt/format.h>

#include "daemon/report/make_event.hpp"
#include "nat/port_range.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;

constexpr auto first_audit = 10s;        // what happened while hanatd was not running is found soon after its start
constexpr int compare_share = 100;       // a comparison takes at most a hundredth of a processor; 1,000,000 entries are 2.5 s
constexpr auto compare_again_after = 1s; // when it had to give way
constexpr auto retained_for = 10min;     // a former endpoint: a packet that was held somewhere is long gone

bool keeps_tcp(const ServiceConfig& service) {
  return std::ranges::any_of(std::array{service.on_failover, service.on_failback, service.on_forced},
                             [](const FlowPolicy& policy) { return policy.action == FlowAction::keep; });
}

std::vector<Endpoint> all_servers(const ServiceState& service, const Vip& vip) {
  std::vector<Endpoint> servers;
  for (const ServerConfig& server : service.config.servers)
    if (const auto endpoint = endpoint_for(server, vip)) servers.push_back(*endpoint);
  return servers;
}

/// Where flows of an endpoint may be. Where TCP may be kept it may be at every server: a state file that was lost must not end it.
std::vector<Endpoint> expected_servers(const ServiceState& service, const Vip& vip) {
  std::vector<Endpoint> servers;
  if (const auto target = service.loaded.dnat.find(vip); target != service.loaded.dnat.end()) servers.push_back(target->second.server);
  if (vip.protocol != Protocol::tcp || service.refused || !keeps_tcp(service.config)) return servers;
  for (const Endpoint& server : all_servers(service, vip)) servers.push_back(server);
  return servers;
}

/// "web backup", or the address of what is no server of the service.
std::string comment_for(const ServiceState& service, const Mapping& mapping) {
  for (const ServerConfig& server : service.config.servers)
    if (endpoint_for(server, mapping.vip) == mapping.server) return fmt::format("{} {}", service.config.name, server.role);
  return fmt::format("{} {}", service.config.name, to_text(mapping.server));
}

} // namespace

void ConntrackAudit::start(Clock::duration period, Time now) {
  period_ = period;
  next_ = now + std::min<Clock::duration>(period, first_audit);
}

void ConntrackAudit::set_period(Clock::duration period, Time now) {
  period_ = period;
  next_ = std::min(next_, now + period);
}

void ConntrackAudit::retain(const Mapping& mapping, const std::string& service, Time now) {
  former_endpoints_[mapping] = {service, now + std::max<Clock::duration>(retained_for, 2 * period_)};
}

void ConntrackAudit::retain(const ServiceState& service, const std::vector<Vip>& still, Time now) {
  for (const Vip& vip : service.config.listen) {
    std::vector<Vip> overlapping;
    std::ranges::copy_if(still, std::back_inserter(overlapping), [&vip](const Vip& other) { return overlap(vip, other); });
    for (const Vip& part : without(vip, overlapping))
      for (const ServerConfig& server : service.config.servers)
        if (const auto endpoint = endpoint_for(server, part)) retain({part, *endpoint}, service.config.name, now);
  }
}

/// What conntrack may hold. A service that has decided nothing yet is not compared, nor one that is only observed.
nat::ExpectedFlows ConntrackAudit::expected(Time now) {
  nat::ExpectedFlows result;
  for (const auto& service : registry_.services()) {
    for (const Eviction& eviction : service->evictions)
      for (const Mapping& mapping : eviction.mappings) result.ignore(mapping);
    if (service->removed || service->shadow || (!service->current && !service->refused)) continue;
    for (const auto& [vip, comment] : service->loaded.vips) result.expect(vip, expected_servers(*service, vip), all_servers(*service, vip));
  }
  std::erase_if(former_endpoints_, [now](const auto& entry) { return entry.second.until <= now; });
  for (const auto& [mapping, former] : former_endpoints_) result.disown(mapping);
  return result;
}

void ConntrackAudit::run(Time now) {
  if (next_ > now || !evictions_.is_idle(now) || !in_sync_()) return;
  CutJob job;
  job.expected = std::make_shared<const nat::ExpectedFlows>(expected(now));
  evictions_.run_idle(std::move(job), [this](const CutResult& result, Time done) { compared(result, done); });
}

/// What was found is checked again: targets may have changed meanwhile.
void ConntrackAudit::compared(const CutResult& result, Time now) {
  next_ = now + std::max<Clock::duration>(period_, result.spent * compare_share);
  const bool undecided = !in_sync_();
  if (result.failure.empty() && (!result.unexpected || undecided))
    next_ = now + std::max<Clock::duration>(compare_again_after, result.spent * compare_share);
  if (!result.unexpected || result.unexpected->empty() || undecided) return;
  const nat::ExpectedFlows current = expected(now);
  std::map<Vip, ServiceState*> holders;
  for (const auto& service : registry_.services())
    for (const auto& [vip, comment] : service->loaded.vips) holders[vip] = service.get();
  std::map<ServiceState*, nat::Flows> found;
  for (const auto& [mapping, number] : *result.unexpected) {
    if (!current.unexpected(mapping)) continue;
    if (const auto holder = find_covering(holders, mapping.vip); holder != holders.end())
      found[holder->second].emplace(mapping, number);
    else if (const auto former = former_endpoints_.find(mapping); former != former_endpoints_.end())
      found[&registry_.tombstone(former->second.service)].emplace(mapping, number);
  }
  for (const auto& [service, unexpected] : found) evict_unexpected(*service, unexpected, now);
}

/// One eviction a server.
void ConntrackAudit::evict_unexpected(ServiceState& service, const nat::Flows& unexpected, Time now) {
  std::map<std::pair<std::string, bool>, Eviction> evictions;
  std::map<std::pair<std::string, bool>, std::uint64_t> numbers;
  for (const auto& [mapping, number] : unexpected) {
    const bool early = mapping == untranslated(mapping.vip);
    const std::pair key{early ? service.config.name : comment_for(service, mapping), early};
    Eviction& eviction = evictions[key];
    eviction.mappings.push_back(mapping);
    eviction.comment = key.first;
    eviction.untranslated = early;
    eviction.due = now;
    numbers[key] += number;
    if (!early) service.recent_until[mapping.vip] = now + recent_for;
  }
  for (auto& [key, eviction] : evictions) {
    outbox_.log(events::unexpected_flows(service, eviction, numbers[key]));
    evictions_.add(service, std::move(eviction));
  }
  registry_.mark_dirty(service);
}

} // namespace hanat
