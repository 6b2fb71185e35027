// One walk back from the moment that is asked for to the last change of target, and on to what led to it.
#include "daemon/report/make_why.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <ranges>
#include <utility>

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

bool sets_target(const HistoryEntry& entry) { return entry.kind == "flip" || (entry.kind == "target" && !is_adoption(entry)); }

class WhySearch {
public:
  WhySearch(const HistoryRing& history, const std::string& service, const std::string& at, const std::set<std::string>& group)
      : history_(history), service_(service), at_(at), group_(group) {}

  WhyReport run() {
    report_.service = service_;
    if (!at_.empty()) report_.at = at_;
    end_ = history_.end();
    while (end_ > history_.begin() && !at_.empty() && history_[end_ - 1].at > at_) --end_;
    find_anchor();
    if (anchor_) {
      const HistoryEntry& entry = history_[anchor()];
      report_.since = entry.at;
      if (entry.flip) {
        report_.target = entry.flip->to;
        report_.why = entry.flip->why;
      }
      collect_causes();
      add(*anchor_);
      collect_later();
    } else {
      target_from_later();
      collect_later();
    }
    trim();
    find_last();
    return std::move(report_);
  }

private:
  void find_anchor() {
    for (std::uint64_t number = end_; number-- > history_.begin();)
      if (history_[number].service == service_ && sets_target(history_[number])) {
        anchor_ = number;
        return;
      }
  }

  /// The history begins after the target was set: the first flip that is known says where the traffic was.
  void target_from_later() {
    for (std::uint64_t number = end_; number < history_.end(); ++number)
      if (const auto& flip = history_[number].flip; flip && history_[number].service == service_) {
        report_.target = flip->from;
        return;
      }
  }

  std::uint64_t anchor() const { return anchor_.value_or(history_.begin()); } // only where there is one

  bool may_cause(const HistoryEntry& entry) const {
    if (entry.kind == "reload") return entry.at >= moment_moved(history_[anchor()].at, -reload_is_near);
    if (entry.kind == "override") return entry.service == service_;
    if (entry.kind == "outage" || entry.kind == "flapping") return entry.service == service_;
    return entry.kind == "health" && (entry.service == service_ || group_.contains(entry.service));
  }

  /// Since the change of target before this one: what stands near it, or else the last thing of all.
  void collect_causes() {
    const std::string from = moment_moved(history_[anchor()].at, -cause_is_near);
    std::vector<std::uint64_t> causes;
    for (std::uint64_t number = anchor(); number-- > history_.begin();) {
      const HistoryEntry& entry = history_[number];
      if (entry.service == service_ && sets_target(entry)) break;
      if (!may_cause(entry)) continue;
      if (entry.at < from && !causes.empty()) break;
      causes.push_back(number);
    }
    for (const std::uint64_t number : std::ranges::reverse_view(causes)) add(number);
  }

  void collect_later() {
    const std::uint64_t first = anchor_ ? *anchor_ + 1 : history_.begin();
    for (std::uint64_t number = first; number < end_; ++number) {
      const HistoryEntry& entry = history_[number];
      const bool tells = entry.kind == "health" || entry.kind == "override" || entry.kind == "path" || entry.kind == "outage" ||
                         entry.kind == "flapping" || is_adoption(entry);
      if (entry.service == service_ && tells) add(number);
    }
  }

  void add(std::uint64_t number) {
    report_.chain.push_back(history_[number]);
    if (history_[number].kind == "reload") reload_shown_ = true;
    if (history_[number].kind == "override") override_shown_ = number;
  }

  /// The newest; the change of target stays in any case.
  void trim() {
    auto& chain = report_.chain;
    while (chain.size() > longest_chain) {
      const auto victim = std::ranges::find_if_not(chain, [](const HistoryEntry& entry) { return sets_target(entry); });
      chain.erase(victim == chain.end() ? chain.begin() : victim);
    }
  }

  void find_last() {
    for (std::uint64_t number = end_; number-- > history_.begin();) {
      const HistoryEntry& entry = history_[number];
      if (!reload_shown_ && !report_.last_reload && entry.kind == "reload") report_.last_reload = entry;
      if (!override_shown_ && !report_.last_override && entry.kind == "override" && entry.service == service_)
        report_.last_override = entry;
    }
  }

  const HistoryRing& history_;
  const std::string &service_, &at_;
  const std::set<std::string>& group_;
  WhyReport report_;
  std::uint64_t end_ = 0; // behind the last entry that counts
  std::optional<std::uint64_t> anchor_;
  bool reload_shown_ = false;
  std::optional<std::uint64_t> override_shown_;
};

} // namespace

WhyReport make_why(const HistoryRing& history, const std::string& service, const std::string& at, const std::set<std::string>& group) {
  return WhySearch{history, service, at, group}.run();
}

std::vector<std::string> services_changed_before(const HistoryRing& history, const std::string& moment, std::size_t at_most) {
  const std::string from = moment_moved(moment, -std::chrono::minutes{10});
  std::vector<std::string> names;
  for (std::uint64_t number = history.end(); number-- > history.begin() && names.size() < at_most;) {
    const HistoryEntry& entry = history[number];
    if (entry.at > moment) continue;
    if (entry.at < from) break;
    const bool changed = entry.kind == "flip" || entry.kind == "health";
    if (changed && !entry.service.empty() && std::ranges::find(names, entry.service) == names.end()) names.push_back(entry.service);
  }
  return names;
}

} // namespace hanat
