// Goes through a packet's reports from its begin: the first thing that keeps it from its way is the culprit.
#include "daemon/doctor/culprit.hpp"

#include <algorithm>
#include <functional>
#include <ranges>
#include <utility>

#include <fmt/format.h>

#include "daemon/doctor/remedy.hpp"
#include "daemon/doctor/rule_match.hpp"

namespace hanat {
namespace {

using nat::ChainName;
using nat::ForeignRule;
using nat::ForeignRuleset;
using nat::TracedHeader;
using nat::TraceKind;
using nat::TraceStep;
using nat::TraceVerdict;

ChainName chain_of(const TraceStep& step) { return {step.family, step.table, step.chain}; }

bool is_server(const Endpoint& endpoint, const std::vector<Endpoint>& servers) {
  return std::ranges::any_of(servers, [&](const Endpoint& server) {
    return server.address == endpoint.address && (server.port == 0 || server.port == endpoint.port);
  });
}

/// The reports of one packet beside the ruleset.
class CulpritSearch {
public:
  CulpritSearch(const TracedPacket& packet, const ForeignRuleset& ruleset, const TraceContext& context)
      : packet_(packet), ruleset_(ruleset), context_(context), trace_table_(nat::trace_table_of(context.table)) {}

  std::optional<Finding> result() const;

private:
  const std::vector<TraceStep>& steps() const { return packet_.steps; }
  const ForeignRule* rule_of(const TraceStep& step) const { return nat::find_rule(ruleset_, chain_of(step), step.rule_handle); }
  std::size_t base_of(std::size_t step) const;
  const nat::BaseChain* hook_of(std::size_t step) const;
  std::string where(std::size_t step) const;
  std::string seen_by() const;
  Finding make(std::string code, std::string what, std::string remedy) const;
  std::string subject() const;
  std::string remedy_at(std::size_t step) const;
  bool would_accept(std::size_t step, const std::function<bool(const ForeignRule&)>& condition) const;
  Finding judged(Finding finding, std::size_t step) const;

  std::optional<Finding> stopped() const;
  std::optional<Finding> translated_by_another() const;
  std::optional<Finding> untranslated() const;
  std::optional<Finding> lost() const;
  std::string legacy_command() const;

