// The passes, and how what they saw becomes a diagnosis.
#include "daemon/doctor/examination.hpp"

#include <algorithm>
#include <array>
#include <exception>
#include <iterator>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "daemon/doctor/pair_checks.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t most_suspects = 8; // traced at once; the others have the same cause, or wait for the next examination
constexpr std::size_t most_paths = 256;  // looked up: some milliseconds
constexpr auto spacing = 500us;
constexpr auto ping_wait = 300ms;
constexpr std::size_t most_pings = 3; // an examination ends within 5 s

/// Settings that explain why a packet does not get through: no second reason is wanted then.
constexpr std::array explaining{"ip-forward-off", "ipv6-forward-off",   "interface-forward-off", "conntrack-full",
                                "link-down",      "no-route-to-server", "snat-address-unowned"};
/// Findings that tell only that something is wrong.
constexpr std::array vague{"not-forwarded", "reply-lost", "clients-refused", "server-drops-clients"};

template <typename Codes> bool is_one_of(const Finding& finding, const Codes& codes) {
  return std::ranges::find(codes, finding.code) != codes.end();
}
void append(std::vector<Finding>& all, std::vector<Finding> more) {
  all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

/// Where rules change all the time they cannot be read; the client is sent all the same.
std::vector<Finding> rules_in_the_way(const Doctor::CheckRules& check_rules, const std::vector<ServiceCheck>& services) try {
  return check_rules(services);
} catch (const std::exception& error) {
  return {{.severity = Severity::note,
           .code = "rules-not-read",
           .service = {},
           .what = fmt::format("the rules of nf_tables could not be read: {}", error.what()),
           .remedy = "nft list ruleset",
           .seen_by = {}}};
}

HostFacts read_host_for(const std::vector<ServiceCheck>& services) {
  HostFacts host = read_host();
  host.has_vrrp |= is_pair(services); // also while keepalived is dead
  return host;
}

/// Servers that are to take over and cannot be reached; of the first of them, where they are very many.
std::vector<Finding> out_of_reach(const std::vector<ServiceCheck>& services, const HostFacts& host) {
  std::map<Address, RouteFacts> routes;
  std::vector<Finding> all;
  for (const ServiceCheck& service : services)
    for (const OtherServer& other : service.others) {
      const Address& address = other.endpoint.address;
      if (!routes.contains(address) && routes.size() == most_paths) continue;
      if (!routes.contains(address)) routes[address] = read_route(address);
      if (auto found = check_other_server(host, {service.name, other.role, other.endpoint}, routes[address]))
        all.push_back(*std::move(found));
    }
  return all;
}

/// The link in whose net the address is, if no interface has it; 0: none. With VRRP it may be at the other gateway, and come.
unsigned link_without(const HostFacts& host, const Address& address) {
  const InterfaceFacts* const link = host.on_link(address);
  return host.has_vrrp || link == nullptr || host.owner_of(address) != nullptr ? 0 : link->index;
}

/// What hanatd's own client met does not stop clients that are served.
void outweigh(const std::vector<ServiceCheck>& services, Finding& finding) {
  const auto service = std::ranges::find(services, finding.service, &ServiceCheck::name);
  if (finding.witness == Witness::own_client && service != services.end() && service->clients_served)
    finding.severity = std::min(finding.severity, Severity::warning);
}

} // namespace

void arrange(std::vector<Finding>& found) {
  std::ranges::stable_sort(found, [](const Finding& left, const Finding& right) { return left.severity > right.severity; });
  std::vector<Finding> once;
  std::set<std::tuple<std::string, std::string, std::string>> known;
  for (Finding& finding : found)
    if (known.emplace(finding.code, finding.service, finding.what).second) once.push_back(std::move(finding));
  found = std::move(once);
}

Examination::Examination(std::vector<ServiceCheck> services) : services_(std::move(services)) {
  for (std::size_t service = 0; service < services_.size(); ++service)
    for (std::size_t endpoint = 0; endpoint < services_[service].endpoints.size(); ++endpoint)
      flows_.push_back({.service = service, .endpoint = endpoint, .result = {}});
}

std::string Examination::seen_by() const { return "hanatd's own client by " + interface_; }

bool Examination::has_suspects() const { return std::ranges::any_of(flows_, &ExaminedFlow::suspect); }

