// Connections to JSON and back.
#include "daemon/api/connections.hpp"

#include <nlohmann/json.hpp>

#include "daemon/api/rounded.hpp"

namespace hanat {
namespace {

using nlohmann::json;

json value_of(const ConnectionServer& server) {
  const ConnectionCounts& counts = server.counts;
  return {{"role", server.role},
          {"address", server.address},
          {"health", server.health},
          {"target", server.target},
          {"disabled", server.disabled},
          {"leaving", server.leaving},
          {"ends_in_s", server.ends_in_s ? json(*server.ends_in_s) : json(nullptr)},
          {"returns_in_s", server.returns_in_s ? json(*server.returns_in_s) : json(nullptr)},
          {"also_target_of", server.also_target_of},
          {"opening", counts.opening},
          {"established", counts.established},
          {"closing", counts.closing},
          {"answered", counts.answered},
          {"unanswered", counts.unanswered},
          {"opened_by_server", counts.opened_by_server},
          {"offloaded", counts.offloaded},
          {"total", counts.total()}};
}

ConnectionServer connection_server_from(const json& from) {
  ConnectionServer server{.role = from.at("role"),
                          .address = from.at("address"),
                          .health = from.at("health"),
                          .target = from.at("target"),
                          .disabled = from.value("disabled", false), // absent: of an older hanatd
                          .leaving = from.at("leaving"),
                          .ends_in_s = {},
                          .returns_in_s = {},
                          .counts = {.opening = from.at("opening"),
                                     .established = from.at("established"),
                                     .closing = from.at("closing"),
                                     .answered = from.at("answered"),
                                     .unanswered = from.at("unanswered"),
                                     .opened_by_server = from.at("opened_by_server"),
                                     .offloaded = from.at("offloaded")},
                          .also_target_of = from.at("also_target_of").get<std::vector<std::string>>()};
  if (const auto& ends = from.at("ends_in_s"); !ends.is_null()) server.ends_in_s = ends.get<double>();
  if (const auto& returns = from.at("returns_in_s"); !returns.is_null()) server.returns_in_s = returns.get<double>();
  return server;
}

} // namespace

void to_json(json& target, const ConnectionsReport& report) {
  json servers = json::array(), list = json::array();
  for (const ConnectionServer& server : report.servers) servers.push_back(value_of(server));
  for (const ConnectionEntry& flow : report.list)
    list.push_back({{"client", flow.client},
                    {"listen", flow.listen},
                    {"server", flow.server},
                    {"state", flow.state},
                    {"opened_by_server", flow.opened_by_server},
                    {"offloaded", flow.offloaded}});
  target = {{"service", report.service},
            {"took_ms", rounded(report.took_ms)},
            {"on_forced", report.on_forced},
            {"servers", std::move(servers)},
            {"list", std::move(list)}};
  if (report.observed) target["observed"] = true;
}

void from_json(const json& source, ConnectionsReport& report) {
  report = {.service = source.at("service"),
            .took_ms = source.at("took_ms"),
            .on_forced = source.at("on_forced"),
            .observed = source.value("observed", false),
            .servers = {},
            .list = {}};
  for (const auto& server : source.at("servers")) report.servers.push_back(connection_server_from(server));
  for (const auto& flow : source.at("list"))
    report.list.push_back({.client = flow.at("client"),
                           .listen = flow.at("listen"),
                           .server = flow.at("server"),
                           .state = flow.at("state"),
                           .opened_by_server = flow.at("opened_by_server"),
                           .offloaded = flow.at("offloaded")});
}

} // namespace hanat
