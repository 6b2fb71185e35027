// Sends the first packet of a client of each service through the base chains, in thought.
#include "daemon/doctor/rule_checks.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "daemon/doctor/remedy.hpp"
#include "daemon/doctor/rule_match.hpp"
#include "nat/nftables/trace_table.hpp"

namespace hanat {
namespace {

using nat::ChainName;
using nat::ForeignChain;
using nat::ForeignRule;
using nat::Hook;
using nat::RuleAction;

constexpr int conntrack_priority = -200;
constexpr int own_dnat_priority = -105;                // of hanat's chains dnat_prerouting and dnat_output
constexpr std::size_t rules_tried_at_most = 5'000'000; // about a second
constexpr std::size_t named_at_most = 3;               // services in one finding

Finding make_finding(Severity severity, const char* code, std::string what, std::string remedy) {
  return {.severity = severity, .code = code, .service = {}, .what = std::move(what), .remedy = std::move(remedy), .seen_by = {}};
}

/// One client's packet at one base chain.
struct Trial {
  const ChainName& base;
  const nat::BaseChain& hook;
  PacketModel packet;
  const Vip& vip;
  const Endpoint& server;
  const std::string& service;
};

/// What several services have in common is one finding.
struct Cause {
  Finding finding;
  std::set<std::string> services;
};

class RuleChecks {
public:
  RuleChecks(const nat::ForeignRuleset& ruleset, const std::string& table) : ruleset_(ruleset), table_(table) {}

  void check(const CheckedService& service);
  void check_flowtables(const std::vector<CheckedService>& services);
  void check_legacy();
  std::vector<Finding> finish();

private:
  enum class End : std::uint8_t { goes_on, may_pass, dropped };
  struct Outcome {
    End end = End::goes_on;
    std::string where{};
  };
  Outcome pass(const Trial& trial, const ChainName& name, bool certain, int depth);
  Outcome meet(const Trial& trial, const ChainName& name, const ForeignRule& rule, bool certain, int depth);
  void note_taken(const Trial& trial, const ChainName& name, const ForeignRule& rule, bool certain);
  bool try_chain(const Trial& trial, const std::string& role);
  void check_way(const CheckedService& service, const Vip& vip, const Endpoint& server, const std::string& role);
  void add(Finding finding, const std::string& service);
  bool calls(const ChainName& base, std::string_view prefix) const;
  std::string remedy_of(const Trial& trial) const;

