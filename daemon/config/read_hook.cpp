// Reads the keys of hooks, and looks whether only trusted users can change their programs.
#include "daemon/config/read_hook.hpp"

#include <map>

#include <fmt/format.h>

#include "daemon/config/command.hpp"
#include "daemon/config/raw_config.hpp"
#include "daemon/util/trusted_program.hpp"

namespace hanat::config {
namespace {

constexpr DurationLimits hook_timeout_limits{.least = std::chrono::milliseconds{100}, .most = std::chrono::minutes{5}, .example = "10s"};

} // namespace

/// An empty list: none, also where [defaults] has one.
RawHook read_hook(TableReader& reader) {
  static constexpr std::string_view example = "[\"/usr/local/lib/hanat-notify\"]";
  RawHook hook;
  const toml::node* node = reader.find("hook");
  hook.timeout = reader.duration("hook_timeout", hook_timeout_limits);
  if (node == nullptr) return hook;
  hook.command.present = true;
  hook.command.location = reader.location(*node);
  const auto* list = node->as_array();
  hook.command.value = list != nullptr && list->empty() ? std::vector<std::string>{} : read_command(reader, *node, "hook", example);
  return hook;
}

} // namespace hanat::config

namespace hanat {

std::vector<std::string> hook_errors(const Config& config, std::span<const uid_t> owners) {
  struct Users {
    std::string first;
    std::size_t others = 0;
  };
  std::map<std::string, Users> programs; // ten thousand services may have the same
  const auto add = [&programs](const HookConfig& hook, const std::string& table) {
    if (hook.command.empty()) return;
    const auto [program, is_new] = programs.try_emplace(hook.command.front(), Users{.first = table});
    if (!is_new) ++program->second.others;
  };
  add(config.hook, "[hanatd]");
  for (const ServiceConfig& service : config.services) add(service.hook, fmt::format("[service.{}]", service.name));
  std::vector<std::string> errors;
  for (const auto& [program, users] : programs)
    if (const std::string why = untrusted(program, owners); !why.empty())
      errors.push_back(fmt::format("the hook {} of {}{} cannot be run: {}", config::shown(program), users.first,
                                   users.others == 0 ? "" : fmt::format(" and {} more", users.others), why));
  return errors;
}

} // namespace hanat
