// Reads [group.X], and checks that the services of a group can move together: the same number of servers and the same failback, on_none,
// none_after, witness and mode.
// Not here: how a group moves (decision/group).
#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "daemon/config/raw_config.hpp"

namespace hanat::config {
namespace {

constexpr std::string_view services_example = "[\"sip\", \"rtp\"]";

void read_members(TableReader& reader, RawGroup& group) {
  const toml::node* node = reader.find("services");
  if (node == nullptr) return;
  const auto* list = node->as_array();
  if (list == nullptr) return reader.wrong_type(*node, "services", "a list of services", services_example);
  for (const toml::node& element : *list)
    if (const auto* name = element.as_string())
      group.members.push_back({.location = reader.location(element), .name = name->get()});
    else
      reader.wrong_type(element, "services", "a list of strings", services_example);
}

RawGroup read_group(const toml::table& table, std::string name, std::size_t file, Diagnostics& diagnostics) {
  TableReader reader{table, file, {}, diagnostics};
  RawGroup group{.name = std::move(name), .location = reader.location(table), .members = {}};
  const std::size_t errors_before = diagnostics.count();
  read_members(reader, group);
  reader.finish();
  if (diagnostics.count() != errors_before || group.members.size() > 1) return group;
  reader.report_error(table,
                      group.members.empty()
                          ? fmt::format("group {} has no services: write services = {}, or remove the group", group.name, services_example)
                          : fmt::format("group {} has only one service: add another one, or remove the group", group.name));
  return group;
}

/// Settings that must be the same in every service of a group, as text for messages.
std::string setting_text(const Failback& failback) {
  if (!failback.automatic) return "failback = \"manual\"";
  if (failback == Failback{}) return "failback = \"auto\"";
  std::string parts;
  if (failback.after != Clock::duration{}) parts = fmt::format("after = \"{}\"", duration_text(failback.after));
  if (const auto& window = failback.window)
    parts += fmt::format("{}window = \"{:02}:{:02}-{:02}:{:02}\"", parts.empty() ? "" : ", ", window->from.count() / 60,
                         window->from.count() % 60, window->to.count() / 60, window->to.count() % 60);
  if (failback.penalty != Failback{}.penalty)
    parts += fmt::format("{}penalty = \"{}\"", parts.empty() ? "" : ", ", duration_text(failback.penalty));
  return fmt::format("failback = {{ {} }}", parts);
}
std::string setting_text(OnNone on_none) {
  switch (on_none) {
  case OnNone::refuse: return "on_none = \"refuse\"";
  case OnNone::drop: return "on_none = \"drop\"";
  case OnNone::keep: return "on_none = \"keep\"";
  }
  return {};
}
std::string setting_text(Clock::duration none_after) { return fmt::format("none_after = \"{}\"", duration_text(none_after)); }
std::string setting_text(const std::optional<Endpoint>& witness) {
  return witness ? fmt::format("witness = \"{}\"", to_text(*witness)) : "no witness";
}
std::string setting_text(Mode mode) { return mode == Mode::automatic ? "mode = \"auto\"" : "mode = \"observe\""; }

/// Compares each service of a group with the first one.
class GroupCheck {
public:
  GroupCheck(const RawConfig& raw, const RawGroup& group, Diagnostics& diagnostics) : raw_{raw}, group_{group}, diagnostics_{diagnostics} {}

  void add(const RawGroup::Member& member, Resolved& service) {
    service.service.group = group_.name;
    if (first_ == nullptr) {
      first_ = &service;
      return;
    }
    check_servers(member, service);
    check_same(member, service, service.service.failback, first_->service.failback, &RawService::failback);
    check_same(member, service, service.service.on_none, first_->service.on_none, &RawService::on_none);
    check_same(member, service, service.service.none_after, first_->service.none_after, &RawService::none_after);
    check_same(member, service, service.service.witness, first_->service.witness, &RawService::witness);
    check_same(member, service, service.service.mode, first_->service.mode, &RawService::mode);
  }

private:
  /// False after an error: the number of servers is not known.
  bool servers_known(const Resolved& service) const {
    const auto known = [](const auto& own, const auto& fallback) { return (own.present ? own : fallback).value.has_value(); };
    const bool backups = service.raw->backups.present || raw_.defaults.backups.present;
    return known(service.raw->primary, raw_.defaults.primary) && (!backups || known(service.raw->backups, raw_.defaults.backups));
  }
  void check_servers(const RawGroup::Member& member, const Resolved& service) {
    const std::size_t own = service.servers.size(), others = first_->servers.size();
    if (!servers_known(service) || !servers_known(*first_) || own == others) return;
    diagnostics_.add(member.location,
                     fmt::format("service {} ({}) has {} server{}, but {} of the same group ({}) has {}: services of a group move "
                                 "together, role by role; give both the same number of servers in the same order, or remove one from "
                                 "group {}",
                                 member.name, diagnostics_.where(service.raw->location, member.location), own, own == 1 ? "" : "s",
                                 first_->service.name, diagnostics_.where(first_->raw->location, member.location), others, group_.name));
  }
  template <class T, class Read>
  void check_same(const RawGroup::Member& member, const Resolved& service, const T& own, const T& of_first, Field<Read> RawService::*key) {
    if (own == of_first) return;
    diagnostics_.add(member.location,
                     fmt::format("service {} has {} ({}), but {} of the same group has {} ({}): write the same in both, or remove one from "
                                 "group {}",
                                 member.name, setting_text(own), location_of(service, key, member.location), first_->service.name,
                                 setting_text(of_first), location_of(*first_, key, member.location), group_.name));
  }
  template <class T> std::string location_of(const Resolved& service, Field<T> RawService::*key, const SourceLocation& seen_from) const {
    const Field<T>& field = (service.raw->*key).present ? service.raw->*key : raw_.defaults.*key;
    return field.present ? diagnostics_.where(field.location, seen_from) : "built in";
  }

