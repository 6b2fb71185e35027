// Typed reading of TOML tables: a value of the right type or an error at its location, and an error for every unknown key.
// Not here: which keys exist (read_service, read_server, read_group, probe/), what the strings mean (parse_values, parse_address).
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <toml++/toml.h>

#include "daemon/config/diagnostics.hpp"
#include "daemon/config/parse_values.hpp"

namespace hanat::config {

/// A setting: absent; present but invalid (an error was reported, no value); present and valid.
template <class T> struct Field {
  bool present = false;
  SourceLocation location;
  std::optional<T> value;
};

/// One of the strings that a setting can have, and its value.
template <class T> struct Choice {
  std::string_view text;
  T value;
};

/// "a string", "an integer", ...
std::string_view type_name(const toml::node& node);

/// Reads one table.
class TableReader {
public:
  /// `prefix` comes before key names in messages: "probe.", or nothing.
  TableReader(const toml::table& table, std::size_t file, std::string prefix, Diagnostics& diagnostics);

  /// The value of the key; nullptr: absent. Marks the key as known.
  const toml::node* find(std::string_view key);
  /// Keys that belong elsewhere: an error that says where for each that is present.
  void misplaced(std::span<const std::string_view> keys, std::string_view remedy);

  Field<std::string> text(std::string_view key, std::string_view example);
  Field<bool> flag(std::string_view key);
  Field<unsigned> count(std::string_view key, unsigned least, unsigned most, std::string_view example);
  Field<Clock::duration> duration(std::string_view key, const DurationLimits& limits);
  /// A string for which `parse` returns the value or the error.
  template <class T, std::invocable<std::string_view> Parse> Field<T> parsed(std::string_view key, std::string_view example, Parse parse);
  template <class T> Field<T> choice(std::string_view key, std::span<const Choice<T>> choices);
  /// The table under this key; nullptr: absent, or not a table (an error that shows how to write it).
  const toml::table* table(std::string_view key, std::string_view example);

  /// Reports every unknown key.
  void finish();

  SourceLocation location(const toml::node& node) const;
  std::size_t file() const { return file_; }
  std::string name(std::string_view key) const { return prefix_ + std::string{key}; }
  void report_error(const toml::node& node, std::string message) { diagnostics_.add(location(node), std::move(message)); }
  void wrong_type(const toml::node& node, std::string_view key, std::string_view wanted, std::string_view example);

private:
  template <class T> Field<T> field(const toml::node* node) const;

  const toml::table& table_;
  std::size_t file_;
  std::string prefix_;
  Diagnostics& diagnostics_;
  std::vector<std::string_view> known_;   // suggested when a key is misspelt
  std::vector<std::string_view> handled_; // known, but never suggested
};

template <class T> Field<T> TableReader::field(const toml::node* node) const {
  Field<T> result;
  if (node == nullptr) return result;
  result.present = true;
  result.location = location(*node);
  return result;
}

template <class T, std::invocable<std::string_view> Parse>
Field<T> TableReader::parsed(std::string_view key, std::string_view example, Parse parse) {
  const Field<std::string> string = text(key, example);
  Field<T> result{.present = string.present, .location = string.location, .value = std::nullopt};
  if (!string.value) return result;
  Parsed<T> parsed = parse(std::string_view{*string.value});
  if (auto* failed = std::get_if<Error>(&parsed))
    diagnostics_.add(string.location, std::move(failed->text));
  else
    result.value = std::move(std::get<T>(parsed));
  return result;
}

template <class T> Field<T> TableReader::choice(std::string_view key, std::span<const Choice<T>> choices) {
  std::vector<std::string_view> texts;
  for (const Choice<T>& choice : choices) texts.push_back(choice.text);
  return parsed<T>(key, texts.front(), [&](std::string_view text) -> Parsed<T> {
    const auto found = std::ranges::find(choices, text, &Choice<T>::text);
    if (found != choices.end()) return found->value;
    return error("{} = {} is not known{}", name(key), shown(text), did_you_mean(text, texts));
  });
}

} // namespace hanat::config
