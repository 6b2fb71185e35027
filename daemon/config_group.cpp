// Reads [group.X] and makes the services in it one: their servers must stand role beside role, and what decides about them must be the
// same. Not here: what a group does (group, gateway).
#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "daemon/config_parts.hpp"

namespace hanat::config {
namespace {

constexpr std::string_view services_example = "[\"sip\", \"rtp\"]";

void read_members(TableReader& reader, GroupText& group) {
  const toml::node* node = reader.find("services");
  if (node == nullptr) return;
  const auto* list = node->as_array();
  if (list == nullptr) return reader.wrong_type(*node, "services", "a list of services", services_example);
  for (const toml::node& element : *list)
    if (const auto* name = element.as_string())
      group.members.push_back({.place = reader.place(element), .name = name->get()});
    else
      reader.wrong_type(element, "services", "a list of strings", services_example);
}

GroupText read_group(const toml::table& table, std::string name, std::size_t file, Findings& findings) {
  TableReader reader{table, file, {}, findings};
  GroupText group{.name = std::move(name), .place = reader.place(table), .members = {}};
  const std::size_t found_before = findings.count();
  read_members(reader, group);
  reader.finish();
  if (findings.count() != found_before || group.members.size() > 1) return group;
  reader.complain(
      table, group.members.empty()
                 ? fmt::format("group {} has no services: write services = {}, or remove the group", group.name, services_example)
                 : fmt::format("group {} has one service, which moves alone anyway: add another one, or remove the group", group.name));
  return group;
}

/// What must be the same in every service of a group, as it is told.
std::string text_of(const Failback& failback) {
  if (!failback.automatic) return "failback = \"manual\"";
  if (failback == Failback{}) return "failback = \"auto\"";
  std::string parts;
  if (failback.after != Clock::duration{}) parts = fmt::format("after = \"{}\"", duration_text(failback.after));
  if (const auto& window = failback.window)
    parts += fmt::format("{}window = \"{:02}:{:02}-{:02}:{:02}\"", parts.empty() ? "" : ", ", window->from.count() / 60,
                         window->from.count() % 60, window->to.count() / 60, window->to.count() % 60);
  return fmt::format("failback = {{ {} }}", parts);
}
std::string text_of(OnNone on_none) {
  switch (on_none) {
  case OnNone::refuse: return "on_none = \"refuse\"";
  case OnNone::drop: return "on_none = \"drop\"";
  case OnNone::keep: return "on_none = \"keep\"";
  }
  return {};
}
std::string text_of(Mode mode) { return mode == Mode::automatic ? "mode = \"auto\"" : "mode = \"observe\""; }

/// The services of one group after the other, each compared with the first one.
class GroupCheck {
public:
  GroupCheck(const FilesText& files, const GroupText& group, Findings& findings) : files_{files}, group_{group}, findings_{findings} {}

  void add(const GroupText::Member& member, Merged& service) {
    service.service.group = group_.name;
    if (first_ == nullptr) {
      first_ = &service;
      return;
    }
    check_servers(member, service);
    check_same(member, service, service.service.failback, first_->service.failback, &ServiceText::failback);
    check_same(member, service, service.service.on_none, first_->service.on_none, &ServiceText::on_none);
    check_same(member, service, service.service.mode, first_->service.mode, &ServiceText::mode);
  }

private:
  /// Wrong text says nothing about their number.
  bool servers_known(const Merged& service) const {
    const auto known = [](const auto& own, const auto& fallback) { return (own.said ? own : fallback).value.has_value(); };
    const bool backups = service.text->backups.said || files_.defaults.backups.said;
    return known(service.text->primary, files_.defaults.primary) && (!backups || known(service.text->backups, files_.defaults.backups));
  }
  void check_servers(const GroupText::Member& member, const Merged& service) {
    const std::size_t mine = service.servers.size(), others = first_->servers.size();
    if (!servers_known(service) || !servers_known(*first_) || mine == others) return;
    findings_.add(member.place,
                  fmt::format("service {} ({}) has {} server{}, and {} of the same group ({}) has {}: they move together, role "
                              "by role, so give both the same number in the same order, or take one out of group {}",
                              member.name, findings_.where(service.text->place, member.place), mine, mine == 1 ? "" : "s",
                              first_->service.name, findings_.where(first_->text->place, member.place), others, group_.name));
  }
  template <class T>
  void check_same(const GroupText::Member& member, const Merged& service, const T& mine, const T& firsts, Said<T> ServiceText::*key) {
    if (mine == firsts) return;
    findings_.add(member.place,
                  fmt::format("service {} has {} ({}), and {} of the same group has {} ({}): write the same in both, or take one out of "
                              "group {}",
                              member.name, text_of(mine), place_of(service, key, member.place), first_->service.name, text_of(firsts),
                              place_of(*first_, key, member.place), group_.name));
  }
  template <class T> std::string place_of(const Merged& service, Said<T> ServiceText::*key, const Place& seen_from) const {
    const Said<T>& said = (service.text->*key).said ? service.text->*key : files_.defaults.*key;
    return said.said ? findings_.where(said.place, seen_from) : "built in";
  }

