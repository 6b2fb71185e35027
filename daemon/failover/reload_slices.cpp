// Sets of services that grow together: by a group's name, by overlapping endpoints.
#include "daemon/failover/reload_slices.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <numeric>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "nat/port_range.hpp"

namespace hanat {
namespace {

/// A service that is changed, or of which something may be left at an endpoint that it does not listen to.
struct Node {
  const ServiceState* service = nullptr; // null: it is new
  const ServiceConfig* next = nullptr;   // null: it is removed, or stays as it is
  bool changes = false;
};

struct Interval {
  Vip vip;
  std::size_t node = 0;
  bool taken = false; // the node will listen there, and does not yet
};

/// Every endpoint of which the service has something.
std::vector<Vip> endpoints_held(const ServiceState& service) {
  std::vector<Vip> held = service.config->listen;
  nat::for_each_set(
      [&held](const auto& elements) {
        for (const auto& [key, element] : elements) held.push_back(vip_of(key));
      },
      service.loaded);
  for (const auto& [vip, until] : service.recent_until) held.push_back(vip);
  for (const Eviction& eviction : service.evictions)
    for (const Mapping& mapping : eviction.mappings) held.push_back(mapping.vip);
  std::ranges::sort(held);
  held.erase(std::ranges::unique(held).begin(), held.end());
  return held;
}

/// Whether it may hold more than it listens to.
bool has_leftovers(const ServiceState& service) {
  return service.removed || !service.evictions.empty() || !service.recent_until.empty() ||
         service.loaded.vips.size() != service.config->listen.size();
}

class Sets {
public:
  explicit Sets(std::size_t number) : parents_(number) { std::iota(parents_.begin(), parents_.end(), std::size_t{0}); }
  std::size_t of(std::size_t node) {
    while (parents_[node] != node) node = parents_[node] = parents_[parents_[node]];
    return node;
  }
  /// The set of the lower number goes on: it is the one that a change names first.
  void join(std::size_t one, std::size_t other) {
    one = of(one);
    other = of(other);
    parents_[std::max(one, other)] = std::min(one, other);
  }

private:
  std::vector<std::size_t> parents_;
};

class Slicing {
public:
  Slicing(const ServiceRegistry& registry, const std::vector<ServicePlan>& changes, const Config& next) : registry_(registry) {
    std::unordered_map<std::string_view, const ServiceConfig*> configs;
    for (const ServiceConfig& config : next.services) configs.emplace(config.name, &config);
    for (const ServicePlan& change : changes) {
      const auto config = configs.find(change.service);
      nodes_.push_back(
          {.service = registry.find(change.service), .next = config == configs.end() ? nullptr : config->second, .changes = true});
    }
    std::unordered_map<const ServiceState*, bool> changed;
    for (const Node& node : nodes_) changed.emplace(node.service, true);
    for (const auto& service : registry.services())
      if (!changed.contains(service.get()) && has_leftovers(*service)) nodes_.push_back({.service = service.get()});
    sets_ = Sets{nodes_.size()};
    join_groups();
    join_endpoints();
  }

  std::vector<ReloadSlice> slices(std::size_t size) {
    std::map<std::size_t, ReloadSlice> sets; // by the first of their nodes
    for (std::size_t index = 0; index < nodes_.size(); ++index) add(sets, index);
    add_groups(sets);
    std::vector<ReloadSlice> slices;
    for (auto& [first, set] : sets) {
      if (set.changed.empty()) continue;
      if (slices.empty() || slices.back().fresh != set.fresh || slices.back().changed.size() + set.changed.size() > size)
        slices.push_back(std::move(set));
      else
        append(slices.back(), set);
    }
    return slices;
  }

private:
  void join_groups() {
    std::unordered_map<std::string_view, std::size_t> first;
    for (std::size_t index = 0; index < nodes_.size(); ++index) {
      const Node& node = nodes_[index];
      const std::string none;
      for (const std::string* group :
           {node.service != nullptr ? &node.service->config->group : &none, node.next ? &node.next->group : &none})
        if (!group->empty()) sets_.join(index, first.emplace(*group, index).first->second);
    }
  }

  /// Overlapping endpoints of which one is taken over.
  void join_endpoints() {
    std::vector<Interval> all;
    for (std::size_t index = 0; index < nodes_.size(); ++index) {
      const auto& [service, next, changes] = nodes_[index];
      const bool listens_anew = next != nullptr && (service == nullptr || service->config->listen != next->listen);
      const bool gives_up = changes && service != nullptr && (next == nullptr || listens_anew);
      if (service != nullptr && (gives_up || has_leftovers(*service)))
        for (const Vip& vip : endpoints_held(*service)) all.push_back({.vip = vip, .node = index});
      if (listens_anew)
        for (const Vip& vip : next->listen) all.push_back({.vip = vip, .node = index, .taken = true});
    }
    std::ranges::sort(all, {}, [](const Interval& one) { return std::tie(one.vip, one.node); });
    for (auto first = all.begin(); first != all.end();) {
      auto end = first;
      Vip covered = first->vip;
      bool taken = false;
      for (; end != all.end() && overlap(covered, end->vip); ++end) {
        taken |= end->taken;
        if (last_port(end->vip) > last_port(covered)) covered.last = last_port(end->vip);
      }
      for (auto one = first; taken && one != end; ++one) sets_.join(first->node, one->node);
      first = end;
    }
  }

  void add(std::map<std::size_t, ReloadSlice>& sets, std::size_t index) {
    const Node& node = nodes_[index];
    const auto [set, is_first] = sets.try_emplace(sets_.of(index));
    ReloadSlice& slice = set->second;
    if (is_first) slice.fresh = true;
    const std::string& name = node.service != nullptr ? node.service->config->name : node.next->name;
    (node.changes ? slice.changed : node.service->removed ? slice.gone : slice.unchanged).push_back(name);
    slice.fresh &= node.service == nullptr && node.next->group.empty();
  }

  /// Services that stay as they are, of a group that changes.
  void add_groups(std::map<std::size_t, ReloadSlice>& sets) {
    std::unordered_map<std::string_view, std::size_t> set_of;
    std::unordered_map<const ServiceState*, bool> known;
    for (std::size_t index = 0; index < nodes_.size(); ++index) {
      const Node& node = nodes_[index];
      known.emplace(node.service, true);
      if (!node.changes) continue;
      if (node.service != nullptr && !node.service->config->group.empty()) set_of.emplace(node.service->config->group, sets_.of(index));
      if (node.next != nullptr && !node.next->group.empty()) set_of.emplace(node.next->group, sets_.of(index));
    }
    if (set_of.empty()) return;
    for (const auto& service : registry_.services())
      if (const auto set = set_of.find(service->config->group); set != set_of.end() && !service->removed && !known.contains(service.get()))
        sets[set->second].unchanged.push_back(service->config->name);
  }

  static void append(ReloadSlice& slice, ReloadSlice& more) {
    const auto move = [](std::vector<std::string>& from, std::vector<std::string>& to) { std::ranges::move(from, std::back_inserter(to)); };
    move(more.changed, slice.changed);
    move(more.unchanged, slice.unchanged);
    move(more.gone, slice.gone);
  }

  const ServiceRegistry& registry_;
  std::vector<Node> nodes_;
  Sets sets_{0};
};

} // namespace

std::vector<ReloadSlice> reload_slices(const ServiceRegistry& registry, const std::vector<ServicePlan>& changes, const Config& next,
                                       std::size_t size) {
  return Slicing{registry, changes, next}.slices(size);
}

} // namespace hanat
