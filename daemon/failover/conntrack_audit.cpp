// What conntrack may hold, and what is done with the rest.
#include "daemon/failover/conntrack_audit.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <tuple>
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
// Clients are reset by it when they reply to the nudge behind the cut. No longer: the target has not moved, and what other clients send
// without an entry (`conntrack -F`) is of healthy connections.
constexpr auto reset_for = 3s;

bool keeps_tcp(const ServiceConfig& service) {
  return std::ranges::any_of(std::array{service.on_failover, service.on_failback, service.on_forced},
                             [](const FlowPolicy& policy) { return policy.action == FlowAction::keep; });
}

std::vector<Endpoint> all_servers(const ServiceState& service, const Vip& vip) {
  std::vector<Endpoint> servers;
  for (const ServerConfig& server : service.config->servers)
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
  for (const ServerConfig& server : service.config->servers)
    if (endpoint_for(server, mapping.vip) == mapping.server) return fmt::format("{} {}", service.config->name, server.role);
  return fmt::format("{} {}", service.config->name, to_text(mapping.server));
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
  if (next_wakeup() > now || !evictions_.is_idle(now) || !in_sync_()) return;
  CutJob job;
  job.expected = std::make_shared<const nat::ExpectedFlows>(expected());
  evictions_.run_idle(std::move(job), [this](const CutResult& result, Time done) { compared(result, done); });
}

/// What was found is checked again: targets may have changed meanwhile.
void ConntrackAudit::compared(const CutResult& result, Time now) {
  next_ = now + std::max<Clock::duration>(period_, result.spent * compare_share);
  const bool undecided = !in_sync_() || held_until_ > now;
  if (result.failure.empty() && (!result.unexpected || undecided))
    next_ = now + std::max<Clock::duration>(compare_again_after, result.spent * compare_share);
  if (!result.unexpected || undecided) return;
  const bool none = result.unexpected->all.empty();
  const nat::ExpectedFlows current = none ? nat::ExpectedFlows{} : expected();
  std::map<Vip, ServiceState*> holders;
  if (!none)
    for (const auto& service : registry_.services())
      for (const auto& [vip, comment] : service->loaded.vips) holders[vip] = service.get();
  std::map<ServiceState*, nat::UnexpectedFlows> found;
  for (const auto& [mapping, number] : result.unexpected->all) {
    const auto holder = find_covering(holders, mapping.vip);
    if (holder == holders.end() || current.unexpected(mapping) != mapping) continue;
    nat::UnexpectedFlows& flows = found[holder->second];
    flows.all.emplace(mapping, number);
    if (const auto by_server = result.unexpected->opened_by_server.find(mapping); by_server != result.unexpected->opened_by_server.end())
      flows.opened_by_server.insert(*by_server);
  }
  for (const auto& service : registry_.services()) {
    const auto unexpected = found.find(service.get());
    if (unexpected != found.end() || !service->unexpected.empty())
      act_on(*service, unexpected == found.end() ? nat::UnexpectedFlows{} : unexpected->second, now);
  }
}

/// Flows that hanat did not make are evicted once; those that the server opened, each time. What else comes back although hanat has not
/// sent clients there since, somebody else makes: it is reported and left alone. While the server is the target nobody can tell, so what
/// was known stays until a look finds nothing.
void ConntrackAudit::act_on(ServiceState& service, const nat::UnexpectedFlows& unexpected, Time now) {
  const FlowSet own = own_flows(service);
  for (auto& [mapping, known] : service.unexpected) {
    known.flows = 0;
    known.was_target |= own.meeting(mapping) != nullptr;
  }
  std::vector<Found> found;
  for (const auto& [mapping, number] : unexpected.all) {
    const auto by_server = unexpected.opened_by_server.find(mapping);
    if (const auto one = judge(service, mapping, number, by_server == unexpected.opened_by_server.end() ? 0 : by_server->second, now))
      found.push_back(*one);
  }
  erase_if(service.unexpected, [&](const auto& entry) {
    const auto& [mapping, known] = entry;
    return (known.was_target && own.meeting(mapping) == nullptr) ||
           find_covering(service.loaded.vips, mapping.vip) == service.loaded.vips.end();
  });
  if (!found.empty()) evict_unexpected(service, found, now);
}

/// What of these flows is to be evicted. A server that speaks first opens its flows anew as soon as it may, so it is displaced again.
std::optional<ConntrackAudit::Found> ConntrackAudit::judge(ServiceState& service, const Mapping& mapping, std::uint64_t number,
                                                           std::uint64_t by_server, Time now) {
  UnexpectedFlow& known = service.unexpected[mapping];
  known.flows = number - by_server;
  known.was_target = false;
  if (by_server > 0) service.displaced_until[mapping] = now + recent_for;
  const bool is_reported = by_server > 0 ? std::exchange(known.server_opens, true) : known.server_opens;
  if (known.flows > 0 && !std::exchange(known.was_cut, true)) return Found{.mapping = mapping, .number = number};
  if (known.flows > 0 && !std::exchange(known.left_alone, true)) outbox_.log(events::foreign_flows(service, mapping, known.flows));
  if (by_server == 0) return std::nullopt;
  return Found{.mapping = mapping, .number = is_reported ? 0 : by_server, .by_server = true};
}

/// One eviction a server. It ends with the flows that stand: what comes later may be somebody else's.
void ConntrackAudit::evict_unexpected(ServiceState& service, const std::vector<Found>& unexpected, Time now) {
  using Key = std::tuple<std::string, bool, bool>;
  std::map<Key, Eviction> evictions;
  std::map<Key, std::uint64_t> numbers;
  for (const auto& [mapping, number, by_server] : unexpected) {
    const bool early = mapping == untranslated(mapping.vip);
    const Key key{early ? service.config->name : comment_for(service, mapping), early, by_server};
    Eviction& eviction = evictions[key];
    eviction.mappings.push_back(mapping);
    eviction.comment = std::get<0>(key);
    eviction.untranslated = early;
    eviction.exact = true;
    eviction.by_server = by_server;
    eviction.stage = CutStage::record;
    eviction.due = now;
    numbers[key] += number;
    if (early) continue;
    Time& until = service.recent_until[mapping.vip];
    until = std::max<Time>(until, now + reset_for);
  }
  for (auto& [key, eviction] : evictions) {
    if (numbers[key] > 0) outbox_.log(events::unexpected_flows(service, eviction, numbers[key]));
    evictions_.add(service, std::move(eviction));
  }
  registry_.mark_dirty(service);
}

} // namespace hanat