  const TracedPacket& packet_;
  const ForeignRuleset& ruleset_;
  const TraceContext& context_;
  std::string trace_table_;
};

/// The report with which the base chain of a step began: the first of each has the packet's headers.
std::size_t CulpritSearch::base_of(std::size_t step) const {
  while (step > 0 && !steps()[step].header) --step;
  return step;
}

const nat::BaseChain* CulpritSearch::hook_of(std::size_t step) const {
  const auto chain = ruleset_.chains.find(chain_of(steps()[base_of(step)]));
  if (chain == ruleset_.chains.end()) return nullptr;
  const auto& base = chain->second.base;
  return base ? &*base : nullptr;
}

/// "inet fw deny rule 2 (handle 7) (reached from forward)", "ip filter FORWARD, policy drop"
std::string CulpritSearch::where(std::size_t index) const {
  const TraceStep& step = steps()[index];
  std::string text = to_text(chain_of(step));
  if (step.kind == TraceKind::policy) return text + ", policy drop";
  const ForeignRule* rule = rule_of(step);
  text = rule == nullptr ? fmt::format("{} rule with handle {}", text, step.rule_handle) : rule_name(chain_of(step), *rule);
  const TraceStep& base = steps()[base_of(index)];
  if (base.chain != step.chain) text += fmt::format(" (reached from {})", base.chain);
  return text;
}

std::string CulpritSearch::seen_by() const {
  const TraceStep& first = steps().front();
  const std::string by = first.iif.empty() ? " on this machine" : " by " + first.iif;
  if (!packet_.reply) return fmt::format("client {}{}", context_.traced.client.text(), by);
  return first.header ? fmt::format("reply of {}{}", to_text(first.header->from), by) : "a reply" + by;
}

Finding CulpritSearch::make(std::string code, std::string what, std::string remedy) const {
  return {.severity = Severity::problem,
          .code = std::move(code),
          .service = context_.service,
          .what = std::move(what),
          .remedy = std::move(remedy),
          .seen_by = seen_by(),
          .witness = context_.own_client ? Witness::own_client : Witness::real_client};
}

std::string CulpritSearch::subject() const { return packet_.reply ? "the server's reply is " : ""; }

std::string CulpritSearch::remedy_at(std::size_t index) const {
  const std::size_t base = base_of(index);
  const nat::BaseChain* hook = hook_of(index);
  if (hook == nullptr) return show_command(chain_of(steps()[index]));
  Obstructed obstructed{.base = chain_of(steps()[base]),
                        .hook = hook->hook,
                        .vip = context_.traced.vip,
                        .server = {.address = context_.traced.vip.address, .port = 0},
                        .reply = packet_.reply};
  for (std::size_t at = base; at <= index; ++at) {
    obstructed.by_ufw |= steps()[at].chain.starts_with("ufw-") || steps()[at].target.starts_with("ufw-");
    obstructed.by_ufw |= steps()[at].chain.starts_with("ufw6-") || steps()[at].target.starts_with("ufw6-");
    obstructed.by_docker |= steps()[at].target == "DOCKER-USER";
  }
  if (const auto& header = steps()[base].header) {
    const Endpoint& end = packet_.reply ? header->from : header->to;
    obstructed.translated = end.address != context_.traced.vip.address;
    obstructed.server = end;
  }
  return remedy_for(obstructed);
}

/// Whether a rule of the chains that the packet met in this table would let it pass, were it not for a condition of this kind.
bool CulpritSearch::would_accept(std::size_t index, const std::function<bool(const ForeignRule&)>& condition) const {
  const TraceStep& last = steps()[index];
  const auto& header = steps()[base_of(index)].header;
  if (!header || packet_.reply) return false;
  PacketModel model{.protocol = context_.traced.vip.protocol, .to = header->to, .oif = {}};
  if (header->to.address != context_.traced.vip.address) model.vip = context_.traced.vip.address;
  for (const auto& [name, chain] : ruleset_.chains) {
    if (name.family != last.family || name.table != last.table) continue;
    for (const ForeignRule& rule : chain.rules)
      if (rule.action == nat::RuleAction::accept && condition(rule) && match(rule, model) != Matches::no) return true;
  }
  return false;
}

/// Severity, and whether it is about this client alone: it or its interface is on a list, or is not.
Finding CulpritSearch::judged(Finding finding, std::size_t index) const {
  const ForeignRule* rule = rule_of(steps()[index]);
  const auto about_client = [&](const ForeignRule& one) { return asks_for_client(one, packet_.reply); };
  finding.client_only = (rule != nullptr && may_ask_for_client(*rule, packet_.reply)) || would_accept(index, about_client);
  const auto about_link = [&](const ForeignRule& one) { return asks_for_interface(one, packet_.reply); };
  const bool about_interface = (rule != nullptr && about_link(*rule)) || would_accept(index, about_link);
  if (finding.client_only || (context_.own_client && about_interface)) finding.severity = Severity::warning;
  return finding;
}

/// Dropped, rejected, or given to another program.
std::optional<Finding> CulpritSearch::stopped() const {
  if (steps().empty()) return std::nullopt;
  const std::size_t last = steps().size() - 1;
  const TraceStep& step = steps()[last];
  if (step.table == trace_table_) return std::nullopt;
  const nat::BaseChain* hook = hook_of(last);
  const ForeignRule* rule = rule_of(step);
  if (step.verdict == TraceVerdict::queue || step.verdict == TraceVerdict::stolen) {
    const char* verb = step.verdict == TraceVerdict::queue ? "given to a program by " : "taken over by ";
    return make("queued", fmt::format("{}{}{}, and does not come back", subject(), verb, where(last)), show_command(chain_of(step)));
  }
  if (step.verdict != TraceVerdict::drop) return std::nullopt;
  const bool rejected = rule != nullptr && rule->action == nat::RuleAction::reject;
  const std::string what = fmt::format("{}{} by {}", subject(), rejected ? "rejected" : "dropped", where(last));
  if (step.table == context_.table && packet_.reply) // held, so that another server may answer
    return make("clients-refused", "its server refuses connections of clients, though not hanatd's probes",
                "on the server: see what listens on the port and for whom, and which rules reject   (ss -ltn; nft list ruleset)");
  if (step.table == context_.table)
    return make("own-drop", what + ": a rule of hanat's own", fmt::format("hanatctl status {}", context_.service));
  const bool forward = hook != nullptr && hook->hook == nat::Hook::forward;
  // An accept in front of a list of blocked addresses would open the service to all of them.
  const bool is_meant = rule != nullptr && may_ask_for_client(*rule, packet_.reply);
  return judged(make(forward ? "forward-drop" : "rule-drop", what, is_meant ? show_command(chain_of(step)) : remedy_at(last)), last);
}

/// Another NAT chain came first, so hanat's was not asked.
std::optional<Finding> CulpritSearch::translated_by_another() const {
  if (packet_.reply) return std::nullopt;
  const Endpoint* to = nullptr;
  std::size_t translator = steps().size(); // the last rule of a NAT chain before the destination changed
  for (std::size_t at = 0; at < steps().size() && to == nullptr; ++at) {
    const TraceStep& step = steps()[at];
    const auto& header = step.header;
    if (header && header->to.address != context_.traced.vip.address) to = &header->to;
    const nat::BaseChain* hook = hook_of(at);
    if (to == nullptr && step.kind == TraceKind::rule && step.verdict == TraceVerdict::accept && hook != nullptr && hook->type == "nat")
      translator = at;
  }
  // Without another address: a rule that only changes the port.
  const auto& vip = context_.traced.vip;
  for (const TraceStep& step : steps())
    if (to == nullptr && step.header && (step.header->to.port < vip.port || step.header->to.port > last_port(vip))) to = &step.header->to;
  if (to == nullptr) return std::nullopt;
  if (is_server(*to, context_.servers) || (translator < steps().size() && steps()[translator].table == context_.table)) return std::nullopt;
  if (translator == steps().size())
    return make(
        "other-nat",
        fmt::format("translated to {}, which is no server of {}, since an earlier packet of the flow", to_text(*to), context_.service),
        fmt::format("conntrack -L -s {} -d {}", context_.traced.client.text(), context_.traced.vip.address.text()));
  return make("other-nat", fmt::format("{} translated it to {} first", where(translator), to_text(*to)), remedy_at(translator));
}

/// It went on to the virtual endpoint itself: conntrack does not know it, or knows its flow as untranslated.
std::optional<Finding> CulpritSearch::untranslated() const {
  if (packet_.reply || reached_by(packet_, trace_table_) < Reached::routing) return std::nullopt;
  const auto is_translated = [&](const TraceStep& step) { return step.header && step.header->to.address != context_.traced.vip.address; };
  if (std::ranges::any_of(steps(), is_translated)) return std::nullopt;
  if (is_server({.address = context_.traced.vip.address, .port = context_.traced.vip.port}, context_.servers)) return std::nullopt;
  for (std::size_t at = 0; at < steps().size(); ++at) {
    const ForeignRule* rule = rule_of(steps()[at]);
    if (rule != nullptr && rule->action == nat::RuleAction::notrack && steps()[at].kind == TraceKind::rule)
      return make("notrack", fmt::format("{} takes it out of connection tracking (notrack), so it is not translated", where(at)),
                  remedy_at(at));
  }
  return make("untranslated",
              "not translated: conntrack knows its flow from before, or another program has taken it out of connection tracking",
              fmt::format("conntrack -D -s {} -d {}", context_.traced.client.text(), context_.traced.vip.address.text()));
}

std::string CulpritSearch::legacy_command() const {
  const auto of = [&](std::string_view family) {
    return std::ranges::any_of(ruleset_.legacy_tables, [&](const std::string& table) { return table.starts_with(family); });
  };
  const bool v4 = context_.traced.client.family() == Family::ipv4;
  if (!of(v4 ? "ip " : "ip6 ")) return {};
  return fmt::format("{}tables-legacy-save -c", v4 ? "ip" : "ip6");
}

/// Between two moments, and no rule of nf_tables did it.
std::optional<Finding> CulpritSearch::lost() const {
  const Reached reached = reached_by(packet_, trace_table_);
  const char* between = nullptr;
  switch (reached) {
  case Reached::nothing:
  case Reached::delivered:
  case Reached::left: return std::nullopt;
  case Reached::begin: between = "in prerouting"; break;
  case Reached::routing: between = "between prerouting and forward"; break;
  case Reached::forward: between = "in forward"; break;
  case Reached::forwarded: between = "between forward and postrouting"; break;
  case Reached::input: between = "in input"; break;
  }
  const std::string legacy = legacy_command();
  if (reached != Reached::routing) {
    const std::string hint = legacy.empty() ? "" : ": iptables-legacy has tables, which cannot be traced";
    return make("lost", fmt::format("{}lost {}, and no rule of nf_tables did it{}", subject(), between, hint),
                legacy.empty() ? std::string{"nft list hooks"} : legacy);
  }
  const TracedHeader last = steps()[base_of(steps().size() - 1)].header.value_or(TracedHeader{});
  const std::string iif = steps().front().iif;
  return make("not-forwarded",
              fmt::format("{}lost between prerouting and forward: forwarding is off, rp_filter drops it, or there is no route to {}",
                          subject(), last.to.address.text()),
              fmt::format("ip route get {} from {} iif {}", last.to.address.text(), last.from.address.text(), iif));
}

std::optional<Finding> CulpritSearch::result() const {
  if (auto found = translated_by_another()) return found;
  if (auto found = stopped()) return found;
  if (auto found = untranslated()) return found;
  return lost();
}

} // namespace

std::set<ChainName> chains_in(const std::vector<TracedPacket>& packets, const std::string& trace_table) {
  std::set<ChainName> chains;
  for (const TracedPacket& packet : packets)
    for (const TraceStep& step : packet.steps)
      if (step.table != trace_table && (step.rule_handle != 0 || step.verdict == TraceVerdict::drop)) chains.insert(chain_of(step));
  return chains;
}

Passage passage_of(const std::vector<TracedPacket>& packets, const std::string& table) {
  const std::string trace_table = nat::trace_table_of(table);
  Passage passage;
  for (const TracedPacket& packet : packets) {
    const Reached reached = reached_by(packet, trace_table);
    Reached& furthest = packet.reply ? passage.reply : passage.request;
    if (reached < furthest || packet.steps.empty()) continue;
    furthest = reached;
    if (packet.reply) continue;
    passage.came_by = packet.steps.front().iif;
    for (const TraceStep& step : packet.steps) {
      if (!step.header) continue; // only these reports have interfaces, too
      passage.sent_to = step.header->to;
      passage.left_by = reached == Reached::left ? step.oif : "";
    }
  }
  return passage;
}

std::optional<Finding> culprit_of(const std::vector<TracedPacket>& packets, const ForeignRuleset& ruleset, const TraceContext& context) {
  for (const TracedPacket& packet : std::views::reverse(packets))
    if (!packet.steps.empty())
      if (auto found = CulpritSearch{packet, ruleset, context}.result()) return found;
  return std::nullopt;
}

} // namespace hanat