  const RawConfig& raw_;
  const RawGroup& group_;
  Diagnostics& diagnostics_;
  const Resolved* first_ = nullptr;
};

/// Sets the group of each service, and checks that each service is in one group only.
class GroupJoiner {
public:
  GroupJoiner(const RawConfig& raw, std::vector<Resolved>& services, Diagnostics& diagnostics) : raw_{raw}, diagnostics_{diagnostics} {
    for (Resolved& service : services)
      if (services_.try_emplace(service.service.name, &service).second) names_.emplace_back(service.service.name);
  }

  void join(const RawGroup& group) {
    GroupCheck check{raw_, group, diagnostics_};
    for (const RawGroup::Member& member : group.members) {
      const auto service = services_.find(member.name);
      if (service == services_.end()) {
        if (raw_.all_read) report_unknown(group, member);
        continue;
      }
      const auto [at, inserted] = memberships_.try_emplace(member.name, Membership{&group, member.location});
      if (inserted)
        check.add(member, *service->second);
      else
        report_duplicate(group, member, at->second);
    }
  }

private:
  struct Membership {
    const RawGroup* group;
    SourceLocation location;
  };

  void report_unknown(const RawGroup& group, const RawGroup::Member& member) {
    const std::string_view meant = nearest(member.name, names_);
    diagnostics_.add(member.location,
                     fmt::format("group {} lists {}, but no such service is configured: {}", group.name, shown(member.name),
                                 meant.empty() ? std::string{"write its [service.NAME], or remove it from the group"}
                                               : fmt::format("did you mean \"{}\"?", meant)));
  }
  void report_duplicate(const RawGroup& group, const RawGroup::Member& member, const Membership& first) {
    const std::string where = diagnostics_.where(first.location, member.location);
    if (first.group == &group)
      diagnostics_.add(member.location,
                       fmt::format("service {} is listed twice in group {}, first in {}: list it once", member.name, group.name, where));
    else
      diagnostics_.add(member.location,
                       fmt::format("service {} is already in group {} ({}), and a service can be in one group only: remove it from "
                                   "one of them, or merge the groups",
                                   member.name, first.group->name, where));
  }

  const RawConfig& raw_;
  Diagnostics& diagnostics_;
  std::map<std::string, Resolved*, std::less<>> services_;
  std::vector<std::string_view> names_;
  std::map<std::string, Membership, std::less<>> memberships_;
};

/// Names must be unique across files. Within one file TOML itself rejects duplicates.
void check_names(const std::vector<RawGroup>& groups, Diagnostics& diagnostics) {
  std::map<std::string_view, SourceLocation> first;
  for (const RawGroup& group : groups) {
    const auto [at, inserted] = first.try_emplace(group.name, group.location);
    if (!inserted)
      diagnostics.add(group.location,
                      fmt::format("group {} is defined twice, first in {}: rename one of them, or list all its services in one", group.name,
                                  diagnostics.where(at->second, group.location)));
  }
}

} // namespace

void read_groups(const toml::table& table, std::size_t file, RawConfig& raw, Diagnostics& diagnostics) {
  const std::size_t first = raw.groups.size();
  for (auto&& [key, value] : table) {
    const auto& begin = key.source().begin;
    const SourceLocation location{.file = file, .line = begin.line, .column = begin.column};
    const auto* group = value.as_table();
    if (!is_service_name(key.str()))
      diagnostics.add(location,
                      fmt::format("{} is not a valid group name: use 1 to 64 of the characters A-Z a-z 0-9 _ . -", shown(key.str())));
    else if (group == nullptr)
      diagnostics.add(location,
                      fmt::format("group.{} is {}, but a group is a table: write [group.NAME] above its services, as in [group.sip]",
                                  key.str(), type_name(value)));
    else
      raw.groups.push_back(read_group(*group, std::string{key.str()}, file, diagnostics));
  }
  // toml++ sorts keys by name; restore the order of the file.
  std::sort(raw.groups.begin() + static_cast<std::ptrdiff_t>(first), raw.groups.end(),
            [](const RawGroup& a, const RawGroup& b) { return a.location < b.location; });
}

void join_groups(const RawConfig& raw, std::vector<Resolved>& services, Diagnostics& diagnostics) {
  check_names(raw.groups, diagnostics);
  if (services.size() != raw.services.size()) return; // too many listeners: the services were not resolved
  GroupJoiner joiner{raw, services, diagnostics};
  for (const RawGroup& group : raw.groups) joiner.join(group);
}

} // namespace hanat::config
