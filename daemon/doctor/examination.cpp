// The passes, and how what they saw becomes a diagnosis.
#include "daemon/doctor/examination.hpp"

#include <algorithm>
#include <array>
#include <exception>
#include <iterator>
#include <map>

#include <fmt/format.h>

namespace hanat {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t most_suspects = 8; // traced at once; the others have the same cause, or wait for the next examination
constexpr auto spacing = 500us;
constexpr auto ping_wait = 300ms;
constexpr std::size_t most_pings = 3; // an examination ends within 5 s

/// Settings that explain why a packet does not get through: no second reason is wanted then.
constexpr std::array explaining{"ip-forward-off", "ipv6-forward-off",   "interface-forward-off",
                                "conntrack-full", "no-route-to-server", "snat-address-unowned"};
/// Findings that tell only that something is wrong.
constexpr std::array vague{"not-forwarded", "reply-lost", "clients-refused", "server-drops-clients"};

template <typename Codes> bool is_one_of(const Finding& finding, const Codes& codes) {
  return std::ranges::find(codes, finding.code) != codes.end();
}
void append(std::vector<Finding>& all, std::vector<Finding> more) {
  all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

} // namespace

void arrange(std::vector<Finding>& found) {
  std::ranges::stable_sort(found, [](const Finding& left, const Finding& right) { return left.severity > right.severity; });
  std::vector<Finding> once;
  for (Finding& finding : found) {
    const auto same = [&](const Finding& other) {
      return other.code == finding.code && other.service == finding.service && other.what == finding.what;
    };
    if (std::ranges::none_of(once, same)) once.push_back(std::move(finding));
  }
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
  before_ = after_ = read_host();
  if (check_rules) check_rules_with(check_rules);
  client_.emplace(table, doctor_client());
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
  after_ = read_host();
  read_paths();
  if (!has_suspects()) client_.reset();
} catch (const std::exception& error) {
  failure_ = error.what();
  client_.reset();
  for (ExaminedFlow& flow : flows_) {
    flow.result.outcome = FlowOutcome::not_sent;
    flow.suspect = false;
  }
  read_paths();
}

/// Where rules change all the time they cannot be read; the client is sent all the same.
void Examination::check_rules_with(const Doctor::CheckRules& check_rules) try {
  rules_ = check_rules(services_);
} catch (const std::exception& error) {
  rules_ = {{.severity = Severity::note,
             .code = "rules-not-read",
             .service = {},
             .what = fmt::format("the rules of nf_tables could not be read: {}", error.what()),
             .remedy = "nft list ruleset",
             .seen_by = {}}};
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
  after_ = read_host();
  read_paths();
  client_.reset();
} catch (const std::exception& error) {
  failure_ = error.what();
  client_.reset();
}

/// What the kernel knows of each flow that matters: of suspects and of unanswered clients everything, of the others too, as long as they
/// are few enough.
void Examination::read_paths() try {
  paths_.clear();
  const ClientAddresses own = doctor_client();
  for (const ExaminedFlow& flow : flows_) {
    const EndpointCheck& checked = endpoint(flow);
    const auto server = checked.server ? std::optional{checked.server->address} : std::nullopt;
    paths_.push_back(read_path(own.of(checked.vip.address.family()), checked.vip.address, server));
  }
  real_paths_.clear();
  for (const ServiceCheck& service : services_) {
    real_paths_.emplace_back();
    if (!service.unanswered) continue;
    for (const EndpointCheck& checked : service.endpoints)
      if (checked.vip.address.family() == service.unanswered->vip.address.family())
        real_paths_.back() = read_path(service.unanswered->client.address, service.unanswered->vip.address,
                                       checked.server ? std::optional{checked.server->address} : std::nullopt);
  }
} catch (const std::exception& error) {
  failure_ = error.what();
  paths_.resize(flows_.size());
  real_paths_.resize(services_.size());
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
  if (explained) std::erase_if(effects, [](const Finding& finding) { return is_one_of(finding, vague); });
  if (service.clients_served)
    for (Finding& finding : effects) finding.severity = std::min(finding.severity, Severity::warning);
  append(effects, std::move(settings));
  return effects;
}

void Examination::add_unanswered(const ServiceCheck& service, const UnansweredClient& unanswered, std::vector<Finding>& all) const {
  const auto index = static_cast<std::size_t>(&service - services_.data());
  for (const EndpointCheck& checked : service.endpoints) {
    if (checked.vip.address.family() != unanswered.vip.address.family() || checked.vip.protocol != unanswered.vip.protocol) continue;
    append(all, check_settings(before_, after_,
                               {.service = service.name,
                                .vip = unanswered.vip,
                                .server = checked.server,
                                .snat = checked.snat,
                                .client = unanswered.client,
                                .seen_by = "client " + unanswered.client.address.text(),
                                .own_client = false,
                                .path = real_paths_[index],
                                .result = std::nullopt}));
    return;
  }
}

Diagnosis Examination::diagnosis() const {
  Diagnosis diagnosis{.found = {}, .services = {}, .interface = interface_, .failure = failure_};
  std::vector<Finding>& all = diagnosis.found;
  append(all, by_real_);
  append(all, by_own_);
  for (const ServiceCheck& service : services_) {
    diagnosis.services.push_back({.service = service.name, .sent = 0, .answered = 0, .slowest = {}});
    if (service.unanswered) add_unanswered(service, *service.unanswered, all);
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
