// The table of hanatd's options, and what they set.
#include "daemon/arguments.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "daemon/util/arguments.hpp"
#include "daemon/util/did_you_mean.hpp"
#include "daemon/util/escape.hpp"

namespace hanat {
namespace {

enum class Option : std::uint8_t { config, socket, state, table, shared_table, fallback, check, remove, version, help };

// In the order of Option.
constexpr std::array option_rows = {
    OptionRow{"--config", "FILE", "configuration file (default: /etc/hanat/hanat.toml)"},
    OptionRow{"--socket", "PATH", "control socket (default: /run/hanat/control.sock)"},
    OptionRow{"--state", "DIR", "overrides, drains, history (default: /var/lib/hanat)"},
    OptionRow{"--table", "NAME", "name of the nftables table, for tests (default: hanat)"},
    OptionRow{"--shared-table", "", "let other programs change the table, for tests"},
    OptionRow{"--fallback", "", "if FILE has errors, start with the last accepted one"},
    OptionRow{"--check", "", "print every error of the configuration and exit"},
    OptionRow{"--remove", "", "remove what a stopped hanatd left, and exit"},
    OptionRow{"--version", "", "print the version and exit", "-V"},
    OptionRow{"--help", "", "print this text and exit", "-h"},
};
static_assert(option_rows.size() == static_cast<std::size_t>(Option::help) + 1);

/// One run has one action.
void set_action(Arguments& arguments, Action action) {
  if (arguments.action != Action::run) throw UsageError("give only one of --check, --remove, --version and --help");
  arguments.action = action;
}

void apply(Arguments& arguments, Option option, std::string_view value) {
  switch (option) {
  case Option::config: arguments.paths.config = value; break;
  case Option::socket: arguments.paths.socket = value; break;
  case Option::state: arguments.paths.state = value; break;
  case Option::table: arguments.paths.table = value; break;
  case Option::shared_table: arguments.paths.shared_table = true; break;
  case Option::fallback: arguments.fallback = true; break;
  case Option::check: set_action(arguments, Action::check); break;
  case Option::remove: set_action(arguments, Action::remove); break;
  case Option::version: set_action(arguments, Action::version); break;
  case Option::help: set_action(arguments, Action::help); break;
  }
}

/// hanatd has no operands; an option without its dashes is the usual mistake.
[[noreturn]] void refuse_operand(std::string_view operand) {
  const auto names = option_names(option_rows);
  const auto meant = nearest(fmt::format("--{}", operand), names);
  throw UsageError(fmt::format("unexpected argument \"{}\"{}", escaped(operand),
                               meant.empty() ? ": hanatd takes options only" : fmt::format(": did you mean \"{}\"?", meant)));
}

} // namespace

Arguments parse_arguments(std::span<const std::string_view> arguments) {
  const CommandLine line = parse_command_line(option_rows, arguments);
  if (!line.operands.empty()) refuse_operand(line.operands.front());
  Arguments parsed;
  for (const auto& [row, value] : line.options) apply(parsed, static_cast<Option>(row), value);
  return parsed;
}

std::string help_text() {
  std::string text = "hanatd [OPTIONS]\n  Health-checks servers and rewrites NAT in the kernel, so that services stay\n  reachable when a "
                     "server dies.\n\n";
  for (const OptionRow& row : option_rows) text += option_help(row);
  return text + "\nExit status: 0 stopped as requested; 1 the kernel or the system refused; 2 usage\n  or bad configuration.\n";
}

} // namespace hanat
