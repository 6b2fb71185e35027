// A request, a count, a wait.
#include "cli/moves.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <thread>

#include <nlohmann/json.hpp>

#include "cli/awaited_move.hpp"
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

// No move waits for a number that is only shown: a reset leaves nothing to count afterwards, everything else is counted behind the move.
constexpr milliseconds count_before_at_most{150};
constexpr milliseconds count_after_at_most{1'000};
constexpr milliseconds pause_between_counts{50};
constexpr milliseconds pause_between_looks{200};
constexpr milliseconds status_within{10'000};
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

ServiceStatus status_of(const Invocation& invocation, const json& service, milliseconds deadline) {
  const json reply = request(invocation, "Status", {{"service", service.at("name")}}, deadline);
  return reply.at("status").get<Status>().services.at(0);
}

/// The connections of each server of the one service that is named, by role, where they are about to be reset. Empty: they are not, several
/// services are selected, or they were not counted in time.
std::map<std::string, std::uint64_t> live_connections(const Invocation& invocation) {
  std::map<std::string, std::uint64_t> live;
  if (invocation.all || !invocation.reset) return live;
  try {
    const json reply = request(invocation, "Connections", selection(invocation), count_before_at_most);
    for (const ConnectionServer& server : reply.at("connections").get<ConnectionsReport>().servers)
      if (!server.role.empty()) live[server.role] = server.counts.live();
  } catch (const std::exception&) { // NOLINT(bugprone-empty-catch): the request that follows says what is wrong
  }
  return live;
}

/// hanatd counts what drains right behind the move.
void count_drains(const Invocation& invocation, json& services) {
  const auto deadline = std::chrono::steady_clock::now() + count_after_at_most;
  const auto is_counted = [&](json& service) {
    const std::string server = old_server(service);
    if (server.empty() || service["old_connections"].contains("number") || service["old_connections"].at("action") == "reset") return true;
    const auto left = std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left <= milliseconds{0}) return false;
    const auto number = draining_from(status_of(invocation, service, left), server);
    if (number) service["old_connections"]["number"] = *number;
    return number.has_value();
  };
  try {
    for (;; std::this_thread::sleep_for(pause_between_counts)) {
      bool all = true;
      for (json& service : services) all = is_counted(service) && all;
      if (all || std::chrono::steady_clock::now() >= deadline) return;
    }
  } catch (const std::exception&) { // NOLINT(bugprone-empty-catch): the traffic has moved all the same
  }
}

/// Waits until the old connections of one service are gone, and notes what became of them. False: the server has the traffic again.
bool wait_for_end(const Invocation& invocation, json& service) {
  AwaitedMove move{invocation.command, service};
  if (move.server().empty()) return true;
  auto heard = std::chrono::steady_clock::now();
  for (;; std::this_thread::sleep_for(pause_between_looks)) {
    try {
      const ServiceStatus status = status_of(invocation, service, status_within);
      heard = std::chrono::steady_clock::now();
      const AwaitedMove::State state = move.look(status);
      const auto& flip = status.last_flip;
      if (state == AwaitedMove::State::moving) continue;
      const bool by_flip = flip && flip->from == move.server();
      if (by_flip && state != AwaitedMove::State::undone && old_server(service).empty() && service.value("pending", false))
        service["old_connections"] = old_connections_in(status, move.server(), wall_now()); // the move came behind the reply
      if (state == AwaitedMove::State::draining) continue;
      service["waited"] = state == AwaitedMove::State::gone ? "gone" : "undone";
      service["waited_for"] = move.server();
      if (by_flip && !old_server(service).empty()) {
        service["old_connections"]["ended"] = flip->drained;
        service["old_connections"]["cut"] = flip->cut.tcp + flip->cut.udp + flip->cut.sctp;
      }
      return state == AwaitedMove::State::gone;
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
  count_drains(invocation, services);
  if (!invocation.json)
    if (const Exit status = print_message(invocation, text(reply) + forwarded_reply(reply)); status != Exit::done || !invocation.wait)
      return status;
  bool all_gone = true;
  if (invocation.wait)
    for (json& service : services) all_gone = wait_for_end(invocation, service) && all_gone;
  const Exit status = invocation.json ? print_json(reply) : print_message(invocation, waited_reply(reply));
  return all_gone ? status : Exit::refused;
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

Exit run_report(const Invocation& invocation) {
  json parameters = selection(invocation);
  parameters["server"] = invocation.server;
  parameters["health"] = invocation.health;
  if (invocation.for_time) parameters["ttl_s"] = std::chrono::duration<double>(*invocation.for_time).count();
  if (!invocation.reason.empty()) parameters["reason"] = invocation.reason;
  return run_move(invocation, "Report", parameters, [](const json& reply) { return report_reply(reply, wall_now()); });
}

Exit run_enable(const Invocation& invocation) {
  json parameters = with_flows(selection(invocation), invocation);
  parameters["server"] = invocation.server;
  return run_move(invocation, "Enable", parameters, [](const json& reply) { return enable_reply(reply, wall_now()); });
}

} // namespace hanat::cli
