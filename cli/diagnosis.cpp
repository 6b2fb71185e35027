// A request, a reply, a text.
#include "cli/diagnosis.hpp"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <variant>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/requests.hpp"
#include "cli/screen.hpp"
#include "cli/show_connections.hpp"
#include "cli/show_doctor.hpp"
#include "cli/show_plan.hpp"
#include "cli/show_probes.hpp"
#include "cli/show_why.hpp"
#include "cli/text.hpp"
#include "daemon/api/client.hpp"
#include "daemon/config/load_config.hpp"
#include "daemon/util/escape.hpp"

namespace hanat::cli {
namespace {

using nlohmann::json;

constexpr std::chrono::minutes probes_deadline{10}; // ten thousand servers that do not answer
constexpr std::chrono::minutes plan_deadline{1};
constexpr std::chrono::seconds doctor_deadline{60}; // it may have to wait for the examinations of others

json service_parameter(const Invocation& invocation) {
  json parameters = json::object();
  if (!invocation.operand.empty()) parameters["service"] = invocation.operand;
  return parameters;
}

/// The last millisecond that the words name.
WallTime end_of(const Moment& moment) {
  return moment.begin + std::max(moment.lasts - std::chrono::milliseconds{1}, std::chrono::milliseconds{0});
}

/// Throws where the history says nothing of that time. `reply`: that of Why.
void check_known(const Moment& at, const json& reply) {
  const WallTime now = wall_now();
  const json begin = reply.value("begin", json());
  const auto from = begin.is_string() ? parse_wall_time(begin.get<std::string>()) : std::nullopt;
  const std::string range = from ? fmt::format("the history goes from {} to now ({})", local_time(*from, now), local_clock(now))
                                 : std::string{"the history is empty"};
  if (at.begin > now)
    throw Refusal("OutOfHistory", fmt::format("{} is in the future; {}", local_time(at.begin, now), range), json::object());
  if (!from || end_of(at) < *from)
    throw Refusal("OutOfHistory", fmt::format("nothing is known of {}: {}", local_time(at.begin, now), range), json::object());
}

/// A file that is named, with conf.d beside it, as hanatd gets it: hanatd may not see it, or be somebody else.
json files_parameter(const std::string& file) {
  if (file.empty()) return json::object();
  json files = json::array();
  for (const ConfigText& text : config_texts(file)) files.push_back({{"name", text.name}, {"text", text.text}});
  return {{"files", std::move(files)}};
}

/// nullopt: the file has no errors, or hanatd is to read its own.
std::optional<std::vector<ConfigError>> errors_in(const std::string& file) {
  if (file.empty()) return std::nullopt;
  ConfigResult result = load_config(file);
  if (auto* errors = std::get_if<std::vector<ConfigError>>(&result)) return std::move(*errors);
  return std::nullopt;
}

Exit print_answers(const Invocation& invocation, const json& reply) {
  const auto answers = reply.at("answers").get<std::vector<ProbeAnswer>>();
  const Exit status = std::ranges::all_of(answers, is_good) ? Exit::done : Exit::refused;
  return invocation.json ? print_json(reply, status) : print(show_probes(answers, view_of(invocation.color)), status);
}

} // namespace

json error_list(const std::vector<ConfigError>& errors) {
  json list = json::array();
  for (const auto& error : errors)
    list.push_back({{"file", error.file}, {"line", error.line}, {"column", error.column}, {"message", error.message}});
  return list;
}

Exit print_config_errors(const std::string& file, const std::vector<ConfigError>& errors, bool as_json) {
  for (const auto& error : errors) fmt::print(stderr, "{}\n", escaped(to_text(error)));
  if (!as_json) return Exit::usage;
  return print_json({{"file", file}, {"ok", false}, {"errors", error_list(errors)}}, Exit::usage);
}

Exit run_why(const Invocation& invocation) {
  json parameters = service_parameter(invocation);
  if (invocation.at) {
    parameters["at"] = to_text(end_of(*invocation.at));
    if (invocation.at->lasts > std::chrono::milliseconds{0}) parameters["from"] = to_text(invocation.at->begin);
  }
  const json reply = request(invocation, "Why", parameters);
  if (invocation.at) check_known(*invocation.at, reply);
  if (invocation.json) return print_json(reply);
  const View view = view_of(invocation.color);
  const auto reports = reply.at("services").get<std::vector<WhyReport>>();
  const auto others = reply.at("others").get<std::uint64_t>();
  const Detail detail = reports.size() > 1 ? Detail::overview : Detail::full;
  std::string text;
  for (const WhyReport& report : reports) text += (text.empty() ? "" : "\n") + show_why(report, detail, view);
  if (reports.empty())
    text = invocation.at ? "nothing changed then, nor in the ten minutes before\n"
                         : "every service is at its primary, with all servers up. For one of them:\n-> hanatctl why SERVICE\n";
  if (detail == Detail::overview) text += "\nIn detail:\n-> hanatctl why SERVICE\n";
  if (others > 0) text += fmt::format("{} more are not fine:\n-> hanatctl status\n", plural(others, "service"));
  return print(text);
}

Exit run_plan(const Invocation& invocation) {
  const std::string file = invocation.operand;
  if (const auto errors = errors_in(file)) return print_config_errors(file, *errors, invocation.json);
  const json reply = request(invocation, "Plan", files_parameter(file), plan_deadline);
  if (invocation.json) return print_json(reply.at("plan"));
  return print(show_plan(reply.at("plan").get<ReloadPlan>(), file.empty() ? "the configuration" : file, view_of(invocation.color)));
}

Exit run_ask(const Invocation& invocation) {
  const std::string file = invocation.operand;
  if (const auto errors = errors_in(file)) return print_config_errors(file, *errors, invocation.json);
  return print_answers(invocation, request(invocation, "Ask", files_parameter(file), probes_deadline));
}

Exit run_probe(const Invocation& invocation) {
  return print_answers(invocation, request(invocation, "ProbeServers", service_parameter(invocation), probes_deadline));
}

Exit run_doctor(const Invocation& invocation) {
  json parameters = json::object();
  if (!invocation.operand.empty()) parameters["service"] = invocation.operand;
  const json reply = request(invocation, "Doctor", parameters, doctor_deadline);
  const json status = request(invocation, "Status", parameters).at("status");
  const DoctorText shown = show_doctor(reply, status, view_of(invocation.color));
  const auto exit = static_cast<Exit>(shown.exit); // numbers of its own
  return invocation.json ? print_json(reply, exit) : print(shown.text, exit);
}

Exit run_connections(const Invocation& invocation) {
  json parameters = service_parameter(invocation);
  if (invocation.list) parameters["list"] = *invocation.list;
  const json reply = request(invocation, "Connections", parameters, plan_deadline);
  if (invocation.json) return print_json(reply.at("connections"));
  return print(show_connections(reply.at("connections").get<ConnectionsReport>(), view_of(invocation.color)));
}

} // namespace hanat::cli
