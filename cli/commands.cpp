// One function per command; those that move traffic: moves; those that only ask: diagnosis, follow.
#include "cli/commands.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <fnmatch.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "cli/check_command.hpp"
#include "cli/complete_command.hpp"
#include "cli/diagnosis.hpp"
#include "cli/drill.hpp"
#include "cli/import_command.hpp"
#include "cli/moves.hpp"
#include "cli/remedy.hpp"
#include "cli/replies.hpp"
#include "cli/requests.hpp"
#include "cli/screen.hpp"
#include "cli/show_check.hpp"
#include "cli/show_status.hpp"
#include "cli/text.hpp"
#include "cli/top_command.hpp"
#include "daemon/api/client.hpp"
#include "daemon/api/metrics_text.hpp"
#include "daemon/api/status.hpp"
#include "daemon/api/status_call.hpp"
#include "daemon/util/escape.hpp"
#include "daemon/util/version.hpp"

namespace hanat::cli {
namespace {

using nlohmann::json;

constexpr std::chrono::seconds watch_period{1};
constexpr auto reload_deadline = std::chrono::minutes{1};  // it is made in slices, behind everything that is urgent
constexpr auto version_deadline = std::chrono::seconds{2}; // hanatctl's own version should not wait long for hanatd's

/// A name with these selects several services.
bool is_pattern(const std::string& name) { return name.find_first_of("*?[") != std::string::npos; }

Status selected_status(const Invocation& invocation) {
  const bool several = invocation.operand.empty() || is_pattern(invocation.operand);
  const json parameters = several ? json::object() : json{{"service", invocation.operand}};
  Status status = call_status(socket_of(invocation), parameters);
  if (!is_pattern(invocation.operand)) return status;
  std::erase_if(status.services,
                [&](const ServiceStatus& service) { return fnmatch(invocation.operand.c_str(), service.name.c_str(), 0) != 0; });
  if (status.services.empty())
    throw Refusal("UnknownService", fmt::format("no service matches {}", escaped(invocation.operand)), json::object());
  return status;
}

std::string status_text(const Invocation& invocation, const View& view) {
  const Status status = selected_status(invocation);
  const bool full = invocation.all || !invocation.operand.empty() || status.services.size() == 1;
  return show_status(status, full ? Detail::full : Detail::overview, view);
}

/// Until interrupted, also when hanatd is away for a while.
Exit watch_status(const Invocation& invocation) {
  for (;;) {
    const View view = view_of(invocation.color);
    std::string text;
    try {
      text = status_text(invocation, view);
    } catch (const NoDaemon& error) {
      text = fmt::format("{}\n", error.what());
    }
    if (const Exit status = print(as_screen(text)); status != Exit::done) return status;
    std::this_thread::sleep_for(watch_period);
  }
}

Exit run_check_line(const Invocation& invocation) {
  CheckLine line;
  try {
    line = show_check(selected_status(invocation), wall_now());
  } catch (const NoDaemon& error) {
    line = {.alarm = Alarm::unknown, .text = fmt::format("UNKNOWN: {}\n", error.what())};
  } catch (const Refusal& error) {
    line = {.alarm = Alarm::unknown, .text = fmt::format("UNKNOWN: {}\n", escaped(error.what()))};
  }
  const auto status = static_cast<Exit>(line.alarm); // monitoring has numbers of its own
  if (!invocation.json) return print(line.text, status);
  line.text.pop_back();
  return print_json({{"exit", static_cast<int>(line.alarm)}, {"text", line.text}}, status);
}

Exit run_status(const Invocation& invocation) {
  if (invocation.check) return run_check_line(invocation);
  if (invocation.watch) return watch_status(invocation);
  if (!invocation.json) return print(status_text(invocation, view_of(invocation.color)));
  if (is_pattern(invocation.operand)) return print_json(selected_status(invocation));
  json parameters = json::object();
  if (!invocation.operand.empty()) parameters["service"] = invocation.operand;
  return print_json(request(invocation, "Status", parameters).at("status"));
}

Exit run_reload(const Invocation& invocation) {
  json parameters = json::object();
  if (invocation.confirm_within) parameters["confirm_s"] = std::chrono::duration<double>(*invocation.confirm_within).count();
  const json reply = request(invocation, "Reload", parameters, reload_deadline);
  return invocation.json ? print_json(reply) : print_message(invocation, reload_reply(reply, wall_now()));
}

Exit run_confirm(const Invocation& invocation) {
  const json reply = request(invocation, "Confirm", json::object(), reload_deadline);
  if (invocation.json) return print_json(reply);
  const auto services = reply.at("services").get<std::int64_t>();
  return print(fmt::format("the configuration is confirmed: {} service{}\n", services, services == 1 ? "" : "s"));
}

Exit run_settled(const Invocation& invocation) {
  const json reply = request(invocation, "Settled", json::object());
  if (invocation.json) return print_json(reply);
  const json& pair = reply.at("pair");
  if (reply.at("settled").get<bool>()) return print("settled: this gateway is active\n");
  return print(fmt::format("it was settled already: this gateway is active since {}\n",
                           local_time(pair.at("since").get<std::string>(), wall_now())));
}

Exit run_metrics(const Invocation& invocation) {
  const auto text = metrics_text(call_status(socket_of(invocation), json::object()));
  return invocation.json ? print_json({{"metrics", text}}) : print(text);
}

/// hanatd's version, or why there is none.
struct DaemonVersion {
  std::optional<std::string> version;
  std::string failure;
};
DaemonVersion daemon_version(const std::string& socket) {
  try {
    return {.version = call(socket, "Version", json::object(), version_deadline).at("version").get<std::string>(), .failure = {}};
  } catch (const json::exception&) {
    return {.version = {}, .failure = "hanatd runs, but does not reply with its version: it is probably an older one"};
  } catch (const std::exception& error) { // it is not running, or does not let us in: what() says which
    return {.version = {}, .failure = error.what()};
  }
}

Exit run_version(const Invocation& invocation) {
  const auto daemon = daemon_version(socket_of(invocation));
  if (invocation.json) return print_json({{"hanatctl", version()}, {"hanatd", daemon.version ? json(*daemon.version) : json(nullptr)}});
  return print(
      fmt::format("hanatctl {}\n{}\n", version(), daemon.version ? "hanatd " + escaped(*daemon.version) : escaped(daemon.failure)));
}

Exit run_help(const Invocation& invocation) {
  constexpr std::size_t usual_width = 80;
  const std::size_t width = view_of(invocation.color).width;
  const auto text = help_text(invocation.operand, width == 0 ? usual_width : width);
  return invocation.json ? print_json({{"help", text}}) : print(text);
}

Exit dispatch(const Invocation& invocation) {
  switch (invocation.command) {
  case Command::status: return run_status(invocation);
  case Command::top: return run_top(invocation);
  case Command::force_backup:
  case Command::force_primary: return run_force(invocation);
  case Command::automatic: return run_auto(invocation);
  case Command::drill: return run_drill(invocation);
  case Command::disable: return run_disable(invocation);
  case Command::report: return run_report(invocation);
  case Command::enable: return run_enable(invocation);
  case Command::reload: return run_reload(invocation);
  case Command::confirm: return run_confirm(invocation);
  case Command::settled: return run_settled(invocation);
  case Command::history:
  case Command::events: return run_history(invocation);
  case Command::why: return run_why(invocation);
  case Command::plan: return run_plan(invocation);
  case Command::probe: return run_probe(invocation);
  case Command::doctor: return run_doctor(invocation);
  case Command::connections: return run_connections(invocation);
  case Command::metrics: return run_metrics(invocation);
  case Command::check: return run_check(invocation);
  case Command::import_file: return run_import(invocation);
  case Command::version: return run_version(invocation);
  case Command::help: return run_help(invocation);
  case Command::complete: return run_complete(invocation);
  }
  return Exit::usage;
}

Exit refused(const Refusal& refusal, const Invocation& invocation) {
  const std::string message = error_lines(refusal) + "hanatctl: " + refusal_text(refusal, name_of(invocation.command), invocation.operand);
  fmt::print(stderr, "{}\n", wrapped_message(message, error_width()));
  const auto status = refusal.name == "BadConfiguration" ? Exit::usage : Exit::refused;
  if (!invocation.json) return status;
  json value = refusal.parameters;
  value["error"] = refusal.name;
  value["message"] = refusal.what();
  return print_json(value, status);
}

} // namespace

Exit fail(Exit status, bool as_json, const std::string& error, const std::string& message) {
  fmt::print(stderr, "{}\n", wrapped_message("hanatctl: " + message, error_width()));
  return as_json ? print_json({{"error", error}, {"message", message}}, status) : status;
}

Exit run(const Invocation& invocation) {
  try {
    return dispatch(invocation);
  } catch (const Refusal& refusal) {
    return refused(refusal, invocation);
  } catch (const NoDaemon& error) {
    return fail(Exit::no_daemon, invocation.json, "NoDaemon", error.what());
  } catch (const UsageError& error) {
    return fail(Exit::usage, invocation.json, "Usage", error.what());
  } catch (const json::exception&) {
    return fail(Exit::refused, invocation.json, "Failed",
                fmt::format("hanatd's reply is not what hanatctl {} expects: are their versions different?", version()));
  } catch (const std::system_error& error) {
    return fail(Exit::refused, invocation.json, "Failed", error.what());
  }
}

} // namespace hanat::cli
