// What a configuration means for the services that are there.
#include "daemon/failover/reload.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "daemon/decision/reconfiguration.hpp"
#include "daemon/failover/former.hpp"
#include "daemon/failover/maintenance.hpp"
#include "daemon/failover/observe_mode.hpp"
#include "daemon/failover/overrides.hpp"
#include "daemon/failover/port_handover.hpp"
#include "daemon/failover/rehearsal.hpp"
#include "daemon/failover/reload_changes.hpp"
#include "daemon/failover/reported_health.hpp"
#include "daemon/report/make_event.hpp"
#include "nat/port_range.hpp"

namespace hanat {
namespace {

/// The comments of elements begin with the service's name.
std::string_view comment_of(const std::string& comment) { return comment; }
template <typename Element> std::string_view comment_of(const Element& element) { return element.comment; }
std::string service_in(std::string_view comment) { return std::string{comment.substr(0, comment.find(' '))}; }

/// Moves the elements that belong to a virtual endpoint.
void move_elements(nat::TableState& from, nat::TableState& into, const Vip& vip) {
  const auto move = [&vip](auto& source, auto& destination) {
    using Key = typename std::remove_reference_t<decltype(source)>::key_type;
    Key first{};
    if constexpr (std::is_same_v<Key, Vip>)
      first = vip;
    else
      first.vip = vip;
    for (auto entry = source.lower_bound(first); entry != source.end() && vip_of(entry->first) == vip;)
      destination.insert(source.extract(entry++));
  };
  nat::for_each_set(move, from, into);
}

/// Every virtual endpoint that has an element, with the service that its comment names.
std::map<Vip, std::string> endpoints_of(const nat::TableState& state) {
  std::map<Vip, std::string> result;
  const auto collect = [&result](const auto& elements) {
    for (const auto& [key, element] : elements) result.emplace(vip_of(key), service_in(comment_of(element)));
  };
  nat::for_each_set(collect, state);
  return result;
}

/// Which server has the traffic by what is loaded? One of the configuration, or else the target of before. A service that is only observed
/// leads nothing from a listener that it had to one that it has.
void infer_target(ServiceState& service) {
  const auto concerns = [&config = *service.config](const Vip& vip) {
    return config.mode != Mode::observe || std::ranges::find(config.listen, vip) != config.listen.end();
  };
  const auto held = service.loaded.dnat.empty() && !service.config->interfaces.empty() ? service.current : std::nullopt;
  service.current = serving_now(service.config, service.loaded);
  if (!service.current && !service.loaded.dnat.empty()) service.current = former_of(service);
  for (const auto& [vip, target] : service.loaded.dnat)
    for (std::size_t server = 0; concerns(vip) && server < service.config->servers.size() && !service.current; ++server)
      if (endpoint_for(service.config->servers[server], vip) == target.server) service.current = server;
  if (!service.current) service.current = held;
  service.refused = !service.current && !service.loaded.reject.empty() && service.loaded.dnat.empty();
  if (service.current) service.reason = Reason::adopted;
  begin_to_observe(service);
}

/// The target of a service whose interfaces have no address at the moment: nothing is loaded that would say it.
std::optional<std::size_t> held_target(const ServiceState& service, const Reconfiguration& next) {
  if (!service.current || next.config->interfaces.empty() || !service.loaded.dnat.empty()) return std::nullopt;
  const auto place = std::ranges::find(next.before, service.current);
  return place == next.before.end() ? std::nullopt : std::optional{static_cast<std::size_t>(place - next.before.begin())};
}

/// The servers of a configuration; one that was there before keeps its health.
std::vector<ServerState> servers_for(const Reconfiguration& next, const std::vector<ServerState>& before) {
  std::vector<ServerState> servers;
  for (std::size_t index = 0; index < next.config->servers.size(); ++index) {
    const ServerConfig& server = next.config->servers[index];
    ServerState& state = servers.emplace_back(ServerState{.role = server.role,
                                                          .addresses = server.addresses,
                                                          .probes = {},
                                                          .host = server.host ? to_text(*server.host) : std::string{},
                                                          .unresolved = server.host && server.host->lookup == Lookup::failed});
    const auto& place = next.before[index];
    if (!place) continue;
    const ServerState& same = before[*place];
    state.health = same.health;
    state.last_logged = same.last_logged;
    state.up_since = same.up_since;
    state.damping = same.damping;
    state.totals = same.totals;
    state.flapping_logged = same.flapping_logged;
    state.followed = same.followed;
    if (server.role == former_role) state.former = same.former.value_or(FormerTarget{.since = events::event_time(), .host = same.host});
  }
  return servers;
}

} // namespace

ConfigsByName configs_by_name(const Config& config) {
  ConfigsByName configs;
  configs.reserve(config.services.size());
  for (const Shared<ServiceConfig>& service : config.services) configs.emplace(service->name, &service);
  return configs;
}

void Reload::start(const Config& config, nat::TableState loaded, const State& saved, const EarlierRun& earlier, Time now) {
  settings_ = settings_of(config);
  for (const Shared<ServiceConfig>& service : config.services) configure(registry_.add(service->name), service, now);
  adopt(std::move(loaded), now);
  restore_health(earlier, registry_, outbox_, now);
  for (const SavedOverride& override : saved.overrides) restore_override(override, registry_, outbox_, now);
  for (const SavedMaintenance& maintenance : saved.maintenance) restore_maintenance(maintenance, registry_, outbox_, now);
  std::vector<SavedDrain> drains = saved.drains;
  std::ranges::move(unsaved_drains(earlier, saved, registry_, now), std::back_inserter(drains));
  evictions_.restore(drains, now);
  audit_.start(config.reconcile, now);
  regroup();
}

ReloadPlan Reload::plan(const Config& config, Time now, std::size_t slice) const {
  return rehearse(registry_, settings_, config, now, slice, flow_owner());
}

Reloaded Reload::apply(const Config& config, Time now, std::size_t slice) {
  Reloaded result;
  result.settings = apply_settings(config, now);
  const std::vector<ServicePlan> changes = service_changes(registry_, config);
  for (const ServicePlan& change : changes)
    (change.change == "removed" ? result.removed : change.change == "added" ? result.added : result.changed).push_back(change.service);
  const ConfigsByName next = configs_by_name(config);
  for (const ReloadSlice& one : reload_slices(registry_, changes, config, slice)) apply_slice(one, next, now);
  if (changes.empty()) regroup();
  return result;
}

std::vector<std::string> Reload::apply_settings(const Config& config, Time now) {
  audit_.set_period(config.reconcile, now);
  std::vector<std::string> changed = changed_settings(settings_, config);
  settings_ = settings_of(config);
  return changed;
}

void Reload::apply_slice(const ReloadSlice& slice, const ConfigsByName& next, Time now) {
  std::vector<ServiceState*> members, configured;
  for (const std::string& name : slice.changed) {
    ServiceState* service = registry_.find(name);
    if (const auto config = next.find(name); config == next.end()) {
      if (service == nullptr) continue;
      retire(*service);
    } else {
      if (service == nullptr) service = &registry_.add(name);
      configure(*service, *config->second, now);
      configured.push_back(service);
    }
    members.push_back(service);
  }
  for (const std::string& name : slice.unchanged)
    if (ServiceState* service = registry_.find(name)) members.push_back(service);
  if (!slice.gone.empty())
    for (const auto& service : registry_.services())
      if (service->removed && std::ranges::find(slice.gone, service->config->name) != slice.gone.end() &&
          std::ranges::find(members, service.get()) == members.end())
        members.push_back(service.get());
  transfer_endpoints(members, now);
  for (ServiceState* service : configured) infer_target(*service);
  adjust_ranges(members, registry_, evictions_, now);
  regroup();
}

/// Makes or changes a service; probes that stay the same keep their history.
void Reload::configure(ServiceState& service, const Shared<ServiceConfig>& config, Time now) {
  const Reconfiguration next = reconfigure(service, config);
  std::vector<ServerState> before = std::move(service.servers);
  service.servers = servers_for(next, before);
  health_.configure(before, service.servers, next);
  service.config = next.config;
  registry_.list(service);
  health_.assign(service);
  health_.watch_witness(service);
  keep_maintenance(service, before, outbox_);
  keep_reports(service, before);
  keep_override(service, before, outbox_);
  keep_observing(service, before, outbox_);
  service.current = held_target(service, next);
  infer_target(service); // a place in the old list of servers says nothing about the new one
  evaluate(service, now);
  if (next.begins_former) outbox_.log(events::former_serves(service));
  registry_.mark_dirty(service);
}

/// The service is no longer configured: it is not probed, its endpoints are given up, its flows are evicted.
void Reload::retire(ServiceState& service) {
  if (service.force) {
    outbox_.log(events::override_lost(service));
    outbox_.overrides_changed = true;
    service.force.reset();
  }
  forget_maintenance(service, outbox_);
  health_.forget(service);
  registry_.unlist(service);
  service.servers.clear();
  ServiceConfig& config = service.config.edit();
  config.listen.clear();
  config.group.clear();
  config.servers.clear();
  service.shadow.reset();
  service.current.reset();
  service.refused = false;
  service.failback_at.reset();
  service.outage = {};
  service.outage_logged = false;
  service.witness.reset();
}

void Reload::adopt(nat::TableState loaded, Time now) {
  for (const auto& service : registry_.services()) {
    for (const Vip& vip : service->config->listen) move_elements(loaded, service->loaded, vip);
    infer_target(*service);
    if (!service->loaded.empty()) outbox_.log(events::adopted(*service));
  }
  std::unordered_map<std::string, ServiceState*> gone; // two services of one name: one that is configured elsewhere now, and one that was
  for (const auto& [vip, name] : endpoints_of(loaded)) {
    ServiceState*& service = gone[name];
    if (service == nullptr) service = &registry_.tombstone(name);
    move_elements(loaded, service->loaded, vip);
  }
  std::vector<ServiceState*> all;
  for (const auto& service : registry_.services()) {
    resume_evictions(*service, now);
    all.push_back(service.get());
  }
  adjust_ranges(all, registry_, evictions_, now);
}

/// What a crash left unfinished stands in the kernel: stale keys name the flows that are still to be cut.
void Reload::resume_evictions(ServiceState& service, Time now) {
  std::map<std::string, std::vector<Mapping>> unfinished;
  for (const auto& [mapping, comment] : service.loaded.stale) {
    const auto target = service.loaded.dnat.find(mapping.vip);
    if (target == service.loaded.dnat.end() || target->second.server != mapping.server) unfinished[comment].push_back(mapping);
  }
  for (const auto& [vip, comment] : service.loaded.recent) service.recent_until[vip] = now + recent_for;
  for (auto& [comment, mappings] : unfinished) {
    for (const Mapping& mapping : mappings) service.recent_until[mapping.vip] = service.displaced_until[mapping] = now + recent_for;
    evictions_.add(service, {.mappings = std::move(mappings), .comment = comment, .due = now}); // their clients may not know of it yet
  }
  std::vector<Mapping> early; // entries that were made while no rules were loaded
  for (const auto& [vip, target] : service.loaded.dnat)
    if (!service.removed && !service.shadow) early.push_back(untranslated(vip));
  if (!early.empty())
    evictions_.add(service, {.mappings = std::move(early), .comment = service.config->name, .untranslated = true, .due = now});
  registry_.mark_dirty(service);
}

/// An endpoint that changes hands takes along everything that is loaded for it: the same server keeps its flows, and no element of the
/// table has two services that each think it theirs.
void Reload::transfer_endpoints(std::span<ServiceState* const> services, Time now) {
  std::map<Vip, ServiceState*> holders;
  for (ServiceState* service : services)
    for (const auto& [vip, name] : endpoints_of(service->loaded)) holders[vip] = service;
  for (ServiceState* service : services)
    for (const Vip& vip : service->config->listen) {
      const auto holder = holders.find(vip);
      if (holder == holders.end() || holder->second == service) continue;
      ServiceState& from = *holder->second;
      move_elements(from.loaded, service->loaded, vip);
      if (auto until = from.recent_until.extract(vip))
        service->recent_until.insert(std::move(until));
      else if (service->loaded.recent.contains(vip))
        service->recent_until[vip] = now + recent_for;
      const auto at_vip = [&vip](const auto& entry) { return entry.first.vip == vip; };
      std::ranges::copy_if(from.displaced_until, std::inserter(service->displaced_until, service->displaced_until.end()), at_vip);
      std::erase_if(from.displaced_until, at_vip);
      evictions_.transfer(from, *service, vip, now);
      registry_.mark_dirty(*service);
      registry_.mark_dirty(from);
    }
}

/// Follows the groups of the configuration; each has one override at the most.
void Reload::regroup() {
  for (const auto& [name, members] : registry_.regroup()) {
    share_former(members, health_, registry_);
    share_maintenance(members, registry_, outbox_);
    share_override(members, registry_, outbox_);
  }
}

} // namespace hanat
