// A count, a request, a wait.
#include "cli/moves.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <thread>

#include <nlohmann/json.hpp>

#include "cli/replies.hpp"
#include "cli/requests.hpp"
#include "daemon/api/client.hpp"
#include "daemon/api/connections.hpp"
#include "daemon/api/methods.hpp"
#include "daemon/api/status.hpp"

namespace hanat::cli {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

// The move does not wait longer for a number that is only shown.
constexpr milliseconds count_deadline{1'000};
constexpr milliseconds pause_between_looks{200};
constexpr std::chrono::seconds restart_at_most{30}; // while it waits, hanatd may be restarted

/// {"service": ...}, {"all": true} or neither, which the daemon accepts when there is only one service.
json selection(const Invocation& invocation) {
  json parameters = json::object();
  if (invocation.all) parameters["all"] = true;
  if (!invocation.operand.empty()) parameters["service"] = invocation.operand;
  return parameters;
}

json with_flows(json parameters, const Invocation& invocation) {
  if (invocation.drain) parameters["drain_s"] = std::chrono::duration<double>(*invocation.drain).count();
  if (invocation.reset) parameters["reset"] = true;
  return parameters;
}

json with_time_and_reason(json parameters, const Invocation& invocation) {
  if (invocation.for_time) parameters["for_s"] = std::chrono::duration<double>(*invocation.for_time).count();
  if (!invocation.reason.empty()) parameters["reason"] = invocation.reason;
  return parameters;
}

/// The connections of each server of the one service that is named, by role. Empty: several are selected, or they were not counted in time.
std::map<std::string, std::uint64_t> live_connections(const Invocation& invocation) {
  std::map<std::string, std::uint64_t> live;
  if (invocation.all) return live;
  try {
    const json reply = request(invocation, "Connections", selection(invocation), count_deadline);
    for (const ConnectionServer& server : reply.at("connections").get<ConnectionsReport>().servers)
      if (!server.role.empty()) live[server.role] = server.counts.live();
  } catch (const std::exception&) { // NOLINT(bugprone-empty-catch): the request that follows says what is wrong
  }
  return live;
}

/// The old target of a service in a reply; empty: its traffic did not move.
std::string old_server(const json& service) {
  const auto old = service.find("old_connections");
  return old == service.end() || old->is_null() ? std::string{} : old->at("server").get<std::string>();
}

bool is_over(const ServiceStatus& service, const std::string& server) {
  if (std::ranges::any_of(service.draining, [&](const DrainingStatus& one) { return one.server == server; })) return false;
  return !service.last_flip || service.last_flip->from != server || service.last_flip->cut_ms || service.last_flip->interrupted;
}

/// The server whose old connections end; of disable the server itself, which may have lost the traffic before.
std::string waited_for(const Invocation& invocation, const json& service) {
  return invocation.command == Command::disable ? service.at("server").get<std::string>() : old_server(service);
}

/// What became of the old connections of one service, when they are gone.
void wait_for_end(const Invocation& invocation, json& service) {
  const std::string server = waited_for(invocation, service);
  if (server.empty()) return;
  auto heard = std::chrono::steady_clock::now();
  for (;; std::this_thread::sleep_for(pause_between_looks)) {
    try {
      const auto status = request(invocation, "Status", {{"service", service.at("name")}}).at("status").get<Status>();
      heard = std::chrono::steady_clock::now();
      if (status.services.empty() || !is_over(status.services.front(), server)) continue;
      if (const auto& flip = status.services.front().last_flip; flip && flip->from == server && !old_server(service).empty()) {
        service["old_connections"]["ended"] = flip->drained;
        service["old_connections"]["cut"] = flip->cut.tcp + flip->cut.udp + flip->cut.sctp;
      }
      return;
    } catch (const NoDaemon&) {
      if (std::chrono::steady_clock::now() - heard > restart_at_most) throw;
    }
  }
}

using Text = std::function<std::string(const json& reply)>;
Exit run_move(const Invocation& invocation, const char* method, const json& parameters, const Text& text) {
  const auto live = live_connections(invocation);
  json reply = request(invocation, method, parameters);
  json& services = reply.at("services");
  if (!services.empty())
    if (const auto found = live.find(old_server(services.front())); found != live.end())
      services.front()["old_connections"]["number"] = found->second;
  if (!invocation.json)
    if (const Exit status = print_message(invocation, text(reply)); status != Exit::done || !invocation.wait) return status;
  if (invocation.wait)
    for (json& service : services) wait_for_end(invocation, service);
  return invocation.json ? print_json(reply) : print_message(invocation, waited_reply(reply));
}

} // namespace

Exit run_force(const Invocation& invocation) {
  json parameters = with_flows(with_time_and_reason(selection(invocation), invocation), invocation);
  parameters["server"] = invocation.server.empty() ? std::string{any_backup} : invocation.server;
  if (invocation.even_if_down) parameters["even_if_down"] = true;
  if (invocation.until_down) parameters["until_down"] = true;
  return run_move(invocation, "Force", parameters, [&](const json& reply) { return force_reply(reply, invocation.for_time, wall_now()); });
}

Exit run_auto(const Invocation& invocation) {
  return run_move(invocation, "Auto", with_flows(selection(invocation), invocation),
                  [](const json& reply) { return auto_reply(reply, wall_now()); });
}

Exit run_disable(const Invocation& invocation) {
  json parameters = with_flows(with_time_and_reason(selection(invocation), invocation), invocation);
  parameters["server"] = invocation.server;
  if (invocation.yes) parameters["even_if_last"] = true;
  return run_move(invocation, "Disable", parameters, [](const json& reply) { return disable_reply(reply, wall_now()); });
}

Exit run_enable(const Invocation& invocation) {
  json parameters = with_flows(selection(invocation), invocation);
  parameters["server"] = invocation.server;
  return run_move(invocation, "Enable", parameters, [](const json& reply) { return enable_reply(reply, wall_now()); });
}

} // namespace hanat::cli
