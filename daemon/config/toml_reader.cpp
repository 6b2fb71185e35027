// Typed reading of TOML tables, and the errors that every table can have.
#include "daemon/config/toml_reader.hpp"

#include <cstdint>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace hanat::config {

std::string_view type_name(const toml::node& node) {
  switch (node.type()) {
  case toml::node_type::none: return "nothing";
  case toml::node_type::table: return "a table";
  case toml::node_type::array: return "a list";
  case toml::node_type::string: return "a string";
  case toml::node_type::integer: return "an integer";
  case toml::node_type::floating_point: return "a number with a fraction";
  case toml::node_type::boolean: return "a boolean";
  case toml::node_type::date: return "a date";
  case toml::node_type::time: return "a time of day";
  case toml::node_type::date_time: return "a date and time";
  }
  return "unknown";
}

TableReader::TableReader(const toml::table& table, std::size_t file, std::string prefix, Diagnostics& diagnostics)
    : table_{table}, file_{file}, prefix_{std::move(prefix)}, diagnostics_{diagnostics} {}

SourceLocation TableReader::location(const toml::node& node) const {
  const auto& begin = node.source().begin;
  return {.file = file_, .line = begin.line, .column = begin.column};
}

const toml::node* TableReader::find(std::string_view key) {
  if (std::ranges::find(known_, key) == known_.end()) known_.push_back(key);
  return table_.get(key);
}

void TableReader::misplaced(std::span<const std::string_view> keys, std::string_view remedy) {
  for (const std::string_view key : keys) {
    if (std::ranges::find(known_, key) != known_.end()) continue;
    handled_.push_back(key);
    if (const toml::node* node = table_.get(key)) report_error(*node, fmt::format("{} does not belong here: {}", name(key), remedy));
  }
}

void TableReader::wrong_type(const toml::node& node, std::string_view key, std::string_view wanted, std::string_view example) {
  report_error(node, fmt::format("{} must be {}, not {}: write {} = {}", name(key), wanted, type_name(node), key, example));
}

Field<std::string> TableReader::text(std::string_view key, std::string_view example) {
  const toml::node* node = find(key);
  auto result = field<std::string>(node);
  if (node == nullptr) return result;
  if (const auto* string = node->as_string())
    result.value = string->get();
  else
    wrong_type(*node, key, "a string", fmt::format("\"{}\"", example));
  return result;
}

Field<bool> TableReader::flag(std::string_view key) {
  const toml::node* node = find(key);
  auto result = field<bool>(node);
  if (node == nullptr) return result;
  if (const auto* boolean = node->as_boolean())
    result.value = boolean->get();
  else
    wrong_type(*node, key, "true or false", "true");
  return result;
}

Field<unsigned> TableReader::count(std::string_view key, unsigned least, unsigned most, std::string_view example) {
  const toml::node* node = find(key);
  auto result = field<unsigned>(node);
  if (node == nullptr) return result;
  const auto* integer = node->as_integer();
  if (integer == nullptr)
    wrong_type(*node, key, "an integer", example);
  else if (integer->get() < least || integer->get() > most)
    report_error(*node, fmt::format("{} = {} is out of range: write a whole number from {} to {}", name(key), integer->get(), least, most));
  else
    result.value = static_cast<unsigned>(integer->get());
  return result;
}

Field<Clock::duration> TableReader::duration(std::string_view key, const DurationLimits& limits) {
  const toml::node* node = table_.get(key);
  if (node != nullptr && node->is_integer()) { // a common mistake, with its own message
    find(key);
    const std::int64_t amount = node->as_integer()->get();
    if (amount > 0 && limits.least >= day)
      report_error(*node, fmt::format("{0} = {1} has no unit: write \"{1}d\"", name(key), amount));
    else if (amount > 0)
      report_error(*node, fmt::format("{0} = {1} has no unit: write \"{1}s\" or \"{1}ms\"", name(key), amount));
    else
      report_error(*node, fmt::format("{} = {} is not a time: write a time like \"{}\"", name(key), amount, limits.example));
    return field<Clock::duration>(node);
  }
  return parsed<Clock::duration>(key, limits.example, [&](std::string_view text) { return parse_duration(text, name(key), limits); });
}

const toml::table* TableReader::table(std::string_view key, std::string_view example) {
  const toml::node* node = find(key);
  if (node == nullptr) return nullptr;
  if (!node->is_table()) report_error(*node, fmt::format("{} must be a table, not {}: write {}", name(key), type_name(*node), example));
  return node->as_table();
}

void TableReader::finish() {
  for (auto&& [key, value] : table_) {
    const std::string_view text = key.str();
    if (std::ranges::find(known_, text) != known_.end() || std::ranges::find(handled_, text) != handled_.end()) continue;
    const auto& begin = key.source().begin;
    const std::string_view meant = nearest(text, known_);
    const std::string remedy =
        meant.empty() ? fmt::format("remove it, or use one of {}", fmt::join(known_, ", ")) : fmt::format("did you mean \"{}\"?", meant);
    diagnostics_.add({.file = file_, .line = begin.line, .column = begin.column},
                     fmt::format("unknown key {}: {}", shown(name(text)), remedy));
  }
}

} // namespace hanat::config
