// What conntrack may hold, and what is done with the rest.
#include "daemon/failover/conntrack_audit.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "daemon/report/make_event.hpp"
#include "nat/port_range.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;

constexpr auto first_audit = 10s;        // what happened while hanatd was not running is found soon after its start
constexpr int compare_share = 100;       // a comparison takes at most a hundredth of a processor; 1,000,000 entries are 2.5 s
constexpr auto compare_again_after = 1s; // when it had to give way

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

/// Flows to servers that hanat itself sends clients to, or did a moment ago.
FlowSet own_flows(const ServiceState& service) {
  FlowSet own;
  for (const auto& [vip, target] : service.loaded.dnat) own.insert({vip, target.server});
  for (const Eviction& eviction : service.evictions)
    if (!eviction.exact)
      for (const Mapping& mapping : eviction.mappings) own.insert(mapping);
  return own;
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

/// What conntrack may hold. A service that has decided nothing yet is not compared, nor one that is only observed.
nat::ExpectedFlows ConntrackAudit::expected() const {
  nat::ExpectedFlows result;
  for (const auto& service : registry_.services()) {
    for (const Eviction& eviction : service->evictions)
      for (const Mapping& mapping : eviction.mappings) result.ignore(mapping);
    if (service->removed || service->shadow || (!service->current && !service->refused)) continue;
    for (const auto& [vip, comment] : service->loaded.vips) result.expect(vip, expected_servers(*service, vip), all_servers(*service, vip));
  }
  return result;
}

void ConntrackAudit::run(Time now) {
  if (next_ > now || !evictions_.is_idle(now) || !in_sync_()) return;
  CutJob job;
  job.expected = std::make_shared<const nat::ExpectedFlows>(expected());
  evictions_.run_idle(std::move(job), [this](const CutResult& result, Time done) { compared(result, done); });
}

/// What was found is checked again: targets may have changed meanwhile.
void ConntrackAudit::compared(const CutResult& result, Time now) {
  next_ = now + std::max<Clock::duration>(period_, result.spent * compare_share);
  const bool undecided = !in_sync_();
  if (result.failure.empty() && (!result.unexpected || undecided))
    next_ = now + std::max<Clock::duration>(compare_again_after, result.spent * compare_share);
  if (!result.unexpected || undecided) return;
  const nat::ExpectedFlows current = result.unexpected->empty() ? nat::ExpectedFlows{} : expected();
  std::map<Vip, ServiceState*> holders;
  if (!result.unexpected->empty())
    for (const auto& service : registry_.services())
      for (const auto& [vip, comment] : service->loaded.vips) holders[vip] = service.get();
  std::map<ServiceState*, nat::Flows> found;
  for (const auto& [mapping, number] : *result.unexpected)
    if (current.unexpected(mapping) == mapping)
      if (const auto holder = find_covering(holders, mapping.vip); holder != holders.end()) found[holder->second].emplace(mapping, number);
  for (const auto& service : registry_.services()) {
    const auto unexpected = found.find(service.get());
    if (unexpected != found.end() || !service->unexpected.empty())
      act_on(*service, unexpected == found.end() ? nat::Flows{} : unexpected->second, now);
  }
}

/// Flows that hanat did not make are evicted once. What comes back although hanat has not sent clients there since, somebody else makes:
/// it is reported and left alone. While the server is the target nobody can tell, so what was known stays until a look finds nothing.
void ConntrackAudit::act_on(ServiceState& service, const nat::Flows& unexpected, Time now) {
  const FlowSet own = own_flows(service);
  for (auto& [mapping, known] : service.unexpected) {
    known.flows = 0;
    known.was_target |= own.meeting(mapping) != nullptr;
  }
  nat::Flows fresh;
  for (const auto& [mapping, number] : unexpected) {
    UnexpectedFlow& known = service.unexpected[mapping];
    known.flows = number;
    known.was_target = false;
    if (!std::exchange(known.was_cut, true))
      fresh.emplace(mapping, number);
    else if (!std::exchange(known.left_alone, true))
      outbox_.log(events::foreign_flows(service, mapping, number));
  }
  std::erase_if(service.unexpected, [&](const auto& entry) {
    const auto& [mapping, known] = entry;
    return (known.was_target && own.meeting(mapping) == nullptr) ||
           find_covering(service.loaded.vips, mapping.vip) == service.loaded.vips.end();
  });
  if (!fresh.empty()) evict_unexpected(service, fresh, now);
}

/// One eviction a server. It ends with the flows that stand: what comes later may be somebody else's.
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
    eviction.exact = true;
    eviction.stage = CutStage::record;
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
