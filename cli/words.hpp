// The words of hanatctl as a table, and the arguments of a command line read by it; the table also prints the help.
// Pure. Not here: doing what a word says (run), printing answers (show).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace hanat::cli {

enum class Command : std::uint8_t { status, force_backup, force_primary, automatic, reload, history, metrics, check, version, help };

enum class Option : std::uint8_t { socket, json, help, all, for_time, reason, server, even_if_down };

struct Word {
  Command command;
  std::string_view name;
  std::string_view operand;    // "SERVICE", "FILE", "WORD"; empty: takes none
  std::vector<Option> options; // beside --socket, --json and --help, which every word takes
  std::string_view help;
};
std::span<const Word> words();

/// A command line, understood.
struct Invocation {
  Command command = Command::status;
  std::string operand; // empty: left out
  std::optional<std::string> socket;
  bool json = false, all = false, even_if_down = false;
  std::optional<std::chrono::milliseconds> for_time;
  std::string reason;
  std::string server; // of force-backup: "backup" where --server was not given
};

/// The command line says nothing that hanatctl can do; what() says what it should say.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// `arguments` are those after the program's name. Options stand before or after the word. Throws UsageError.
Invocation parse_arguments(std::span<const std::string_view> arguments);

/// The help of all words, or of one; throws UsageError for a word that is none.
std::string help_text(std::string_view word = {});

/// "500ms", "10s", "5m", "2h", "1d", and sums of them ("1h30m"). nullopt for anything else, nothing, and more than ten years.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

/// The one of `known` that `mistyped` is near to; empty: none is near.
std::string_view nearest(std::string_view mistyped, std::span<const std::string_view> known);

} // namespace hanat::cli
