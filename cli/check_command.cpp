// Errors make it fail; what only may be wrong is said, and does not.
#include "cli/check_command.hpp"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <numeric>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "cli/diagnosis.hpp"
#include "cli/requests.hpp"
#include "cli/text.hpp"
#include "daemon/config/load_config.hpp"
#include "daemon/config/read_hook.hpp"
#include "daemon/util/credentials.hpp"
#include "daemon/util/escape.hpp"

namespace hanat::cli {
namespace {

using nlohmann::json;

/// Of servers, each once.
std::vector<std::string> names_in(const Config& config) {
  std::set<std::string> names;
  for (const ServiceConfig& service : config.services)
    for (const ServerConfig& server : service.servers)
      if (server.host) names.insert(server.host->name);
  return {names.begin(), names.end()};
}

/// That services listen on, each once.
std::vector<std::string> interfaces_in(const Config& config) {
  std::set<std::string> interfaces;
  for (const ServiceConfig& service : config.services)
    for (const InterfaceListener& listener : service.interfaces) interfaces.insert(listener.interface);
  return {interfaces.begin(), interfaces.end()};
}

/// "db1.lan, db2.lan and 3 more"
std::string first_of(const std::vector<std::string>& all) {
  constexpr std::size_t shown_at_most = 10;
  const std::vector<std::string> first(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(std::min(all.size(), shown_at_most)));
  return fmt::format("{}{}", fmt::join(first, ", "),
                     all.size() > shown_at_most ? fmt::format(" and {} more", all.size() - shown_at_most) : "");
}

bool is_program(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error) && access(path.c_str(), X_OK) == 0;
}

/// Programs of exec probes that cannot be run here. Only hanatd's own machine can say for sure.
void add_missing_programs(const Config& config, const ProbePlaces& places, std::vector<ConfigError>& all) {
  std::set<std::string> told;
  for (const ServiceConfig& service : config.services)
    for (const ServerConfig& server : service.servers)
      for (std::size_t number = 0; number < server.probes.size(); ++number) {
        const probes::ProbeSpec& probe = server.probes[number];
        if (probe.kind != probes::Kind::exec) continue;
        const std::string& program = probe.of<probes::ExecSpec>().command.front();
        if (is_program(program) || !told.insert(program).second) continue;
        const ConfigPlace& place = places.at({service.name, server.role}).at(number);
        all.push_back({.file = place.file,
                       .line = place.line,
                       .column = place.column,
                       .message = fmt::format(
                           "service {}: its exec probe runs {}, which {}: the probe fails until it does; install it, or correct its path",
                           service.name, program, access(program.c_str(), F_OK) == 0 ? "is no program here" : "does not exist here")});
      }
}

std::vector<ConfigError> warnings_of(const std::string& file, const Config& config, const ProbePlaces& places) {
  std::vector<ConfigError> all;
  if (config.services.empty())
    all.push_back({.file = file,
                   .line = 0,
                   .column = 0,
                   .message = "there is no service: hanatd would run, and do nothing. A service begins with [service.NAME]"});
  add_missing_programs(config, places, all);
  return all;
}

Exit print_ok(const std::string& file, const Config& config, const std::vector<ConfigError>& warnings, const Invocation& invocation) {
  const Exit status = invocation.strict && !warnings.empty() ? Exit::refused : Exit::done;
  const auto servers = std::accumulate(config.services.begin(), config.services.end(), std::size_t{0},
                                       [](std::size_t sum, const ServiceConfig& service) { return sum + service.servers.size(); });
  const auto services = config.services.size();
  const std::vector<std::string> names = names_in(config), interfaces = interfaces_in(config);
  if (invocation.json)
    return print_json({{"file", file},
                       {"ok", true},
                       {"services", services},
                       {"servers", servers},
                       {"names", names},
                       {"interfaces", interfaces},
                       {"errors", json::array()},
                       {"warnings", error_list(warnings)}},
                      status);
  std::string text;
  for (const ConfigError& warning : warnings) text += "!  " + escaped(to_text(warning)) + "\n";
  text += fmt::format("{}: {} service{}, {} server{}: ok\n", escaped(file), services, services == 1 ? "" : "s", servers,
                      servers == 1 ? "" : "s");
  if (!interfaces.empty())
    text += fmt::format("{} whose addresses hanatd will follow: {}\n", plural(interfaces.size(), "interface"), first_of(interfaces));
  if (!names.empty())
    text += fmt::format("{} that hanatd will resolve: {}. To resolve and probe now:\n-> hanatctl check --ask {}\n",
                        plural(names.size(), "name"), first_of(names), escaped(file));
  return print(text, status);
}

} // namespace

Exit run_check(const Invocation& invocation) {
  if (invocation.ask) return run_ask(invocation);
  const std::string file = invocation.operand.empty() ? default_config : invocation.operand;
  ProbePlaces places;
  const auto result = load_config(file, places);
  if (const auto* const config = std::get_if<Config>(&result)) {
    std::vector<ConfigError> errors; // a reload refuses these, too
    const auto add = [&](std::string error) {
      if (!error.empty()) errors.push_back({.file = file, .line = 0, .column = 0, .message = std::move(error)});
    };
    add(operators_error(config->operators));
    std::vector<uid_t> owners{geteuid()};
    if (const auto hanatd = find_local_user("hanat")) owners.push_back(*hanatd); // the package's unit runs it as that
    for (std::string& error : hook_errors(*config, owners)) add(std::move(error));
    return errors.empty() ? print_ok(file, *config, warnings_of(file, *config, places), invocation)
                          : print_config_errors(file, errors, invocation.json);
  }
  return print_config_errors(file, std::get<std::vector<ConfigError>>(result), invocation.json);
}

} // namespace hanat::cli