void Examination::first_pass(const std::string& table, const Doctor::CheckRules& check_rules, const std::atomic<bool>& cancelled) try {
  table_ = table;
  before_ = after_ = read_host_for(services_);
  by_own_ = out_of_reach(services_, before_);
  if (check_rules) rules_ = rules_in_the_way(check_rules, services_);
  client_.emplace(table, doctor_client(table));
  interface_ = client_->interface();
  std::vector<ClientFlow> flows;
  for (ExaminedFlow& flow : flows_) {
    flows.push_back(flow_of(endpoint(flow)));
    if (!services_[flow.service].probes_pass) flows.back().vip.protocol = Protocol::sctp; // nothing is sent
  }
  const std::vector<FlowResult> results = client_->run(flows, {.spacing = spacing}, cancelled);
  std::size_t suspects = 0;
  for (std::size_t index = 0; index < flows_.size(); ++index) {
    flows_[index].result = results[index];
    const FlowOutcome outcome = results[index].outcome;
    flows_[index].suspect = outcome != FlowOutcome::answered && outcome != FlowOutcome::not_sent && ++suspects <= most_suspects;
  }
  after_ = read_host_for(services_);
  read_paths();
  if (!has_suspects())
    client_.reset();
  else
    served_.begin(services_, cancelled);
} catch (const std::exception& error) {
  failure_ = error.what();
  client_.reset();
  for (ExaminedFlow& flow : flows_) {
    flow.result.outcome = FlowOutcome::not_sent;
    flow.suspect = false;
  }
  read_paths();
}

void Examination::second_pass(const std::atomic<bool>& cancelled) try {
  if (!client_) return;
  std::vector<ClientFlow> flows;
  std::vector<ExaminedFlow*> again;
  for (ExaminedFlow& flow : flows_) {
    if (!flow.suspect) continue;
    flows.push_back(flow_of(endpoint(flow)));
    again.push_back(&flow);
  }
  const std::vector<FlowResult> results = client_->run(flows, {.spacing = spacing, .watch = true}, cancelled);
  std::map<Address, bool> pinged;
  for (std::size_t index = 0; index < again.size(); ++index) {
    ExaminedFlow& flow = *again[index];
    flow.result = results[index];
    const auto& server = endpoint(flow).server;
    const bool left = !flow.result.left_by.empty() || endpoint(flow).vip.protocol == Protocol::udp; // datagrams are not watched
    if (flow.result.outcome != FlowOutcome::silent || !left || !flow.result.back_by.empty() || !server ||
        endpoint(flow).snat.kind != nat::SnatKind::none || cancelled)
      continue;
    if (!pinged.contains(server->address) && pinged.size() < most_pings)
      pinged[server->address] = client_->pings(server->address, ping_wait);
    const auto known = pinged.find(server->address);
    flow.pings = known != pinged.end() && known->second;
  }
  const std::set<std::string> served = served_.end(cancelled);
  for (ServiceCheck& service : services_) service.clients_served = served.contains(service.name);
  after_ = read_host_for(services_);
  read_paths();
  client_.reset();
} catch (const std::exception& error) {
  failure_ = error.what();
  client_.reset();
}

/// What the kernel knows of each flow that matters: of suspects and of unanswered clients everything, of the others too, as long as they
/// are few enough. Many services have a server or an address in common.
void Examination::read_paths() try {
  paths_.assign(flows_.size(), {});
  real_paths_.assign(services_.size(), {});
  const ClientAddresses own = doctor_client(table_);
  using Key = std::tuple<Address, Address, std::optional<Address>>;
  std::map<Key, PathFacts> known;
  const auto facts_of = [&](const Address& client, const Address& vip, const EndpointCheck& checked, bool needed) {
    const Key key{client, vip, checked.server ? std::optional{checked.server->address} : std::nullopt};
    if (const auto found = known.find(key); found != known.end()) return found->second;
    if (!needed && known.size() >= most_paths) {
      PathFacts unread;
      unread.read = false;
      return unread;
    }
    const Address snat = checked.snat.kind == nat::SnatKind::address ? checked.snat.address : Address{};
    return known[key] = read_path({.client = client,
                                   .vip = vip,
                                   .server = std::get<2>(key),
                                   .vip_link = link_without(after_, vip),
                                   .snat_link = link_without(after_, snat),
                                   .snat = snat});
  };
  for (std::size_t service = 0; service < services_.size(); ++service)
    if (const auto& unanswered = services_[service].unanswered)
      for (const EndpointCheck& checked : services_[service].endpoints)
        if (checked.vip.address.family() == unanswered->vip.address.family())
          real_paths_[service] = facts_of(unanswered->client.address, unanswered->vip.address, checked, true);
  for (const bool suspects : {true, false})
    for (std::size_t index = 0; index < flows_.size(); ++index) {
      const EndpointCheck& checked = endpoint(flows_[index]);
      if (flows_[index].suspect == suspects)
        paths_[index] = facts_of(own.of(checked.vip.address.family()), checked.vip.address, checked, suspects);
    }
} catch (const std::exception& error) {
  failure_ = error.what();
}

