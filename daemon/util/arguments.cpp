// "--name VALUE", "--name=VALUE", "--name", "-n", and everything else is an operand.
#include "daemon/util/arguments.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "daemon/util/did_you_mean.hpp"
#include "daemon/util/escape.hpp"

namespace hanat {
namespace {

/// Reads one command line; the members are what has been read so far.
class ArgumentParser {
public:
  ArgumentParser(std::span<const OptionRow> rows, std::span<const std::string_view> arguments) : rows_(rows), arguments_(arguments) {}

  CommandLine parse() {
    bool only_operands = false;
    while (next_ < arguments_.size()) {
      const auto argument = arguments_[next_++];
      if (argument == "--" && !only_operands)
        only_operands = true;
      else if (!only_operands && argument.size() > 1 && argument.front() == '-')
        take_option(argument);
      else
        line_.operands.push_back(argument);
    }
    return std::move(line_);
  }

private:
  std::size_t find(std::string_view name) const;
  std::string_view value_of(const OptionRow& row, std::string_view argument);
  void take_option(std::string_view argument);

  std::span<const OptionRow> rows_;
  std::span<const std::string_view> arguments_;
  std::size_t next_ = 0;
  CommandLine line_;
};

std::size_t ArgumentParser::find(std::string_view name) const {
  for (std::size_t row = 0; row < rows_.size(); ++row)
    if (name == rows_[row].name || name == rows_[row].letter) return row;
  throw UsageError(fmt::format("unknown option {}{}", escaped(name), did_you_mean(name, option_names(rows_))));
}

std::string_view ArgumentParser::value_of(const OptionRow& row, std::string_view argument) {
  const auto equals = argument.find('=');
  if (row.value.empty()) {
    if (equals != std::string_view::npos) throw UsageError(fmt::format("{} takes no value", row.name));
    return {};
  }
  std::string_view value;
  if (equals != std::string_view::npos)
    value = argument.substr(equals + 1);
  else if (next_ == arguments_.size() || arguments_[next_].starts_with("--"))
    throw UsageError(fmt::format("{} needs a value: {} {}", row.name, row.name, row.value));
  else
    value = arguments_[next_++];
  if (value.empty()) throw UsageError(fmt::format("{} needs a value that is not empty: {} {}", row.name, row.name, row.value));
  return value;
}

void ArgumentParser::take_option(std::string_view argument) {
  const std::size_t row = find(argument.substr(0, argument.find('=')));
  if (line_.has(row)) throw UsageError(fmt::format("{} is given twice", rows_[row].name));
  line_.options.push_back({.row = row, .value = value_of(rows_[row], argument)});
}

} // namespace

bool CommandLine::has(std::size_t row) const { return std::ranges::find(options, row, &GivenOption::row) != options.end(); }

CommandLine parse_command_line(std::span<const OptionRow> rows, std::span<const std::string_view> arguments) {
  return ArgumentParser{rows, arguments}.parse();
}

std::string option_help(const OptionRow& row) {
  std::string name = row.letter.empty() ? std::string{row.name} : fmt::format("{}, {}", row.letter, row.name);
  if (!row.value.empty()) name += fmt::format(" {}", row.value);
  return fmt::format("  {:<18}{}\n", name, row.help);
}

std::vector<std::string_view> option_names(std::span<const OptionRow> rows) {
  std::vector<std::string_view> names(rows.size());
  std::ranges::transform(rows, names.begin(), &OptionRow::name);
  return names;
}

} // namespace hanat
