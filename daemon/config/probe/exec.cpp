// Reads the keys of exec probes.
// Not here: the keys of every probe (read_probe).
#include <fmt/format.h>

#include "daemon/config/probe/keys.hpp"

namespace hanat::config {
namespace {

constexpr std::size_t most_arguments = 64;
constexpr std::size_t longest_argument = 4'096; // bytes
constexpr std::string_view command_example = "[\"/usr/local/lib/check_web\", \"-q\"]";

/// Appends an argument. False: it is not a string that a program can be given.
bool read_argument(TableReader& reader, const toml::node& node, std::vector<std::string>& command) {
  const auto* string = node.as_string();
  if (string == nullptr) {
    reader.wrong_type(node, "command", "a list of strings", command_example);
    return false;
  }
  const std::string& argument = string->get();
  if (argument.size() > longest_argument || argument.find('\0') != std::string::npos) {
    reader.report_error(node, fmt::format("probe.command: an argument has at most {} bytes and no NUL byte", grouped(longest_argument)));
    return false;
  }
  command.push_back(argument);
  return true;
}

void read_command(TableReader& reader, const toml::node& node, std::vector<std::string>& command) {
  const auto* list = node.as_array();
  if (list == nullptr) return reader.wrong_type(node, "command", "a list of strings", command_example);
  if (list->empty() || list->size() > most_arguments)
    return reader.report_error(node,
                               fmt::format("probe.command must have 1 to {} entries, not {}: write the program and its arguments, as in {}",
                                           most_arguments, grouped(list->size()), command_example));
  for (const toml::node& argument : *list)
    if (!read_argument(reader, argument, command)) return;
  if (!command.front().starts_with('/'))
    reader.report_error(*list->get(0),
                        fmt::format("probe.command runs {}, which is not an absolute path: PATH is not searched; write it like {}",
                                    shown(command.front()), command_example));
}

/// Rejects a key that the program of the probe would ignore.
void refuse_key(TableReader& reader, std::string_view key) {
  if (const toml::node* node = reader.find(key))
    reader.report_error(*node,
                        fmt::format("probe.{0} has no effect on the program of an exec probe: remove it, and pass it in command", key));
}

} // namespace

void read_exec(TableReader& reader, probes::ProbeSpec& spec) {
  auto& exec = spec.edit<probes::ExecSpec>();
  const toml::node* command = reader.find("command");
  if (command != nullptr) read_command(reader, *command, exec.command);
  if (spec.kind != probes::Kind::exec) return;
  if (command == nullptr)
    reader.report_error(*reader.find("type"), fmt::format("an exec probe needs a program: write command = {}", command_example));
  refuse_key(reader, "source");
  refuse_key(reader, "interface");
}

} // namespace hanat::config
