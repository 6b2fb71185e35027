// The table, then the reading of arguments by it.
#include "cli/words.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "cli/text.hpp"

namespace hanat::cli {
namespace {

struct OptionRow {
  Option option;
  std::string_view name;
  std::string_view value; // "PATH"; empty: takes none
  std::string_view help;
};
constexpr std::array option_rows = {
    OptionRow{Option::socket, "--socket", "PATH", "the daemon's socket (else $HANAT_SOCKET, else /run/hanat/control.sock)"},
    OptionRow{Option::json, "--json", "", "one JSON value on stdout and nothing else there"},
    OptionRow{Option::help, "--help", "", "this text"},
    OptionRow{Option::all, "--all", "", "every service"},
    OptionRow{Option::for_time, "--for", "TIME", "end the override after this time: 90s, 30m, 2h, 1h30m"},
    OptionRow{Option::reason, "--reason", "TEXT", "why, for the journal and for whoever looks at the status"},
    OptionRow{Option::server, "--server", "NAME", "this backup, e.g. backup2, instead of the first one that is up"},
    OptionRow{Option::even_if_down, "--even-if-down", "", "do it even when that server is down: clients are then not served"},
};

const OptionRow& row_of(Option option) {
  return *std::find_if(option_rows.begin(), option_rows.end(), [&](const OptionRow& row) { return row.option == option; });
}

std::string listed(std::span<const std::string_view> names) { return fmt::format("{}", fmt::join(names, ", ")); }

/// "; did you mean X?" or nothing.
std::string did_you_mean(std::string_view mistyped, std::span<const std::string_view> known) {
  const auto near = nearest(mistyped, known);
  return near.empty() ? "" : fmt::format("; did you mean {}?", near);
}

std::vector<std::string_view> word_names() {
  std::vector<std::string_view> names(words().size());
  std::transform(words().begin(), words().end(), names.begin(), [](const Word& word) { return word.name; });
  return names;
}

const Word& find_word(std::string_view name) {
  for (const auto& word : words())
    if (word.name == name) return word;
  const auto names = word_names();
  auto hint = did_you_mean(name, names);
  if (hint.empty()) hint = fmt::format("; to see a service of that name: hanatctl status {}", printable(name));
  throw UsageError(fmt::format("\"{}\" is no word of hanatctl{}\nwords: {}", printable(name), hint, listed(names)));
}

/// Letters added, left out, changed, or two neighbours swapped.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before, above, row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before = std::exchange(above, row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row.back();
}

/// Reads one command line; the members are what has been read so far.
class Reader {
public:
  explicit Reader(std::span<const std::string_view> arguments) : arguments_(arguments) {}

  Invocation read() {
    while (next_ < arguments_.size()) {
      const auto argument = arguments_[next_++];
      if (argument == "--" && !only_words_)
        only_words_ = true;
      else if (!only_words_ && argument.size() > 1 && argument.front() == '-')
        take_option(argument);
      else
        plain_.push_back(argument);
    }
    return finish();
  }

private:
  void take_option(std::string_view argument);
  void set(const OptionRow& row, std::string_view value);
  void set_for(std::string_view value);
  void set_server(std::string_view value);
  Invocation finish();
  void check_fit(const Word& word) const;