  const nat::ForeignRuleset& ruleset_;
  const std::string& table_;
  std::map<std::pair<std::string, std::string>, Cause> causes_; // by code and text
  std::set<ChainName> dropping_;                                // that drop what goes to the servers of the service that is checked
  std::size_t tried_ = 0;
  bool passed_over_accept_ = false; // in the chain that is tried
};

void RuleChecks::add(Finding finding, const std::string& service) {
  Cause& cause = causes_[{finding.code, finding.what}];
  if (cause.services.empty()) cause.finding = std::move(finding);
  cause.services.insert(service);
}

bool RuleChecks::calls(const ChainName& base, std::string_view prefix) const {
  return std::ranges::any_of(ruleset_.chains.at(base).rules, [&](const ForeignRule& rule) { return rule.target.starts_with(prefix); });
}

std::string RuleChecks::remedy_of(const Trial& trial) const {
  return remedy_for({.base = trial.base,
                     .hook = trial.hook.hook,
                     .by_ufw = calls(trial.base, "ufw-") || calls(trial.base, "ufw6-"),
                     .by_docker = calls(trial.base, "DOCKER-USER"),
                     .vip = trial.vip,
                     .server = trial.server,
                     .translated = trial.packet.vip.has_value()});
}

/// A rule that takes the packet out of hanat's hands.
void RuleChecks::note_taken(const Trial& trial, const ChainName& name, const ForeignRule& rule, bool certain) {
  if (!certain && !names_destination(rule, trial.packet)) return;
  const bool before_nat = trial.hook.priority <= own_dnat_priority;
  const char* which = certain ? "" : " (some clients')";
  if (rule.action == RuleAction::notrack && trial.hook.priority < conntrack_priority)
    add(make_finding(Severity::warning, "notrack",
                     fmt::format("{} takes packets to {}{} out of connection tracking: they are not translated", rule_name(name, rule),
                                 to_text(trial.vip), which),
                     remedy_of(trial)),
        trial.service);
  const bool nat = rule.action == RuleAction::dnat || rule.action == RuleAction::redirect;
  if (!nat || !before_nat || trial.packet.vip) return;
  const std::string to = rule.action == RuleAction::redirect ? " to the gateway itself" : rule.to ? " to " + to_text(*rule.to) : "";
  add(make_finding(Severity::warning, "other-nat",
                   fmt::format("{} translates packets to {}{}{} before hanat does", rule_name(name, rule), to_text(trial.vip), which, to),
                   remedy_of(trial)),
      trial.service);
}

RuleChecks::Outcome RuleChecks::meet(const Trial& trial, const ChainName& name, const ForeignRule& rule, bool certain, int depth) {
  switch (rule.action) {
  case RuleAction::none:
  case RuleAction::snat:
  case RuleAction::offload:
  case RuleAction::back: return {};
  case RuleAction::notrack: note_taken(trial, name, rule, certain); return {};
  case RuleAction::dnat:
  case RuleAction::redirect: note_taken(trial, name, rule, certain); return {.end = certain ? End::may_pass : End::goes_on};
  case RuleAction::accept:
  case RuleAction::verdict_map:
  case RuleAction::queue:
  case RuleAction::other: return {.end = End::may_pass};
  case RuleAction::drop:
  case RuleAction::reject:
    return certain
               ? Outcome{End::dropped, fmt::format("{} {}", rule_name(name, rule), rule.action == RuleAction::drop ? "drops" : "rejects")}
               : Outcome{};
  case RuleAction::jump:
  case RuleAction::go_to: {
    Outcome outcome = pass(trial, {name.family, name.table, rule.target}, certain, depth + 1);
    return outcome.end == End::dropped && !certain ? Outcome{} : outcome;
  }
  }
  return {};
}

/// In a chain that may translate or exempt packets from conntrack the search goes on behind a rule that may accept this one.
RuleChecks::Outcome RuleChecks::pass(const Trial& trial, const ChainName& name, bool certain, int depth) {
  constexpr int jumps_at_most = 16; // as the kernel
  const auto found = ruleset_.chains.find(name);
  if (depth > jumps_at_most || found == ruleset_.chains.end() || !found->second.was_read) return {.end = End::may_pass};
  for (const ForeignRule& rule : found->second.rules) {
    if (++tried_ > rules_tried_at_most) return {.end = End::may_pass};
    const Matches matches = match(rule, trial.packet);
    if (matches == Matches::no) continue;
    const bool surely = certain && matches == Matches::yes;
    Outcome outcome = meet(trial, name, rule, surely, depth);
    const bool searches = trial.hook.type == "nat" || trial.hook.priority < conntrack_priority;
    if (outcome.end != End::goes_on && (surely || !searches)) return outcome;
    passed_over_accept_ |= outcome.end == End::may_pass;
    if (matches == Matches::yes && rule.action == RuleAction::back) return {};
    if (surely && rule.action == RuleAction::go_to) return {};
  }
  return {.end = found->second.is_complete ? End::goes_on : End::may_pass};
}

/// `role`: of a server that has no traffic now; empty: the target. Whether it is dropped.
bool RuleChecks::try_chain(const Trial& trial, const std::string& role) {
  passed_over_accept_ = false;
  Outcome outcome = pass(trial, trial.base, true, 0);
  if (outcome.end == End::goes_on && trial.hook.drops)
    outcome = {End::dropped, fmt::format("{} has the policy drop, and none of its rules accepts", to_text(trial.base))};
  if (outcome.end != End::dropped || passed_over_accept_) return false;
  const bool forward = trial.hook.hook == Hook::forward;
  add(make_finding(Severity::warning, forward ? "forward-drop" : "rule-drop",
                   fmt::format("{} packets to {}{}", outcome.where, role.empty() ? "" : role + " ",
                               trial.packet.vip ? to_text(trial.packet.to) : to_text(trial.vip)),
                   remedy_of(trial)),
      trial.service);
  return true;
}

bool is_for(nat::TableFamily family, Family packets) {
  return family == nat::TableFamily::inet || family == (packets == Family::ipv4 ? nat::TableFamily::ip : nat::TableFamily::ip6);
}

/// From the client to this server. A chain that drops what goes to the target is told once, and not for each server that may follow it.
void RuleChecks::check_way(const CheckedService& service, const Vip& vip, const Endpoint& server, const std::string& role) {
  const PacketModel before{.protocol = vip.protocol, .to = {vip.address, is_range(vip) ? std::uint16_t{0} : vip.port}, .oif = {}};
  PacketModel after{.protocol = vip.protocol, .to = server, .vip = vip.address, .oif = {}};
  if (after.to.port == 0) after.to.port = before.to.port;
  if (role.empty() && service.interfaces.size() == 1) after.oif = service.interfaces.front();
  for (const auto& [name, chain] : ruleset_.chains) {
    if (!chain.base || !is_for(name.family, vip.address.family()) || (!role.empty() && dropping_.contains(name))) continue;
    const bool translated = chain.base->hook != Hook::prerouting || chain.base->priority > own_dnat_priority;
    const bool on_the_way = chain.base->hook == Hook::prerouting || chain.base->hook == Hook::forward ||
                            (chain.base->hook == Hook::postrouting && chain.base->type != "nat");
    const bool differs = role.empty() || translated; // up to the translation all servers have the same way
    if (on_the_way && differs && !(translated && chain.base->type == "nat") &&
        try_chain({name, *chain.base, translated ? after : before, vip, server, service.name}, role))
      dropping_.insert(name);
  }
}

void RuleChecks::check(const CheckedService& service) {
  dropping_.clear();
  for (const Vip& vip : service.listen)
    for (const Endpoint& server : service.servers)
      if (server.address.family() == vip.address.family()) check_way(service, vip, server, {});
  for (const OtherServer& other : service.others) check_way(service, other.vip, other.endpoint, other.role);
}

void RuleChecks::check_flowtables(const std::vector<CheckedService>& services) {
  std::set<std::string> interfaces;
  for (const CheckedService& service : services) interfaces.insert(service.interfaces.begin(), service.interfaces.end());
  for (const nat::Flowtable& flowtable : ruleset_.flowtables) {
    const auto on_the_way = [&](const std::string& device) { return interfaces.contains(device); };
    if (flowtable.table == table_ || (!interfaces.empty() && std::ranges::none_of(flowtable.devices, on_the_way))) continue;
    const std::string name = fmt::format("{} {} {}", to_text(flowtable.family), flowtable.table, flowtable.name);
    add(make_finding(Severity::note, "flowtable",
                     fmt::format("flowtable {} ({}) forwards established flows past all rules; hanat cuts and counts them all the same",
                                 name, fmt::join(flowtable.devices, ", ")),
                     fmt::format("nft list flowtable {}", name)),
        "");
  }
}

void RuleChecks::check_legacy() {
  std::vector<std::string> commands;
  commands.reserve(ruleset_.legacy_tables.size());
  for (const std::string& table : ruleset_.legacy_tables)
    commands.push_back(
        fmt::format("{}-legacy -t {} -S", table.starts_with("ip6 ") ? "ip6tables" : "iptables", table.substr(table.find(' ') + 1)));
  if (commands.empty()) return;
  add(make_finding(Severity::warning, "iptables-legacy",
                   fmt::format("iptables-legacy has rules ({}) that hanatd can neither read nor trace: they may drop clients",
                               fmt::join(ruleset_.legacy_tables, ", ")),
                   fmt::format("{}", fmt::join(commands, "; "))),
      "");
}

std::vector<Finding> RuleChecks::finish() {
  std::vector<Finding> found;
  for (auto& [key, cause] : causes_) {
    cause.services.erase("");
    if (cause.services.size() == 1) cause.finding.service = *cause.services.begin();
    if (cause.services.size() > 1) {
      std::vector<std::string> named{
          cause.services.begin(),
          std::next(cause.services.begin(), static_cast<std::ptrdiff_t>(std::min(named_at_most, cause.services.size())))};
      const std::size_t more = cause.services.size() - named.size();
      cause.finding.what += fmt::format(" (services {}{})", fmt::join(named, ", "), more == 0 ? "" : fmt::format(" and {} more", more));
    }
    found.push_back(std::move(cause.finding));
  }
  std::vector<std::string> incomplete;
  for (const auto& [name, chain] : ruleset_.chains)
    if (!chain.is_complete) incomplete.push_back(to_text(name));
  if (!incomplete.empty() || tried_ > rules_tried_at_most)
    found.push_back(make_finding(
        Severity::note, "rules-not-checked",
        incomplete.empty() ? fmt::format("there are too many rules and services: only {} pairs of them were checked", rules_tried_at_most)
                           : fmt::format("only the first {} rules were read; the others of {}{} were not checked", nat::rules_to_check,
                                         incomplete.front(), incomplete.size() > 1 ? " and more" : ""),
        "hanatctl doctor SERVICE"));
  return found;
}

} // namespace

std::vector<Finding> check_rules(const nat::ForeignRuleset& ruleset, const std::vector<CheckedService>& services,
                                 const std::string& table) {
  nat::ForeignRuleset others = ruleset;
  std::erase_if(others.chains,
                [&](const auto& chain) { return chain.first.table == table || chain.first.table == nat::trace_table_of(table); });
  RuleChecks checks{others, table};
  for (const CheckedService& service : services) checks.check(service);
  checks.check_flowtables(services);
  checks.check_legacy();
  return checks.finish();
}

} // namespace hanat