void Examination::add_traced(const Traced& traced, bool own) { append(own ? by_own_ : by_real_, traced.found); }

void Examination::assume_for_untraced() {
  bool any = false;
  for (const ExaminedFlow& flow : flows_) {
    if (!flow.suspect || !flow.traced) continue;
    if (!flow.culprit_known) return;
    any = true;
  }
  for (ExaminedFlow& flow : flows_)
    if (any && flow.suspect && !flow.traced) flow.culprit_known = true;
}

std::vector<Finding> Examination::of_flow(const ExaminedFlow& flow) const {
  const ServiceCheck& service = services_[flow.service];
  const EndpointCheck& checked = endpoint(flow);
  const auto index = static_cast<std::size_t>(&flow - flows_.data());
  const CheckedPath path{.service = service.name,
                         .vip = checked.vip,
                         .server = checked.server,
                         .snat = checked.snat,
                         .client = flow.result.client,
                         .seen_by = seen_by(),
                         .own_client = true,
                         .path = paths_[index],
                         .result = flow.result,
                         .server_pings = flow.pings,
                         .culprit_known = flow.culprit_known};
  std::vector<Finding> settings = check_settings(before_, after_, path);
  const bool explained = std::ranges::any_of(
      settings, [](const Finding& finding) { return finding.severity == Severity::problem && is_one_of(finding, explaining); });
  std::vector<Finding> effects = flow.suspect ? check_flow(before_, after_, path) : std::vector<Finding>{};
  for (Finding& finding : settings) // the packets have shown it
    if (flow.suspect && finding.code == "snat-address-unowned") finding.severity = Severity::problem;
  if (explained) std::erase_if(effects, [](const Finding& finding) { return is_one_of(finding, vague); });
  for (Finding& finding : effects) outweigh(services_, finding);
  append(effects, std::move(settings));
  return effects;
}

/// Settings, with what the client's own packet has shown of them.
void Examination::add_unanswered(const ServiceCheck& service, const UnansweredClient& unanswered, std::vector<Finding>& all) const {
  const auto index = static_cast<std::size_t>(&service - services_.data());
  for (const EndpointCheck& checked : service.endpoints) {
    if (checked.vip.address.family() != unanswered.vip.address.family() || checked.vip.protocol != unanswered.vip.protocol) continue;
    std::vector<Finding> settings = check_settings(before_, after_,
                                                   {.service = service.name,
                                                    .vip = unanswered.vip,
                                                    .server = checked.server,
                                                    .snat = checked.snat,
                                                    .client = unanswered.client,
                                                    .seen_by = "client " + unanswered.client.address.text(),
                                                    .own_client = false,
                                                    .path = real_paths_[index],
                                                    .result = std::nullopt});
    const auto seen = seen_.find(service.name);
    const std::optional<Finding> lost = seen == seen_.end() ? std::nullopt : seen->second;
    if (lost) {
      for (Finding& finding : settings)
        if (finding.code == "rp-filter") finding.severity = Severity::problem;
      const auto explains = [](const Finding& finding) { return finding.severity == Severity::problem; };
      if (std::ranges::none_of(settings, explains)) settings.push_back(*lost);
    }
    append(all, std::move(settings));
    return;
  }
}

Diagnosis Examination::diagnosis() const {
  Diagnosis diagnosis{.found = {}, .services = {}, .interface = interface_, .failure = failure_};
  std::vector<Finding>& all = diagnosis.found;
  append(all, by_real_);
  append(all, by_own_);
  for (Finding& finding : all) outweigh(services_, finding);
  for (const ServiceCheck& service : services_) {
    diagnosis.services.push_back({.service = service.name,
                                  .sent = 0,
                                  .answered = 0,
                                  .slowest = {},
                                  .served = service.clients_served,
                                  .saw_client = seen_.contains(service.name)});
    if (service.unanswered) add_unanswered(service, *service.unanswered, all);
    append(all, service.known);
  }
  for (const ExaminedFlow& flow : flows_) {
    append(all, of_flow(flow));
    Diagnosis::Checked& checked = diagnosis.services[flow.service];
    if (flow.result.outcome == FlowOutcome::not_sent) continue;
    ++checked.sent;
    if (flow.result.outcome != FlowOutcome::answered) continue;
    ++checked.answered;
    checked.slowest = std::max(checked.slowest, flow.result.latency);
  }
  for (const Finding& rule : rules_) { // a trap that a packet has met needs no warning
    const auto is_same = [&rule](const Finding& met) {
      return met.code == rule.code && (rule.service.empty() || met.service == rule.service);
    };
    if (std::ranges::none_of(all, is_same)) all.push_back(rule);
  }
  arrange(all);
  return diagnosis;
}

} // namespace hanat