  std::span<const std::string_view> arguments_;
  std::size_t next_ = 0;
  bool only_words_ = false;
  std::vector<std::string_view> plain_;
  std::vector<Option> given_;
  Invocation made_;
};

void Reader::take_option(std::string_view argument) {
  const auto equals = argument.find('=');
  auto name = argument.substr(0, equals);
  if (name == "-h") name = "--help";
  if (name == "--version" || name == "-V") {
    plain_.emplace_back("version");
    return;
  }
  const auto* const row = std::find_if(option_rows.begin(), option_rows.end(), [&](const OptionRow& known) { return known.name == name; });
  if (row == option_rows.end()) {
    std::vector<std::string_view> names(option_rows.size());
    std::transform(option_rows.begin(), option_rows.end(), names.begin(), [](const OptionRow& known) { return known.name; });
    throw UsageError(fmt::format("{} is no option of hanatctl{}\noptions: {}", printable(name), did_you_mean(name, names), listed(names)));
  }
  if (std::find(given_.begin(), given_.end(), row->option) != given_.end()) throw UsageError(fmt::format("{} is there twice", name));
  given_.push_back(row->option);
  if (row->value.empty()) {
    if (equals != std::string_view::npos) throw UsageError(fmt::format("{} takes no value", name));
    set(*row, {});
  } else if (equals != std::string_view::npos) {
    set(*row, argument.substr(equals + 1));
  } else {
    if (next_ == arguments_.size() || arguments_[next_].starts_with("--"))
      throw UsageError(fmt::format("{} needs a value: {} {}", name, name, row->value));
    set(*row, arguments_[next_++]);
  }
}

void Reader::set(const OptionRow& row, std::string_view value) {
  if (!row.value.empty() && value.empty()) throw UsageError(fmt::format("{} needs a value that is not empty", row.name));
  switch (row.option) {
  case Option::socket: made_.socket = std::string{value}; break;
  case Option::json: made_.json = true; break;
  case Option::help: break; // finish() looks for it
  case Option::all: made_.all = true; break;
  case Option::for_time: set_for(value); break;
  case Option::reason: made_.reason = std::string{value}; break;
  case Option::server: set_server(value); break;
  case Option::even_if_down: made_.even_if_down = true; break;
  }
}

void Reader::set_for(std::string_view value) {
  made_.for_time = parse_duration(value);
  if (!made_.for_time)
    throw UsageError(fmt::format("--for {}: not a time; write for example 90s, 30m, 2h or 1h30m (ten years at most)", printable(value)));
}

void Reader::set_server(std::string_view value) {
  if (value == "primary") throw UsageError("--server primary: that is what hanatctl force-primary does");
  const auto number = value.starts_with("backup") ? value.substr(6) : std::string_view{"?"};
  const bool good = number.empty() || (number.size() < 6 && number.front() != '0' && number != "1" &&
                                       std::all_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; }));
  if (!good) throw UsageError(fmt::format("--server {}: the backups are called backup, backup2, backup3, ...", printable(value)));
  made_.server = std::string{value};
}

void Reader::check_fit(const Word& word) const {
  for (const auto option : given_) {
    const bool common = option == Option::socket || option == Option::json || option == Option::help;
    if (common || std::find(word.options.begin(), word.options.end(), option) != word.options.end()) continue;
    std::vector<std::string_view> fitting;
    for (const auto& other : words())
      if (std::find(other.options.begin(), other.options.end(), option) != other.options.end()) fitting.push_back(other.name);
    throw UsageError(fmt::format("{} does not go with {}; it goes with: {}", row_of(option).name, word.name, listed(fitting)));
  }
}

Invocation Reader::finish() {
  const auto& word = find_word(plain_.empty() ? "status" : plain_.front());
  made_.command = word.command;
  if (std::find(given_.begin(), given_.end(), Option::help) != given_.end()) {
    made_.command = Command::help;
    made_.operand = plain_.empty() ? "" : std::string{word.name};
    return made_;
  }
  if (plain_.size() > 2 || (plain_.size() == 2 && word.operand.empty()))
    throw UsageError(fmt::format("\"{}\" is one too many: {}", printable(plain_.back()),
                                 word.operand.empty() ? fmt::format("{} stands alone", word.name)
                                                      : fmt::format("hanatctl {} {}", word.name, word.operand)));
  if (plain_.size() == 2) made_.operand = std::string{plain_[1]};
  check_fit(word);
  if (made_.all && !made_.operand.empty()) throw UsageError(fmt::format("either {} or --all", printable(made_.operand)));
  if (made_.command == Command::force_backup && made_.server.empty()) made_.server = "backup";
  if (made_.command == Command::force_primary) made_.server = "primary";
  return made_;
}

std::string option_line(Option option) {
  const auto& row = row_of(option);
  const auto name = row.value.empty() ? std::string{row.name} : fmt::format("{} {}", row.name, row.value);
  return fmt::format("  {:<18}{}\n", name, row.help);
}

