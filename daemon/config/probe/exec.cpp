// Reads the keys of exec probes.
// Not here: the keys of every probe (read_probe), lists of arguments (config/command).
#include <fmt/format.h>

#include "daemon/config/command.hpp"
#include "daemon/config/probe/keys.hpp"

namespace hanat::config {
namespace {

constexpr std::string_view command_example = "[\"/usr/local/lib/check_web\", \"-q\"]";

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
  if (command != nullptr) exec.command = read_command(reader, *command, "command", command_example);
  if (spec.kind != probes::Kind::exec) return;
  if (command == nullptr)
    reader.report_error(*reader.find("type"), fmt::format("an exec probe needs a program: write command = {}", command_example));
  refuse_key(reader, "source");
  refuse_key(reader, "interface");
}

} // namespace hanat::config
