// The table of commands and options, and what they set.
#include "cli/arguments.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/option_values.hpp"
#include "cli/other_tools.hpp"
#include "cli/text.hpp"
#include "daemon/util/did_you_mean.hpp"
#include "daemon/util/escape.hpp"

namespace hanat::cli {
namespace {

// In the order of Option.
constexpr std::array option_rows = {
    OptionRow{"--socket", "PATH", "the daemon's socket (default: $HANAT_SOCKET, otherwise /run/hanat/control.sock)"},
    OptionRow{"--json", "", "print JSON on stdout, and nothing else there", "-j"},
    OptionRow{"--help", "", "print this text", "-h"},
    OptionRow{"--version", "", "like the command version", "-V"},
    OptionRow{"--all", "", "every service"},
    OptionRow{"--for", "TIME", "end the override, the drill or the report, or enable the server, after this time: 90s, 30m, 2h, 1h30m"},
    OptionRow{"--reason", "TEXT", "why, for the journal and for anyone who looks at the status"},
    OptionRow{"--server", "NAME", "this backup, for example backup2, instead of the first one that is up"},
    OptionRow{"--even-if-down", "", "force the server although it is down: its clients are not served then"},
    OptionRow{"--watch", "", "refresh every second, until interrupted"},
    OptionRow{"--color", "WHEN", "use colour: auto (default: on a terminal), always or never"},
    OptionRow{"--check", "", "one line for monitoring; exit status 0 ok, 1 warning, 2 critical, 3 no daemon"},
    OptionRow{"--number", "N", "the newest N entries", "-n"},
    OptionRow{"--since", "TIME", "from this time on: 14:00, \"2026-11-28 14:00\", or 2h (ago)"},
    OptionRow{"--until", "TIME", "up to this time"},
    OptionRow{"--follow", "", "then print what happens, until interrupted", "-f"},
    OptionRow{"--at", "TIME", "at this time instead of now: 14:02 (that minute), \"2026-11-28 14:02:30\", or 2h (ago)"},
    OptionRow{"--ask", "", "also probe every server once; exit status 1 if one fails"},
    OptionRow{"--list", "N", "also list N of the connections, one per line"},
    OptionRow{"--drain", "TIME", "let the connections of the old target go on for this time, then cut them (default: on_forced)"},
    OptionRow{"--reset", "", "reset the connections of the old target at once, also those that drain already"},
    OptionRow{"--wait", "",
              "return when the traffic has moved and the old connections have ended or were cut (exit status 1: it moved back)"},
    OptionRow{"--until-down", "", "also end the override when its server goes down: then another one takes over"},
    OptionRow{"--yes", "", "even if it is the last server that can have the traffic: clients are then turned away"},
    OptionRow{"--confirm", "TIME", "take it back after this time, unless hanatctl confirm is run: 60s, 10m"},
    OptionRow{"--address", "ADDRESS", "what clients connect to, where the file means every address; for IPv4 and IPv6: A,B"},
    OptionRow{"--health", "HEALTH", "up, down or drain (new connections go elsewhere); none: its probes decide again"},
    OptionRow{"--strict", "", "exit status 1 if there are warnings"},
};
static_assert(option_rows.size() == option_count);
constexpr std::array common_options = {Option::socket, Option::json, Option::color, Option::help, Option::version};

} // namespace

const OptionRow& row_of(Option option) { return option_rows.at(static_cast<std::size_t>(option)); }
bool takes(const Subcommand& subcommand, Option option) {
  return std::ranges::find(common_options, option) != common_options.end() ||
         std::ranges::find(subcommand.options, option) != subcommand.options.end();
}

namespace {

bool has(const CommandLine& line, Option option) { return line.has(static_cast<std::size_t>(option)); }
std::string usage_of(const Subcommand& subcommand) {
  if (subcommand.operand.empty()) return std::string{subcommand.name};
  if (subcommand.operand.starts_with('[') || subcommand.operand.find(' ') != std::string_view::npos)
    return fmt::format("{} {}", subcommand.name, subcommand.operand);
  return fmt::format("{} [{}{}]", subcommand.name, subcommand.operand, takes(subcommand, Option::all) ? "|--all" : "");
}

const Subcommand& find_subcommand(std::string_view name) {
  std::vector<std::string_view> names;
  for (const auto& subcommand : subcommands()) {
    if (subcommand.name == name) return subcommand;
    names.push_back(subcommand.name);
  }
  if (const auto hint = hint_for(name); !hint.empty())
    throw UsageError(fmt::format("unknown command \"{}\"; in hanat that is: {}", escaped(name), hint));
  std::string text = fmt::format("unknown command \"{}\"{}", escaped(name), did_you_mean(name, names));
  if (nearest(name, names).empty()) text += fmt::format("\nto see a service of that name: hanatctl status {}", escaped(name));
  throw UsageError(text);
}

void apply(Invocation& invocation, Option option, std::string_view value) {
  switch (option) {
  case Option::socket: invocation.socket = std::string{value}; break;
  case Option::json: invocation.json = true; break;
  case Option::help:
  case Option::version: break; // they choose the command
  case Option::all: invocation.all = true; break;
  case Option::for_time: invocation.for_time = override_time(value); break;
  case Option::reason: invocation.reason = std::string{value}; break;
  case Option::server: invocation.server = backup_name(value); break;
  case Option::even_if_down: invocation.even_if_down = true; break;
  case Option::watch: invocation.watch = true; break;
  case Option::color: invocation.color = color_of(value); break;
  case Option::check: invocation.check = true; break;
  case Option::number: invocation.number = number_of("--number", value); break;
  case Option::since: invocation.since = past_moment("--since", value); break;
  case Option::until: invocation.until = moment_of("--until", value).begin; break;
  case Option::follow: invocation.follow = true; break;
  case Option::at: invocation.at = moment_of("--at", value); break;
  case Option::ask: invocation.ask = true; break;
  case Option::strict: invocation.strict = true; break;
  case Option::list: invocation.list = number_of("--list", value); break;
  case Option::drain: invocation.drain = drain_time(value); break;
  case Option::reset: invocation.reset = true; break;
  case Option::wait: invocation.wait = true; break;
  case Option::until_down: invocation.until_down = true; break;
  case Option::yes: invocation.yes = true; break;
  case Option::confirm_within: invocation.confirm_within = confirm_time(value); break;
  case Option::address: invocation.addresses = addresses_of(value); break;
  case Option::health: invocation.health = health_word(value); break;
  }
}

void check_options(const CommandLine& line, const Subcommand& subcommand) {
  for (const auto& given : line.options) {
    const auto option = static_cast<Option>(given.row);
    if (takes(subcommand, option)) continue;
    std::vector<std::string_view> names;
    for (const auto& other : subcommands())
      if (takes(other, option)) names.push_back(other.name);
    throw UsageError(fmt::format("{} has no option {}; it belongs to: {}", subcommand.name, row_of(option).name, fmt::join(names, ", ")));
  }
}

/// Of import: the system, and its file.
std::string system_of(const CommandLine& line, const Subcommand& subcommand, std::string& file) {
  static constexpr std::array<std::string_view, 3> systems{"keepalived", "haproxy", "iptables"};
  if (line.operands.size() < 2)
    throw UsageError("name the system and its file: hanatctl import keepalived|haproxy|iptables FILE; FILE may be - for standard input");
  const std::string_view system = line.operands[1];
  if (std::ranges::find(systems, system) == systems.end())
    throw UsageError(fmt::format("import {}: not a system that hanat knows{}", escaped(system), did_you_mean(system, systems)));
  if (line.operands.size() < 3)
    throw UsageError(fmt::format("name the file: hanatctl import {} FILE; it may be - for standard input", system));
  if (line.operands.size() > 3)
    throw UsageError(fmt::format("unexpected argument \"{}\"; usage: hanatctl {}", escaped(line.operands[3]), usage_of(subcommand)));
  file = line.operands[2];
  return std::string{system};
}

/// The operands behind the command: at most one, or a server and before it a service.
std::string operand_of(const CommandLine& line, const Subcommand& subcommand, std::string& server, std::string& file) {
  if (subcommand.command == Command::import_file) return system_of(line, subcommand, file);
  const bool takes_server = subcommand.operand.ends_with("SERVER");
  const std::size_t most = subcommand.operand.empty() ? 1 : takes_server ? 3 : 2; // with the command itself
  if (line.operands.size() > most)
    throw UsageError(fmt::format("unexpected argument \"{}\"; usage: hanatctl {}", escaped(line.operands[most]), usage_of(subcommand)));
  if (takes_server) {
    if (line.operands.size() < 2)
      throw UsageError(
          fmt::format("name a server: hanatctl {}; SERVER is primary, backup, backup2, ... or its address", usage_of(subcommand)));
    server = line.operands.back();
    return line.operands.size() == 3 ? std::string{line.operands[1]} : std::string{};
  }
  return line.operands.size() == 2 ? std::string{line.operands[1]} : std::string{};
}

std::vector<Subcommand> moving_commands() {
  using enum Option;
  return {
      {Command::top, "top", "", {}, "show the status live on the whole terminal, with keys to force, release, disable and enable"},
      {Command::force_backup,
       "force-backup",
       "SERVICE",
       {all, for_time, until_down, reason, server, even_if_down, drain, reset, wait},
       "send the traffic to a backup and keep it there until auto; old connections drain (on_forced)"},
      {Command::force_primary,
       "force-primary",
       "SERVICE",
       {all, for_time, until_down, reason, even_if_down, drain, reset, wait},
       "send the traffic to the primary and keep it there until auto; old connections drain (on_forced)"},
      {Command::automatic, "auto", "SERVICE", {all, drain, reset, wait}, "end an override: hanatd decides again"},
      {Command::drill,
       "drill",
       "SERVICE",
       {for_time, reason, server, drain, reset},
       "rehearse a failover: send the traffic to a backup for a time (default: 30s), watch, and report"},
      {Command::disable,
       "disable",
       "[SERVICE] SERVER",
       {for_time, reason, drain, reset, wait, yes},
       "take a server out of service: it is never chosen, and its connections drain"},
      {Command::enable, "enable", "[SERVICE] SERVER", {drain, reset, wait}, "let a disabled server back; failback says when"},
      {Command::report,
       "report",
       "[SERVICE] SERVER",
       {health, for_time, reason},
       "for programs: say how a server is; that counts instead of its probes for the time --for"},
  };
}

/// Those that move the traffic, by a command or a key, stand behind the first, and those that need no daemon at the end.
std::vector<Subcommand> with_the_others(std::vector<Subcommand> table) {
  const std::vector<Subcommand> local = {
      {Command::check,
       "check",
       "FILE",
       {Option::ask, Option::strict},
       "look for errors in a configuration (default: /etc/hanat/hanat.toml)"},
      {Command::import_file,
       "import",
       "SYSTEM FILE",
       {Option::address},
       "print a hanat.toml made from a file of keepalived, haproxy or iptables (iptables-save); FILE may be -; exit status 1 if something "
       "is lost, "
       "which stands there as a comment"},
      {Command::version, "version", "", {}, "print the version of hanatctl and of the running hanatd"},
      {Command::help, "help", "COMMAND", {}, "print this text, or the help of one command"},
      {Command::complete, "complete", "SHELL WORDS", {}, "print what can stand at the end of a command line, for bash, zsh or fish"},
  };
  const std::vector<Subcommand> moving = moving_commands();
  table.insert(table.begin() + 1, moving.begin(), moving.end());
  table.insert(table.end(), local.begin(), local.end());
  return table;
}

} // namespace

std::span<const Subcommand> subcommands() {
  using enum Option;
  static const std::vector<Subcommand> table = {
      {Command::status,
       "status",
       "SERVICE",
       {all, watch, check},
       "show problems first, then where the traffic is (the default command); with a SERVICE, a pattern like 'web*' or --all: every "
       "detail"},
      {Command::reload, "reload", "", {confirm_within}, "load the configuration again; with errors nothing changes"},
      {Command::confirm, "confirm", "", {}, "keep the configuration that reload --confirm loaded"},
      {Command::settled, "settled", "", {}, "a pair: conntrackd has all connections of the other gateway in the kernel (for its script)"},
      {Command::history,
       "history",
       "SERVICE",
       {number, since, until, follow},
       "show flips, changes of health, overrides and reloads, newest last (default: of all services)"},
      {Command::events,
       "events",
       "SERVICE",
       {number, since, until, follow},
       "the same for programs: one line per event (default: the newest 20)"},
      {Command::why, "why", "SERVICE", {at}, "show why the traffic is where it is, or was at a time"},
      {Command::plan, "plan", "FILE", {}, "show what a reload would change (default: of the file that it reads)"},
      {Command::probe, "probe", "SERVICE", {}, "probe its servers once, now; exit status 1 if one fails"},
      {Command::connections,
       "connections",
       "SERVICE",
       {list},
       "count its connections by server and state, and say whether a server may be unplugged"},
      {Command::doctor,
       "doctor",
       "SERVICE",
       {},
       "find out why clients hang although the servers are up; exit status 0 nothing found, 1 warnings, 2 problems"},
      {Command::metrics, "metrics", "", {}, "print every metric in the Prometheus text format"},
  };
  static const std::vector<Subcommand> all_commands = with_the_others(table);
  return all_commands;
}

std::string_view name_of(Command command) {
  const auto found = std::ranges::find(subcommands(), command, &Subcommand::command);
  return found == subcommands().end() ? std::string_view{} : found->name;
}

namespace {

/// The shell, and the words that it has, which are not to be understood here.
Invocation parse_completion(std::span<const std::string_view> arguments) {
  if (arguments.empty()) throw UsageError("name the shell, bash, zsh or fish, and the words behind hanatctl");
  Invocation invocation;
  invocation.command = Command::complete;
  invocation.operand = arguments.front();
  invocation.words.assign(arguments.begin() + 1, arguments.end());
  return invocation;
}

} // namespace

Invocation parse_arguments(std::span<const std::string_view> arguments) {
  if (!arguments.empty() && arguments.front() == name_of(Command::complete)) return parse_completion(arguments.subspan(1));
  using namespace std::chrono_literals;
  const CommandLine line = parse_command_line(option_rows, arguments);
  Invocation invocation;
  for (const auto& given : line.options) apply(invocation, static_cast<Option>(given.row), given.value);
  const auto& subcommand = find_subcommand(line.operands.empty() ? "status" : line.operands.front());
  if (has(line, Option::help)) {
    invocation.command = Command::help;
    invocation.operand = line.operands.empty() ? "" : std::string{subcommand.name};
    return invocation;
  }
  invocation.command = has(line, Option::version) ? Command::version : subcommand.command;
  invocation.operand = operand_of(line, subcommand, invocation.server, invocation.file);
  check_options(line, subcommand);
  if (invocation.all && !invocation.operand.empty())
    throw UsageError(fmt::format("give either {} or --all, not both", escaped(invocation.operand)));
  if (invocation.watch && (invocation.json || invocation.check)) throw UsageError("--watch is for a screen: without --json and --check");
  if (invocation.ask && invocation.strict) throw UsageError("give either --ask or --strict, not both");
  if (invocation.drain && invocation.reset) throw UsageError("give either --drain or --reset, not both");
  if (invocation.until_down && invocation.even_if_down) throw UsageError("give either --until-down or --even-if-down, not both");
  if (invocation.follow && invocation.until) throw UsageError("give either --follow or --until, not both");
  if (invocation.command == Command::drill && invocation.for_time && (*invocation.for_time < 1s || *invocation.for_time > 24h))
    throw UsageError("--for: a drill lasts from 1s to 24h; for longer: hanatctl force-backup");
  if (invocation.command == Command::report && (invocation.health.empty() || (invocation.health != "none" && !invocation.for_time)))
    throw UsageError(fmt::format("say how it is and for how long: hanatctl report {}{} --health {} --for 30s; report again before that",
                                 invocation.operand.empty() ? "" : escaped(invocation.operand) + " ", escaped(invocation.server),
                                 invocation.health.empty() ? "down" : escaped(invocation.health)));
  if (invocation.command == Command::force_primary) invocation.server = "primary";
  return invocation;
}

std::string help_text(std::string_view command, std::size_t width) {
  std::string text;
  const auto add = [&](std::string_view line, std::size_t hang) {
    for (const std::string& part : wrapped(line, width, hang)) text += part + "\n";
  };
  const auto add_option = [&](Option option) {
    std::string line = option_help(row_of(option));
    line.pop_back();
    add(line, 20);
  };
  if (!command.empty()) {
    const auto& subcommand = find_subcommand(command);
    add(fmt::format("hanatctl {}{}", usage_of(subcommand), subcommand.options.empty() ? "" : " [OPTIONS]"), 2);
    add(fmt::format("  {}", subcommand.help), 2);
    text += "\n";
    for (const auto option : subcommand.options) add_option(option);
  } else {
    add("hanatctl [OPTIONS] [COMMAND] ...", 2);
    add("Show and control hanatd. Options may stand before or after the command.", 0);
    text += "\n";
    for (const auto& subcommand : subcommands()) add(fmt::format("  {:<31}{}", usage_of(subcommand), subcommand.help), 33);
    text += "\n";
    add("SERVICE may be left out when there is only one. hanatctl help COMMAND shows the options of a command.", 0);
    text += "\nClients hang:                    hanatctl doctor\n"
            "Why did it move at 14:02?        hanatctl why SERVICE --at 14:02\n"
            "May I unplug a server now?       hanatctl connections SERVICE\n\n";
  }
  for (const auto option : common_options) add_option(option);
  text += "\n";
  add("Exit status: 0 done; 1 refused or failed; 2 usage or bad configuration; 3 no daemon. status --check, doctor and import have their "
      "own.",
      2);
  return text;
}

} // namespace hanat::cli