std::string usage_of(const Word& word) {
  std::string usage{word.name};
  const bool all = std::find(word.options.begin(), word.options.end(), Option::all) != word.options.end();
  if (!word.operand.empty()) usage += fmt::format(" [{}{}]", word.operand, all ? "|--all" : "");
  return usage;
}

} // namespace

std::span<const Word> words() {
  using enum Option;
  static const std::vector<Word> table = {
      {Command::status, "status", "SERVICE", {}, "what has the traffic, and how the servers are (no word: this one)"},
      {Command::force_backup,
       "force-backup",
       "SERVICE",
       {all, for_time, reason, server, even_if_down},
       "pin a backup: no failover until auto"},
      {Command::force_primary,
       "force-primary",
       "SERVICE",
       {all, for_time, reason, even_if_down},
       "pin the primary: no failover until auto"},
      {Command::automatic, "auto", "SERVICE", {all}, "end an override"},
      {Command::reload, "reload", "", {}, "read the configuration again; a bad one changes nothing"},
      {Command::history, "history", "SERVICE", {}, "flips, verdicts and overrides, the newest last (no SERVICE: of all)"},
      {Command::metrics, "metrics", "", {}, "every figure, as Prometheus reads it"},
      {Command::check, "check", "FILE", {}, "look for errors in a configuration (no FILE: /etc/hanat/hanat.toml)"},
      {Command::version, "version", "", {}, "of hanatctl and of the daemon"},
      {Command::help, "help", "WORD", {}, "this text, or that of one word"},
  };
  return table;
}

Invocation parse_arguments(std::span<const std::string_view> arguments) { return Reader{arguments}.read(); }

std::string help_text(std::string_view name) {
  std::string text;
  if (!name.empty()) {
    const auto& word = find_word(name);
    text = fmt::format("hanatctl {}{}\n  {}\n\n", usage_of(word), word.options.empty() ? "" : " [OPTIONS]", word.help);
    for (const auto option : word.options) text += option_line(option);
  } else {
    text = "hanatctl [OPTIONS] [WORD] ...        options stand before or after the word\n\n";
    for (const auto& word : words()) text += fmt::format("  {:<32}{}\n", usage_of(word), word.help);
    text += "\nSERVICE may be left out where there is only one. hanatctl help WORD shows a word's options.\n\n";
  }
  for (const auto option : {Option::socket, Option::json, Option::help}) text += option_line(option);
  return text + "\nExit status: 0 done; 1 refused or failed; 2 usage or bad configuration; 3 no daemon.\n";
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  constexpr std::int64_t ten_years_ms = std::int64_t{10} * 365 * 86'400'000;
  struct Unit {
    std::string_view name;
    std::int64_t milliseconds;
  };
  constexpr std::array units = {Unit{"ms", 1}, Unit{"s", 1'000}, Unit{"m", 60'000}, Unit{"h", 3'600'000}, Unit{"d", 86'400'000}};
  std::int64_t total = 0;
  while (!text.empty()) {
    std::int64_t number = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || number < 0 || text.front() == '-' || number > ten_years_ms) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    const auto letters =
        static_cast<std::size_t>(std::find_if(text.begin(), text.end(), [](char c) { return c < 'a' || c > 'z'; }) - text.begin());
    const auto* const unit =
        std::find_if(units.begin(), units.end(), [&](const Unit& known) { return known.name == text.substr(0, letters); });
    if (unit == units.end() || number > ten_years_ms / unit->milliseconds) return std::nullopt;
    total += number * unit->milliseconds;
    if (total > ten_years_ms) return std::nullopt;
    text.remove_prefix(letters);
  }
  return total > 0 ? std::optional{std::chrono::milliseconds{total}} : std::nullopt;
}

std::string_view nearest(std::string_view mistyped, std::span<const std::string_view> known) {
  std::string_view best;
  std::size_t least = 3; // two slips at most, and never half of a short word
  for (const auto name : known) {
    const auto slips = distance(mistyped.substr(0, 64), name);
    if (slips < least && slips * 2 < name.size() + 1) {
      least = slips;
      best = name;
    }
  }
  if (!best.empty() || mistyped.size() < 3) return best;
  for (const auto name : known)
    if (name.starts_with(mistyped)) return name;
  return {};
}

} // namespace hanat::cli
