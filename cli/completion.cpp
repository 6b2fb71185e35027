// Reads the words as hanatctl would, without an error, and looks at what may come next.
#include "cli/completion.hpp"

#include <algorithm>
#include <array>
#include <initializer_list>

#include "cli/arguments.hpp"

namespace hanat::cli {
namespace {

constexpr std::string_view bash_shell = "bash";
constexpr std::size_t described_in = 72; // columns

/// The words before the last one.
struct Before {
  std::optional<Option> waits; // the last of them is an option whose value comes now
  std::vector<Option> given;
  std::vector<std::string> operands; // the command first
  std::optional<std::string> socket;
  bool only_operands = false;
};

std::optional<Option> option_named(std::string_view name) {
  for (std::size_t row = 0; row < option_count; ++row)
    if (const auto option = static_cast<Option>(row); row_of(option).name == name || (!name.empty() && row_of(option).letter == name))
      return option;
  return std::nullopt;
}

Before read_words(std::span<const std::string> words) {
  Before before;
  for (const std::string& word : words) {
    if (before.waits) {
      if (*before.waits == Option::socket) before.socket = word;
      before.waits.reset();
    } else if (before.only_operands || word.size() < 2 || word.front() != '-') {
      before.operands.push_back(word);
    } else if (word == "--") {
      before.only_operands = true;
    } else if (const auto option = option_named(std::string_view{word}.substr(0, word.find('=')))) {
      before.given.push_back(*option);
      if (row_of(*option).value.empty()) continue;
      if (const auto equals = word.find('='); equals == std::string::npos)
        before.waits = option;
      else if (*option == Option::socket)
        before.socket = word.substr(equals + 1);
    }
  }
  return before;
}

/// "--for", "=", "30s" of bash are one word, and so are "14", ":", "02".
std::vector<std::string> rejoined(std::span<const std::string> words) {
  std::vector<std::string> result;
  bool goes_on = false;
  for (const std::string& word : words) {
    const bool separates = !word.empty() && word.find_first_not_of("=:") == std::string::npos;
    const bool value = word != "=" || (!result.empty() && result.back().starts_with("--"));
    if (!result.empty() && (goes_on || (separates && value)))
      result.back() += word;
    else
      result.push_back(word);
    goes_on = separates && value;
  }
  return result;
}

/// "send the traffic to a backup and keep it there until auto"
std::string described(std::string_view help) {
  for (const std::string_view end : {"; ", ": ", " ("}) help = help.substr(0, help.find(end));
  if (help.size() > described_in) help = help.substr(0, help.rfind(' ', described_in));
  return std::string{help};
}

void offer(Completion& completion, std::initializer_list<std::string_view> words) {
  for (const std::string_view word : words) completion.candidates.push_back({.word = std::string{word}});
}

void add_commands(Completion& completion) {
  for (const Subcommand& subcommand : subcommands())
    if (subcommand.command != Command::complete)
      completion.candidates.push_back({.word = std::string{subcommand.name}, .description = described(subcommand.help)});
}

/// Those that are not given yet.
void add_options(Completion& completion, const Subcommand& subcommand, const Before& before) {
  for (std::size_t row = 0; row < option_count; ++row) {
    const auto option = static_cast<Option>(row);
    if (takes(subcommand, option) && std::ranges::find(before.given, option) == before.given.end())
      completion.candidates.push_back({.word = std::string{row_of(option).name}, .description = described(row_of(option).help)});
  }
}

/// The service that the command line names, or nothing.
std::string service_in(const Before& before) { return before.operands.size() > 1 ? before.operands[1] : std::string{}; }

void add_value(Completion& completion, Option option, const Before& before) {
  switch (option) {
  case Option::socket: completion.files = true; break;
  case Option::health: offer(completion, {"up", "down", "drain", "none"}); break;
  case Option::color: offer(completion, {"auto", "always", "never"}); break;
  case Option::for_time: offer(completion, {"30s", "5m", "15m", "30m", "1h", "4h"}); break;
  case Option::drain: offer(completion, {"30s", "60s", "5m", "10m", "1h"}); break;
  case Option::confirm_within: offer(completion, {"30s", "60s", "5m"}); break;
  case Option::since:
  case Option::until:
  case Option::at: offer(completion, {"10m", "1h", "24h"}); break;
  case Option::server:
    completion.servers = Completion::Servers::backups;
    completion.service = service_in(before);
    break;
  case Option::reason:
  case Option::number:
  case Option::list:
  case Option::address: // free text
  case Option::json:
  case Option::help:
  case Option::version:
  case Option::all:
  case Option::even_if_down:
  case Option::watch:
  case Option::check:
  case Option::follow:
  case Option::ask:
  case Option::strict:
  case Option::reset:
  case Option::wait:
  case Option::until_down:
  case Option::yes: break; // no value
  }
}

void add_operand(Completion& completion, const Subcommand& subcommand, const Before& before) {
  const std::size_t place = before.operands.size(); // behind the command, from 1 on
  const bool all = std::ranges::find(before.given, Option::all) != before.given.end();
  if (subcommand.command == Command::import_file) {
    if (place == 1) return offer(completion, {"keepalived", "haproxy", "iptables"});
    completion.files = place == 2;
  } else if (subcommand.operand.ends_with("SERVER")) {
    if (place > 2) return;
    completion.services = place == 1;
    completion.servers = Completion::Servers::all; // at the first place those of the only service
    completion.service = service_in(before);
  } else if (place == 1) {
    completion.services = subcommand.operand == "SERVICE" && !all;
    completion.files = subcommand.operand == "FILE";
    if (subcommand.operand == "COMMAND") add_commands(completion);
  }
}

} // namespace

Completion complete(std::string_view shell, std::span<const std::string> words) {
  const std::vector<std::string> all = shell == bash_shell ? rejoined(words) : std::vector<std::string>(words.begin(), words.end());
  const std::string current = all.empty() ? std::string{} : all.back();
  const Before before = read_words(std::span{all}.first(all.empty() ? 0 : all.size() - 1));
  Completion completion{.prefix = current, .before = {}, .socket = before.socket};
  if (before.waits) {
    add_value(completion, *before.waits, before);
    return completion;
  }
  const std::string_view name = before.operands.empty() ? "status" : std::string_view{before.operands.front()};
  const auto subcommand = std::ranges::find(subcommands(), name, &Subcommand::name);
  if (subcommand == subcommands().end()) return completion;
  if (!before.only_operands && current.starts_with('-')) {
    const auto equals = current.find('=');
    const auto option = equals == std::string::npos ? std::nullopt : option_named(std::string_view{current}.substr(0, equals));
    if (!option) {
      add_options(completion, *subcommand, before);
      return completion;
    }
    completion.prefix = current.substr(equals + 1);
    if (shell != bash_shell) completion.before = current.substr(0, equals + 1);
    add_value(completion, *option, before);
  } else if (before.operands.empty()) {
    add_commands(completion);
  } else {
    add_operand(completion, *subcommand, before);
  }
  return completion;
}

std::string completion_lines(std::string_view shell, const Completion& completion) {
  if (completion.files) return ":file\n"; // no candidate begins with a colon
  std::string lines;
  for (const Candidate& candidate : completion.candidates) {
    if (!candidate.word.starts_with(completion.prefix)) continue;
    lines += completion.before;
    lines += candidate.word;
    if (shell != bash_shell && !candidate.description.empty()) lines.append("\t").append(candidate.description);
    lines += '\n';
  }
  return lines;
}

} // namespace hanat::cli
