// The arguments of a command line read by a table of options, which also gives their help. hanatd and hanatctl have one table each.
// Pure. Not here: what an option means (cli/arguments, daemon/arguments).
#pragma once

#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace hanat {

struct OptionRow {
  std::string_view name;  // "--socket"
  std::string_view value; // "PATH"; empty: takes none
  std::string_view help;
  std::string_view letter = {}; // "-h"
};

struct GivenOption {
  std::size_t row; // its place in the table
  std::string_view value;
};
struct CommandLine {
  std::vector<GivenOption> options; // in their order, each once
  std::vector<std::string_view> operands;

  bool has(std::size_t row) const;
};

/// A command line that cannot be understood; what() says what was probably meant.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// `arguments` are those after the program's name. Options stand before, between or after the operands; "--" ends them. Throws UsageError.
CommandLine parse_command_line(std::span<const OptionRow> rows, std::span<const std::string_view> arguments);

/// "  --socket PATH     the daemon's socket\n"
std::string option_help(const OptionRow& row);

/// For suggestions.
std::vector<std::string_view> option_names(std::span<const OptionRow> rows);

} // namespace hanat
