// Walks back from the moment that is asked for to the last change of target, or to those of a time, and on to what led to each.
#include "daemon/report/make_why.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <ranges>
#include <utility>

#include "daemon/api/health_change.hpp"
#include "daemon/api/reload_plan.hpp"
#include "daemon/report/event_text.hpp"

namespace hanat {
namespace {

// What happened so long before a change of target is taken for its cause only where nothing later can be.
constexpr std::chrono::seconds cause_is_near{60};
constexpr std::chrono::seconds reload_is_near{5};
constexpr std::size_t longest_chain = 24;

std::string moment_moved(const std::string& moment, std::chrono::seconds by) {
  const auto time = parse_wall_time(moment);
  return time ? to_text(*time + by) : moment;
}

/// A restart keeps what is loaded.
bool is_adoption(const HistoryEntry& entry) { return entry.kind == "target" && entry.text.starts_with(adopted_words); }

/// Not in mode observe, where "target" is what would be.
bool sets_target(const HistoryEntry& entry) {
  return entry.kind == "flip" || (entry.kind == "target" && !entry.target.empty() && !is_adoption(entry));
}

/// Mode observe: where hanatd would have the traffic.
bool is_shadow_move(const HistoryEntry& entry) { return entry.kind == "target" && entry.target.empty() && !is_adoption(entry); }

/// What an operator did to the service or to one of its servers, and what became of it.
bool is_operators(const HistoryEntry& entry) { return entry.kind == "override" || entry.kind == "maintenance"; }

/// Why nothing moved, or a server waits longer than others.
bool is_doubt(const HistoryEntry& entry) {
  return entry.kind == "outage" || entry.kind == "flapping" || entry.kind == "configuration" || entry.kind == "name";
}

/// The new target, and where it was before: empty for a first target.
std::string target_of(const HistoryEntry& entry) { return entry.flip ? entry.flip->to : entry.target; }

/// Whether a change of health can have led to that target: that its server came up, or that another one went away.
bool explains(const HealthChangeStatus& health, const HistoryEntry& effect) {
  if (is_shadow_move(effect)) return health.health != "unknown"; // its entry does not name the server
  const std::string why = effect.flip ? effect.flip->why : "";
  if (why == "forced" || why == "drill" || why == "disabled" || why == "followed") return false;
  const bool up = health.health == "up";
  const bool returns = why == "failback" || why == "recovered" || why == "primary-up" || why == "configuration";
  if (health.server == target_of(effect)) return up && (returns || !effect.flip);
  return !up && health.health != "unknown" && !returns;
}

/// A refused reload changes nothing, and one that is about other services moves none of these.
bool touches(const HistoryEntry& reload, const std::set<std::string>& services) {
  if (!reload.reload) return false;
  const std::uint64_t changed = reload.reload->added + reload.reload->changed + reload.reload->removed;
  if (!reload.changes || reload.changes->size() < changed) return changed > 0; // not all of them are listed
  return std::ranges::any_of(*reload.changes, [&](const ServicePlan& change) { return services.contains(change.service); });
}

class WhySearch {
public:
  WhySearch(const HistoryRing& history, const WhyQuery& query) : history_(history), query_(query), end_(history.end()) {}

  WhyReport run() {
    report_.service = query_.service;
    report_.from = query_.from;
    if (!query_.at.empty()) report_.at = query_.at;
    while (end_ > history_.begin() && !query_.at.empty() && history_[end_ - 1].at > query_.at) --end_;
    find_setters();
    if (setters_.empty())
      target_from_later();
    else
      describe(history_[setters_.back()]);
    for (const std::uint64_t setter : setters_) {
      collect_causes(setter);
      add(setter);
    }
    collect_later();
    trim();
    find_last();
    for (std::uint64_t number = history_.begin(); number < history_.end() && report_.known_from.empty(); ++number)
      if (history_[number].service == query_.service) report_.known_from = history_[number].at;
    return std::move(report_);
  }

private:
  bool is_own(const HistoryEntry& entry) const { return entry.service == query_.service; }
  bool sets(const HistoryEntry& entry) const { return query_.observed ? is_shadow_move(entry) : sets_target(entry); }

  /// The last change of target, or all of those from `from` on; oldest first.
  void find_setters() {
    for (std::uint64_t number = end_; number-- > history_.begin();) {
      const HistoryEntry& entry = history_[number];
      if (!is_own(entry) || !sets(entry)) continue;
      const bool within = !query_.from.empty() && entry.at >= query_.from;
      if (setters_.empty() || within) setters_.insert(setters_.begin(), number);
      if (!within) return;
    }
  }

  void describe(const HistoryEntry& entry) {
    report_.since = entry.at;
    report_.target = target_of(entry);
    if (entry.flip) report_.why = entry.flip->why;
  }

  /// The history begins after the target was set: the first change that is known says where the traffic was.
  void target_from_later() {
    for (std::uint64_t number = end_; number < history_.end(); ++number) {
      const HistoryEntry& entry = history_[number];
      if (!is_own(entry) || (!sets_target(entry) && !is_adoption(entry))) continue;
      report_.target = entry.flip ? entry.flip->from : is_adoption(entry) ? entry.target : "";
      return;
    }
  }

