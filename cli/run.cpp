// One function a word.
#include "cli/run.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <system_error>
#include <variant>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "cli/said.hpp"
#include "cli/show.hpp"
#include "cli/text.hpp"
#include "daemon/client.hpp"
#include "daemon/config.hpp"
#include "daemon/metrics.hpp"
#include "daemon/status.hpp"

namespace hanat::cli {
namespace {

using nlohmann::json;

constexpr const char* default_socket = "/run/hanat/control.sock";
constexpr const char* default_config = "/etc/hanat/hanat.toml";
constexpr auto version_patience = std::chrono::seconds{2}; // it is hanatctl's version that was asked for first

/// A pipe that is closed or a disk that is full is a failure: a script must not take half an answer for a whole one.
Exit print(const std::string& text, Exit status = Exit::done) {
  const bool whole = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  if (whole) return status;
  std::perror("hanatctl: stdout");
  return status == Exit::done ? Exit::refused : status;
}

Exit print_json(const json& value, Exit status = Exit::done) {
  return print(value.dump(2, ' ', false, json::error_handler_t::replace) + "\n", status);
}

std::string socket_of(const Invocation& invocation) {
  if (invocation.socket) return *invocation.socket;
  const char* const named = std::getenv("HANAT_SOCKET"); // NOLINT(concurrency-mt-unsafe): one thread
  return named != nullptr && *named != '\0' ? named : default_socket;
}

bool colour_wanted() {
  const auto set = [](const char* name) -> std::string_view {
    const char* const value = std::getenv(name); // NOLINT(concurrency-mt-unsafe): one thread
    return value == nullptr ? std::string_view{} : std::string_view{value};
  };
  return isatty(STDOUT_FILENO) == 1 && set("NO_COLOR").empty() && set("TERM") != "dumb";
}

json ask(const Invocation& invocation, const char* method, const json& parameters) {
  return call(socket_of(invocation), method, parameters);
}

/// {"service": ...} or {"all": true}, or neither: the daemon knows whether there is only one.
json selection(const Invocation& invocation) {
  json parameters = json::object();
  if (invocation.all) parameters["all"] = true;
  if (!invocation.operand.empty()) parameters["service"] = invocation.operand;
  return parameters;
}

Exit run_status(const Invocation& invocation) {
  const json reply = ask(invocation, "Status", selection(invocation));
  const auto& status = reply.at("status");
  if (invocation.json) return print_json(status);
  return print(show_status(status.get<Status>(), {.colour = colour_wanted(), .now = wall_now()}));
}

Exit run_force(const Invocation& invocation) {
  json parameters = selection(invocation);
  parameters["server"] = invocation.server;
  if (invocation.for_time) parameters["for_s"] = std::chrono::duration<double>(*invocation.for_time).count();
  if (!invocation.reason.empty()) parameters["reason"] = invocation.reason;
  if (invocation.even_if_down) parameters["even_if_down"] = true;
  const json reply = ask(invocation, "Force", parameters);
  return invocation.json ? print_json(reply) : print(said_of_force(reply, invocation.for_time, wall_now()));
}

Exit run_auto(const Invocation& invocation) {
  const json reply = ask(invocation, "Auto", selection(invocation));
  return invocation.json ? print_json(reply) : print(said_of_auto(reply));
}

Exit run_reload(const Invocation& invocation) {
  const json reply = ask(invocation, "Reload", json::object());
  return invocation.json ? print_json(reply) : print(said_of_reload(reply));
}

Exit run_history(const Invocation& invocation) {
  const json reply = ask(invocation, "History", selection(invocation));
  if (invocation.json) return print_json(reply);
  return print(show_history(reply.at("history").get<std::vector<HistoryEntry>>(), {.colour = colour_wanted(), .now = wall_now()}));
}

Exit run_metrics(const Invocation& invocation) {
  const auto text = metrics_text(ask(invocation, "Status", json::object()).at("status").get<Status>());
  return invocation.json ? print_json({{"metrics", text}}) : print(text);
}

Exit say_ok(const std::string& file, const Config& config, bool as_json) {
  const auto servers = std::accumulate(config.services.begin(), config.services.end(), std::size_t{0},
                                       [](std::size_t sum, const Service& service) { return sum + service.servers.size(); });
  const auto services = config.services.size();
  if (as_json) return print_json({{"file", file}, {"ok", true}, {"services", services}, {"servers", servers}, {"errors", json::array()}});
  return print(fmt::format("{}: {} service{}, {} server{}: ok\n", printable(file), services, services == 1 ? "" : "s", servers,
                           servers == 1 ? "" : "s"));
}

Exit run_check(const Invocation& invocation) {
  const std::string file = invocation.operand.empty() ? default_config : invocation.operand;
  const auto result = load_config(file);
  if (const auto* const config = std::get_if<Config>(&result)) return say_ok(file, *config, invocation.json);
  json list = json::array();
  for (const auto& error : std::get<std::vector<ConfigError>>(result)) {
    fmt::print(stderr, "{}\n", printable(to_text(error)));
    list.push_back({{"file", error.file}, {"line", error.line}, {"column", error.column}, {"message", error.message}});
  }
  if (!invocation.json) return Exit::usage;
  return print_json({{"file", file}, {"ok", false}, {"errors", std::move(list)}}, Exit::usage);
}

Exit run_version(const Invocation& invocation) {
  json daemon = nullptr;
  try {
    daemon = call(socket_of(invocation), "Version", json::object(), version_patience).at("version");
  } catch (const std::exception&) {
    daemon = nullptr; // no answer is an answer here
  }
  if (invocation.json) return print_json({{"hanatctl", HANAT_VERSION}, {"hanatd", daemon}});
  return print(fmt::format("hanatctl {}\nhanatd {}\n", HANAT_VERSION,
                           daemon.is_string() ? printable(daemon.get<std::string>()) : "does not answer"));
}

Exit run_help(const Invocation& invocation) {
  const auto text = help_text(invocation.operand);
  return invocation.json ? print_json({{"help", text}}) : print(text);
}

Exit dispatch(const Invocation& invocation) {
  switch (invocation.command) {
  case Command::status: return run_status(invocation);
  case Command::force_backup:
  case Command::force_primary: return run_force(invocation);
  case Command::automatic: return run_auto(invocation);
  case Command::reload: return run_reload(invocation);
  case Command::history: return run_history(invocation);
  case Command::metrics: return run_metrics(invocation);
  case Command::check: return run_check(invocation);
  case Command::version: return run_version(invocation);
  case Command::help: return run_help(invocation);
  }
  return Exit::usage;
}

Exit refused(const Refusal& refusal, const Invocation& invocation) {
  fmt::print(stderr, "hanatctl: {}\n", said_of_refusal(refusal, invocation.operand));
  const auto status = refusal.name == "BadConfiguration" ? Exit::usage : Exit::refused;
  if (!invocation.json) return status;
  json value = refusal.parameters;
  value["error"] = refusal.name;
  value["message"] = refusal.what();
  return print_json(value, status);
}

} // namespace

Exit fail(Exit status, bool as_json, const std::string& error, const std::string& message) {
  fmt::print(stderr, "hanatctl: {}\n", message);
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
                "hanatd's answer is not what hanatctl " HANAT_VERSION " expects: are they of different versions?");
  } catch (const std::system_error& error) {
    return fail(Exit::refused, invocation.json, "Failed", error.what());
  }
}

} // namespace hanat::cli
