// Status, Reload, Confirm, Settled, History, Doctor, Version: the state of the controller to replies. The others: operations, inquiry.
#include "daemon/control/handlers.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <map>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include "daemon/api/methods.hpp"
#include "daemon/api/varlink.hpp"
#include "daemon/control/diagnosis.hpp"
#include "daemon/control/examinations.hpp"
#include "daemon/control/forwarding.hpp"
#include "daemon/control/operations.hpp"
#include "daemon/control/parameters.hpp"
#include "daemon/control/report.hpp"
#include "daemon/report/make_status.hpp"
#include "daemon/util/credentials.hpp"
#include "daemon/util/version.hpp"

namespace hanat {
namespace {

using nlohmann::json;

constexpr std::size_t clients_followed = 4; // in one examination

std::string kernel_text(TableSync::State state) {
  switch (state) {
  case TableSync::State::in_sync:
  case TableSync::State::committing: return "in-step";
  case TableSync::State::repairing: return "repairing";
  case TableSync::State::failed: return "failed";
  }
  return {};
}

/// A drill is watched on the gateway that has the clients.
void refuse_to_drill_at(Role role) {
  if (role == Role::standby)
    throw ControlError{"Refused", "this gateway is standby, and no client would notice a drill here: run it on the active gateway"};
  if (role == Role::settling)
    throw ControlError{"Refused", "this gateway waits for the connections of the other one: drill when hanatctl status says active"};
}

} // namespace

Handlers::Handlers(uv_loop_t* loop, Controller& controller, History& history, const std::string& named, const ConfigInUse& config,
                   ReloadRequests& reloads)
    : controller_(controller), history_(history), config_(config), reloads_(reloads),
      inquiry_(std::make_unique<Inquiry>(loop, controller, history, named)) {}

/// The reply comes when all of it is in the table.
Reply Handlers::reload(const Call& call) {
  constexpr double shortest_s = 1, longest_s = 24.0 * 3600;
  ReloadRequests::Request request{.by = user_name(call.peer.uid)};
  if (const auto seconds = optional_of<double>(call.parameters, "confirm_s")) {
    if (!(*seconds >= shortest_s && *seconds <= longest_s)) bad_parameter("confirm_s", "a reload can be confirmed within 1 s to 24 h");
    request.confirm_within = std::chrono::round<std::chrono::milliseconds>(std::chrono::duration<double>(*seconds));
  }
  auto reply = std::make_shared<PendingReply>();
  request.reply = reply;
  reloads_.add(std::move(request));
  return reply;
}

/// What conntrackd's script says. A gateway that is settled already is what the script wants.
Reply Handlers::settled(const Call& call) {
  const bool settled = controller_.role.settle(user_name(call.peer.uid), Clock::now());
  controller_.sync_now();
  const auto pair = daemon_status().pair;
  if (!pair) throw ControlError{"Refused", "there is nothing to settle: this gateway acts alone, there is no [pair] in its configuration"};
  if (!pair->settled)
    throw ControlError{"Refused",
                       fmt::format("there is nothing to settle: this gateway is {}, {} is not on this machine", pair->role, pair->address)};
  return json{{"settled", settled}, {"pair", json(*pair)}};
}

json Handlers::operate(const Call& call) {
  if (call.method == "Force") return handle_force(controller_, call);
  if (call.method == "Auto") return handle_auto(controller_, call);
  if (call.method == "Disable") return handle_disable(controller_, call);
  return handle_enable(controller_, call);
}

Reply Handlers::operator()(const Call& call) {
  if (call.method == "Status") return status(call.parameters);
  if (is_forwarded(call.method)) {
    if (optional_of<bool>(call.parameters, "drill").value_or(false)) refuse_to_drill_at(controller_.role.machine().role());
    auto forwarded = peer_ ? peer_->forward(call) : nullptr;
    return forwarded ? Reply(std::move(forwarded)) : Reply(operate(call));
  }
  if (call.method == "Reload") return reload(call);
  if (call.method == "Report") return handle_report(controller_, call);
  if (call.method == "Confirm") return reloads_.confirm(user_name(call.peer.uid));
  if (call.method == "Settled") return settled(call);
  if (call.method == "History") return history(call.parameters);
  if (call.method == "Doctor") return examine(call.parameters);
  if (call.method == "Version") return json{{"version", version()}};
  if (call.method == "Names") return inquiry_->names(call.parameters);
  if (call.method == "Why") return inquiry_->why(call.parameters);
  if (call.method == "Follow") return inquiry_->follow(call.parameters);
  if (call.method == "Plan") return inquiry_->plan(call.parameters);
  if (call.method == "Ask") return inquiry_->ask(call);
  if (call.method == "ProbeServers") return inquiry_->probe(call.parameters);
  if (call.method == "Connections") return inquiry_->connections(call.parameters);
  throw ControlError{"Failed", fmt::format("method {} is declared but has no handler", call.method)};
}

DaemonStatus Handlers::daemon_status() const {
  DaemonStatus daemon;
  daemon.pid = getpid();
  daemon.uptime_s = std::chrono::duration<double>(Clock::now() - started_).count();
  daemon.kernel = kernel_text(controller_.table().state());
  if (!controller_.table().error().empty()) daemon.kernel_error = controller_.table().error();
  daemon.inconclusive = inconclusive_reason(controller_.registry().services());
  daemon.config = config_.file;
  daemon.fallback = config_.fallback;
  daemon.version = version();
  daemon.config_loaded_at = to_text(config_.loaded_at);
  daemon.reload_refused = config_.refused;
  daemon.config_stale = config_.stale;
  daemon.unconfirmed = config_.unconfirmed;
  if (daemon.unconfirmed)
    daemon.unconfirmed->left_s = std::max(0.0, std::chrono::duration<double>(config_.reverts_at - Clock::now()).count());
  daemon.reverted = config_.reverted;
  daemon.reload_hangs = config_.hung;
  if (const auto& pair = controller_.role.config())
    daemon.pair = report(controller_.role.machine(), *pair, programs_ == nullptr ? PairPrograms{} : programs_->programs());
  if (daemon.pair && peer_) daemon.pair->peer = peer_->status();
  if (hooks_) daemon.hooks = hooks_();
  if (examinations_ != nullptr)
    for (const Finding& finding : examinations_->settings()) daemon.findings.push_back(report(finding));
  return daemon;
}

ServiceStatus Handlers::service_status(const ServiceState& service) const {
  ServiceStatus status = report(service, Clock::now());
  status.standby = controller_.role.machine().role() == Role::standby;
  if (status.standby && status.outage) status.outage->new_refused = false; // a standby refuses nobody
  if (!status.last_flip) status.last_flip = history_.last_flip(service.config->name);
  status.path = controller_.clients.status(service.config->name, Clock::now());
  controller_.clients.add_totals(service.config->name, status.totals);
  if (flows_) flows_->add_to(status);
  if (addresses_.add_to) addresses_.add_to(status, service.config);
  return status;
}

void Handlers::count_flows() const {
  if (flows_ && controller_.registry().waiting.empty()) flows_->look(Clock::now()); // a table that changes all the time cannot be read
}

Reply Handlers::status(const json& parameters) const {
  count_flows();
  const Status status{.daemon = daemon_status(), .services = {}};
  const bool one = optional_of<std::string>(parameters, "service").has_value();
  const std::vector<ServiceState*> services =
      one ? selected_services(controller_.registry(), parameters) : selected_services(controller_.registry(), {{"all", true}});
  std::vector<std::string> names; // a reload may remove services before their turn comes
  names.reserve(services.size());
  for (const ServiceState* service : services) names.push_back(service->config->name);
  auto next = [this, names = std::move(names), index = std::size_t{0}]() mutable -> std::optional<std::string> {
    while (index < names.size())
      if (const ServiceState* service = controller_.registry().find(names[index++])) return json_text(service_status(*service));
    return std::nullopt;
  };
  return {json{{"status", status}}, "services", std::move(next)};
}

/// Of one service or all. The reply comes when the examination has ended.
Reply Handlers::examine(const json& parameters) const {
  if (examinations_ == nullptr) throw ControlError{"Failed", "hanatd is about to end"};
  const bool one = optional_of<std::string>(parameters, "service").has_value();
  std::vector<ServiceCheck> checks;
  std::map<std::string, Address> clients; // that wait for an answer
  const auto known_pair = daemon_status().pair;
  const auto pair = known_pair ? std::make_shared<const PairStatus>(*known_pair) : nullptr;
  for (const ServiceState* service : selected_services(controller_.registry(), one ? parameters : json{{"all", true}})) {
    checks.push_back(check_of(*service));
    checks.back().others = others_of(*service);
    if (addresses_.findings) checks.back().known = addresses_.findings(service->config->name);
    checks.back().pair = pair;
    if (controller_.role.machine().role() == Role::standby) checks.back().probes_pass = false; // replies take the other gateway
    checks.back().unanswered =
        clients.size() < clients_followed ? controller_.clients.waiting(service->config->name, Clock::now()) : std::nullopt;
    if (const auto& client = checks.back().unanswered) clients[service->config->name] = client->client.address;
  }
  auto pending = std::make_shared<PendingReply>();
  const auto reply = [this, pending, clients](const Diagnosis& diagnosis) {
    std::vector<ClientEvidence::OfClient> single;
    for (const Diagnosis::Checked& checked : diagnosis.services) { // what was mended is not told any longer
      const auto client = clients.find(checked.service);
      controller_.clients.found(checked.service,
                                examined_in(diagnosis, checked.service, client == clients.end() ? Address{} : client->second),
                                causes_in(diagnosis.found, checked.service));
      std::ranges::move(controller_.clients.of_single_clients(checked.service, Clock::now()), std::back_inserter(single));
    }
    pending->finish(diagnosis_json(diagnosis, single));
  };
  if (!examinations_->doctor().examine(std::move(checks), reply))
    throw ControlError{"Refused", "as many examinations as hanatd takes wait already: try again in some seconds"};
  return pending;
}

/// Of one service and the reloads, or of all. A service that is no longer configured may still have a history.
Reply Handlers::history(const json& parameters) const {
  HistoryFilter filter{.service = optional_of<std::string>(parameters, "service").value_or(""),
                       .since = moment_in(parameters, "since"),
                       .until = moment_in(parameters, "until")};
  if (!filter.service.empty() && !history_.knows(filter.service)) selected_services(controller_.registry(), {{"service", filter.service}});
  std::uint64_t begin = history_.begin();
  if (const auto after = optional_of<std::int64_t>(parameters, "after"); after && *after > 0)
    begin = std::max(begin, static_cast<std::uint64_t>(*after));
  if (const auto last = optional_of<std::int64_t>(parameters, "last")) {
    if (*last < 1) bad_parameter("last", "ask for one entry at least");
    begin = history_.first_of_last(filter, static_cast<std::uint64_t>(*last), begin);
  }
  auto next = [this, filter, at = begin, end = history_.end()]() mutable -> std::optional<std::string> {
    for (at = std::max(at, history_.begin()); at < end; ++at) { // the oldest may have been dropped meanwhile
      const HistoryEntry& entry = history_[at];
      if (!filter.accepts(entry)) continue;
      ++at;
      return varlink::to_text(entry);
    }
    return std::nullopt;
  };
  return {json{{"version", status_version}, {"next", history_.end()}, {"history", json::array()}}, "history", std::move(next)};
}

} // namespace hanat
