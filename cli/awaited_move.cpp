// Looks at a status.
#include "cli/awaited_move.hpp"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

namespace hanat::cli {
namespace {

using nlohmann::json;

/// Also what no flip of this hanatd has caused, or an earlier one: a drain that was ended, or went on over a restart.
bool is_cutting(const ServiceStatus& status, const std::string& server) {
  return std::ranges::find(status.cutting, server) != status.cutting.end();
}

} // namespace

std::string old_server(const json& service) {
  const auto old = service.find("old_connections");
  return old == service.end() || old->is_null() ? std::string{} : old->at("server").get<std::string>();
}

AwaitedMove::AwaitedMove(Command command, const json& service) : command_(command) {
  if (service.value("mode", "") == "observe") return; // nothing moves
  const bool pending = service.value("pending", false);
  moved_ = !pending;
  if (command == Command::disable) // which may have lost the traffic before
    server_ = service.at("server").get<std::string>();
  else
    server_ = pending ? service.at("target").get<std::string>() : old_server(service);
}

/// The traffic is still on the server. Is it not to leave it any more?
bool AwaitedMove::is_withdrawn(const ServiceStatus& status) const {
  const auto is_it = [&](const ServerStatus& one) { return one.role == server_; };
  if (command_ == Command::disable)
    return std::ranges::none_of(status.servers, [&](const ServerStatus& one) { return is_it(one) && one.disabled; });
  if (status.forced) return status.forced->target == server_;
  if (command_ == Command::force_backup || command_ == Command::force_primary) return true;
  const auto place = std::ranges::find_if(status.servers, is_it); // it goes back to a better one, while one is up
  return std::none_of(status.servers.begin(), place, [](const ServerStatus& one) { return one.health == "up" && !one.disabled; });
}

AwaitedMove::State AwaitedMove::look(const ServiceStatus& status) {
  if (status.target == server_) return moved_ || is_withdrawn(status) ? State::undone : State::moving;
  moved_ = true;
  const bool drains = std::ranges::any_of(status.draining, [&](const DrainingStatus& one) { return one.server == server_; });
  return drains || is_cutting(status, server_) ? State::draining : State::gone;
}

std::optional<std::uint64_t> draining_from(const ServiceStatus& status, const std::string& server) {
  std::optional<std::uint64_t> number;
  for (const DrainingStatus& one : status.draining) {
    if (one.server != server) continue;
    if (!one.left) return std::nullopt;
    number = number.value_or(0) + *one.left + one.drained;
  }
  return number;
}

json old_connections_in(const ServiceStatus& status, const std::string& server, WallTime now) {
  json old = {{"server", server}, {"address", nullptr}, {"action", "reset"}, {"until", nullptr}};
  for (const DrainingStatus& one : status.draining) {
    if (one.server != server) continue;
    old["address"] = one.address;
    old["action"] = one.ends_in_s ? "drain" : "keep";
    if (one.ends_in_s) old["until"] = to_text(now + std::chrono::milliseconds{std::llround(*one.ends_in_s * 1000)});
  }
  return old;
}

} // namespace hanat::cli