  const FilesText& files_;
  const GroupText& group_;
  Findings& findings_;
  const Merged* first_ = nullptr;
};

/// The members of all groups, each in one group, once.
class Joining {
public:
  Joining(const FilesText& files, std::vector<Merged>& services, Findings& findings) : files_{files}, findings_{findings} {
    for (Merged& service : services)
      if (services_.try_emplace(service.service.name, &service).second) names_.emplace_back(service.service.name);
  }

  void join(const GroupText& group) {
    GroupCheck check{files_, group, findings_};
    for (const GroupText::Member& member : group.members) {
      const auto service = services_.find(member.name);
      if (service == services_.end()) {
        if (files_.whole) say_unknown(group, member);
        continue;
      }
      const auto [at, fresh] = joined_.try_emplace(member.name, Joined{&group, member.place});
      if (fresh)
        check.add(member, *service->second);
      else
        say_twice(group, member, at->second);
    }
  }

private:
  struct Joined {
    const GroupText* group;
    Place place;
  };

  void say_unknown(const GroupText& group, const GroupText::Member& member) {
    const std::string_view meant = nearest(member.name, names_);
    findings_.add(member.place, fmt::format("group {} has {}, and no such service is configured: {}", group.name, shown(member.name),
                                            meant.empty() ? std::string{"write its [service.NAME], or take it out of the group"}
                                                          : fmt::format("did you mean \"{}\"?", meant)));
  }
  void say_twice(const GroupText& group, const GroupText::Member& member, const Joined& first) {
    const std::string where = findings_.where(first.place, member.place);
    if (first.group == &group)
      findings_.add(member.place, fmt::format("service {} is in group {} twice, first in {}: say it once", member.name, group.name, where));
    else
      findings_.add(member.place, fmt::format("service {} is in group {} already ({}), and it has one fate: take it out of one of them, or "
                                              "make one group of both",
                                              member.name, first.group->name, where));
  }

  const FilesText& files_;
  Findings& findings_;
  std::map<std::string, Merged*, std::less<>> services_;
  std::vector<std::string_view> names_;
  std::map<std::string, Joined, std::less<>> joined_;
};

/// In one file TOML itself refuses a name said twice.
void check_names(const std::vector<GroupText>& groups, Findings& findings) {
  std::map<std::string_view, Place> first;
  for (const GroupText& group : groups) {
    const auto [at, fresh] = first.try_emplace(group.name, group.place);
    if (!fresh)
      findings.add(group.place, fmt::format("group {} is there twice, first in {}: give one of them another name, or write all of its "
                                            "services into one",
                                            group.name, findings.where(at->second, group.place)));
  }
}

} // namespace

void read_groups(const toml::table& table, std::size_t file, FilesText& files, Findings& findings) {
  const std::size_t first = files.groups.size();
  for (auto&& [key, value] : table) {
    const auto& begin = key.source().begin;
    const Place place{.file = file, .line = begin.line, .column = begin.column};
    const auto* group = value.as_table();
    if (!is_service_name(key.str()))
      findings.add(place, fmt::format("{} cannot name a group: use 1 to 64 of the characters A-Z a-z 0-9 _ . -", shown(key.str())));
    else if (group == nullptr)
      findings.add(place, fmt::format("group.{} is {}, and a group is a table: write [group.NAME] above its services, as in [group.sip]",
                                      key.str(), type_name(value)));
    else
      files.groups.push_back(read_group(*group, std::string{key.str()}, file, findings));
  }
  // TOML gives keys sorted by name; people expect the order of the file.
  std::sort(files.groups.begin() + static_cast<std::ptrdiff_t>(first), files.groups.end(),
            [](const GroupText& a, const GroupText& b) { return a.place < b.place; });
}

void join_groups(const FilesText& files, std::vector<Merged>& services, Findings& findings) {
  check_names(files.groups, findings);
  if (services.size() != files.services.size()) return; // too many to be looked at
  Joining joining{files, services, findings};
  for (const GroupText& group : files.groups) joining.join(group);
}

} // namespace hanat::config