  bool may_cause(const HistoryEntry& entry, const HistoryEntry& effect, std::set<std::string>& judged) const {
    if (entry.kind == "reload") return entry.at >= moment_moved(effect.at, -reload_is_near) && touches(entry, query_.group);
    if (is_operators(entry) || is_doubt(entry)) return is_own(entry);
    if (entry.kind != "health" || !(is_own(entry) || query_.group.contains(entry.service))) return false;
    if (!entry.health) return true; // of an older hanatd
    const bool newest = judged.insert(entry.service + " " + entry.health->server).second;
    return newest && explains(*entry.health, effect);
  }

  /// Since the change of target before this one: what stands near it, or else the last thing of all.
  void collect_causes(std::uint64_t setter) {
    const HistoryEntry& effect = history_[setter];
    const std::string from = moment_moved(effect.at, -cause_is_near);
    std::set<std::string> judged;
    std::vector<std::uint64_t> causes;
    for (std::uint64_t number = setter; number-- > history_.begin();) {
      const HistoryEntry& entry = history_[number];
      if (is_own(entry) && sets(entry)) break;
      if (!may_cause(entry, effect, judged)) continue;
      if (entry.at < from && !causes.empty()) break;
      causes.push_back(number);
    }
    for (const std::uint64_t number : std::ranges::reverse_view(causes)) add(number);
  }

  /// What has become of the servers since then, each once, of overrides and maintenance; and trouble of the clients' way that is not over.
  void collect_later() {
    std::vector<std::uint64_t> later;
    std::set<std::string> judged;
    bool path_is_over = false;
    const std::uint64_t first = setters_.empty() ? history_.begin() : setters_.back() + 1;
    for (std::uint64_t number = end_; number-- > first;) {
      const HistoryEntry& entry = history_[number];
      if (!is_own(entry)) continue;
      path_is_over = path_is_over || (entry.kind == "path" && entry.text.find(path_ended_words) != std::string::npos);
      const bool health = entry.kind == "health" && (!entry.health || judged.insert(entry.health->server).second);
      const bool path = entry.kind == "path" && !path_is_over;
      if (health || path || is_operators(entry) || is_doubt(entry) || is_adoption(entry)) later.push_back(number);
    }
    for (const std::uint64_t number : std::ranges::reverse_view(later)) add(number);
  }

  void add(std::uint64_t number) {
    report_.chain.push_back(history_[number]);
    if (history_[number].kind == "reload") reload_shown_ = true;
    if (history_[number].kind == "override") override_shown_ = true;
  }

  /// The newest; the changes of target stay as long as there is room.
  void trim() {
    auto& chain = report_.chain;
    while (chain.size() > longest_chain) {
      const auto victim = std::ranges::find_if_not(chain, [this](const HistoryEntry& entry) { return sets(entry); });
      chain.erase(victim == chain.end() ? chain.begin() : victim);
      ++report_.omitted;
    }
  }

  void find_last() {
    for (std::uint64_t number = end_; number-- > history_.begin();) {
      const HistoryEntry& entry = history_[number];
      if (!reload_shown_ && !report_.last_reload && entry.reload) report_.last_reload = entry;
      if (!override_shown_ && !report_.last_override && entry.kind == "override" && is_own(entry)) report_.last_override = entry;
    }
  }

  const HistoryRing& history_;
  const WhyQuery& query_;
  WhyReport report_;
  std::uint64_t end_;                  // behind the last entry that counts
  std::vector<std::uint64_t> setters_; // the changes of target that are asked about
  bool reload_shown_ = false, override_shown_ = false;
};

} // namespace

WhyReport make_why(const HistoryRing& history, const WhyQuery& query) { return WhySearch{history, query}.run(); }

std::map<std::string, TargetSince> last_targets(const HistoryRing& history) {
  std::map<std::string, TargetSince> targets;
  for (std::uint64_t number = history.end(); number-- > history.begin();) {
    const HistoryEntry& entry = history[number];
    if (!sets_target(entry) || targets.contains(entry.service)) continue;
    if (const auto at = parse_wall_time(entry.flip ? entry.flip->at : entry.at))
      targets[entry.service] = {.target = target_of(entry), .since = *at};
  }
  return targets;
}

std::vector<std::string> services_changed_before(const HistoryRing& history, const WhyQuery& query, std::size_t at_most) {
  std::string from = moment_moved(query.at, -std::chrono::minutes{10});
  if (!query.from.empty()) from = std::min(from, query.from);
  std::vector<std::string> names;
  for (std::uint64_t number = history.end(); number-- > history.begin() && names.size() < at_most;) {
    const HistoryEntry& entry = history[number];
    if (entry.at > query.at) continue;
    if (entry.at < from) break;
    const bool changed = sets_target(entry) || entry.kind == "health";
    if (changed && !entry.service.empty() && std::ranges::find(names, entry.service) == names.end()) names.push_back(entry.service);
  }
  return names;
}

} // namespace hanat
