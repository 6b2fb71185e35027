// One function per command.
#include "cli/commands.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <optional>
#include <system_error>
#include <variant>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "cli/replies.hpp"
#include "cli/show.hpp"
#include "cli/text.hpp"
#include "daemon/api/client.hpp"
#include "daemon/api/metrics_text.hpp"
#include "daemon/api/status.hpp"
#include "daemon/config/load_config.hpp"
#include "daemon/util/escape.hpp"
#include "daemon/util/version.hpp"

namespace hanat::cli {
namespace {

using nlohmann::json;

constexpr const char* default_socket = "/run/hanat/control.sock";
constexpr const char* default_config = "/etc/hanat/hanat.toml";
constexpr auto version_deadline = std::chrono::seconds{2}; // hanatctl's own version should not wait long for hanatd's

/// A closed pipe or a full disk is a failure: a script must not take half a reply for a whole one.
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

json request(const Invocation& invocation, const char* method, const json& parameters) {
  return call(socket_of(invocation), method, parameters);
}

/// {"service": ...}, {"all": true} or neither, which the daemon accepts when there is only one service.
json selection(const Invocation& invocation) {
  json parameters = json::object();
  if (invocation.all) parameters["all"] = true;
  if (!invocation.operand.empty()) parameters["service"] = invocation.operand;
  return parameters;
}

Exit run_status(const Invocation& invocation) {
  const json reply = request(invocation, "Status", selection(invocation));
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
  const json reply = request(invocation, "Force", parameters);
  return invocation.json ? print_json(reply) : print(force_reply(reply, invocation.for_time, wall_now()));
}

Exit run_auto(const Invocation& invocation) {
  const json reply = request(invocation, "Auto", selection(invocation));
  return invocation.json ? print_json(reply) : print(auto_reply(reply));
}

Exit run_reload(const Invocation& invocation) {
  const json reply = request(invocation, "Reload", json::object());
  return invocation.json ? print_json(reply) : print(reload_reply(reply));
}

Exit run_history(const Invocation& invocation) {
  const json reply = request(invocation, "History", selection(invocation));
  if (invocation.json) return print_json(reply);
  return print(show_history(reply.at("history").get<std::vector<HistoryEntry>>(), {.colour = colour_wanted(), .now = wall_now()}));
}

Exit run_metrics(const Invocation& invocation) {
  const auto text = metrics_text(request(invocation, "Status", json::object()).at("status").get<Status>());
  return invocation.json ? print_json({{"metrics", text}}) : print(text);
}

Exit print_ok(const std::string& file, const Config& config, bool as_json) {
  const auto servers = std::accumulate(config.services.begin(), config.services.end(), std::size_t{0},
                                       [](std::size_t sum, const ServiceConfig& service) { return sum + service.servers.size(); });
  const auto services = config.services.size();
  if (as_json) return print_json({{"file", file}, {"ok", true}, {"services", services}, {"servers", servers}, {"errors", json::array()}});
  return print(fmt::format("{}: {} service{}, {} server{}: ok\n", escaped(file), services, services == 1 ? "" : "s", servers,
                           servers == 1 ? "" : "s"));
}

Exit run_check(const Invocation& invocation) {
  const std::string file = invocation.operand.empty() ? default_config : invocation.operand;
  const auto result = load_config(file);
  if (const auto* const config = std::get_if<Config>(&result)) return print_ok(file, *config, invocation.json);
  json list = json::array();
  for (const auto& error : std::get<std::vector<ConfigError>>(result)) {
    fmt::print(stderr, "{}\n", escaped(to_text(error)));
    list.push_back({{"file", error.file}, {"line", error.line}, {"column", error.column}, {"message", error.message}});
  }
  if (!invocation.json) return Exit::usage;
  return print_json({{"file", file}, {"ok", false}, {"errors", std::move(list)}}, Exit::usage);
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
  fmt::print(stderr, "{}hanatctl: {}\n", error_lines(refusal), refusal_text(refusal, name_of(invocation.command), invocation.operand));
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
                fmt::format("hanatd's reply is not what hanatctl {} expects: are their versions different?", version()));
  } catch (const std::system_error& error) {
    return fail(Exit::refused, invocation.json, "Failed", error.what());
  }
}

} // namespace hanat::cli
