// Typed reading of TOML tables: a value of the right type or an error at its place, and an error for every key that nobody asked for.
// Not here: which keys there are (config_service, config_probe), what the strings mean (config_text).
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <toml++/toml.h>

#include "daemon/config_findings.hpp"
#include "daemon/config_text.hpp"

namespace hanat::config {

/// A value that a file may say: not said; said and wrong (an error was found); said and right.
template <class T> struct Said {
  bool said = false;
  Place place;
  std::optional<T> value;
};

/// A word of the file and what it stands for.
template <class T> struct Word {
  std::string_view word;
  T value;
};

/// "a string", "an integer", ...
std::string_view type_name(const toml::node& node);

/// One table while it is read.
class TableReader {
public:
  /// `prefix` stands before key names in messages: "probe.", or nothing.
  TableReader(const toml::table& table, std::size_t file, std::string prefix, Findings& findings);

  /// The value of the key, nullptr when it is not there. The key is known from now on.
  const toml::node* find(std::string_view key);
  /// A key of hanat's that this version does not have yet: an error where it is said.
  void unavailable(std::string_view key, std::string_view remedy);
  /// A key that belongs somewhere else: an error that says where.
  void misplaced(std::span<const std::string_view> keys, std::string_view remedy);

  Said<std::string> text(std::string_view key, std::string_view example);
  Said<bool> flag(std::string_view key);
  Said<unsigned> count(std::string_view key, unsigned least, unsigned most, std::string_view example);
  Said<Clock::duration> duration(std::string_view key, const DurationLimits& limits);
  /// A string for which `parse` gives the value or the complaint.
  template <class T, std::invocable<std::string_view> Parse> Said<T> parsed(std::string_view key, std::string_view example, Parse parse);
  template <class T> Said<T> choice(std::string_view key, std::span<const Word<T>> words);
  /// The table under this key; nullptr when it is not there or no table (an error, which shows how to write it).
  const toml::table* table(std::string_view key, std::string_view example);

  /// An error for every key that nobody asked for.
  void finish();

  Place place(const toml::node& node) const;
  std::string name(std::string_view key) const { return prefix_ + std::string{key}; }
  void complain(const toml::node& node, std::string message) { findings_.add(place(node), std::move(message)); }
  void wrong_type(const toml::node& node, std::string_view key, std::string_view wanted, std::string_view example);

private:
  template <class T> Said<T> said(const toml::node* node) const;

  const toml::table& table_;
  std::size_t file_;
  std::string prefix_;
  Findings& findings_;
  std::vector<std::string_view> known_;   // offered when a key is misspelt
  std::vector<std::string_view> handled_; // known, but never offered
};

template <class T> Said<T> TableReader::said(const toml::node* node) const {
  Said<T> result;
  if (node == nullptr) return result;
  result.said = true;
  result.place = place(*node);
  return result;
}

template <class T, std::invocable<std::string_view> Parse>
Said<T> TableReader::parsed(std::string_view key, std::string_view example, Parse parse) {
  const Said<std::string> string = text(key, example);
  Said<T> result{.said = string.said, .place = string.place, .value = std::nullopt};
  if (!string.value) return result;
  Parsed<T> answer = parse(std::string_view{*string.value});
  if (auto* wrong = std::get_if<Complaint>(&answer))
    findings_.add(string.place, std::move(wrong->text));
  else
    result.value = std::move(std::get<T>(answer));
  return result;
}

template <class T> Said<T> TableReader::choice(std::string_view key, std::span<const Word<T>> words) {
  std::vector<std::string_view> texts;
  for (const Word<T>& word : words) texts.push_back(word.word);
  return parsed<T>(key, texts.front(), [&](std::string_view text) -> Parsed<T> {
    const auto found = std::ranges::find(words, text, &Word<T>::word);
    if (found != words.end()) return found->value;
    return complaint("{} = {} is not known{}", name(key), shown(text), did_you_mean(text, texts));
  });
}

} // namespace hanat::config
