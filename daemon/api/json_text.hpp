// JSON of structs that are described once: a template describe(to, value) calls to("key", value.member) for each key, and JsonText writes
// text from front to back, while tree_of() makes a tree. The text of a status of ten thousand services needs no tree of
// them. Not here: the structs (status), reading JSON.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <nlohmann/json.hpp>

namespace hanat {

class JsonText;
template <class T>
concept Described = requires(JsonText& to, const T& value) { describe(to, value); };
template <class T>
concept MapByText = requires { typename T::mapped_type; };
template <class T>
concept ListOf = requires(const T& list) {
  list.begin();
  typename T::value_type;
};
template <class T> constexpr bool is_optional = false;
template <class T> constexpr bool is_optional<std::optional<T>> = true;

/// One object.
class JsonText {
public:
  /// Appends to `text`. `end()` closes the object.
  explicit JsonText(std::string& text) : text_(text) {}
  /// `key` is written as it is.
  template <class T> void operator()(std::string_view key, const T& value) {
    text_ += std::exchange(first_, false) ? "{\"" : ",\"";
    text_ += key;
    text_ += "\":";
    put(value);
  }
  void end() { text_ += first_ ? "{}" : "}"; }

private:
  template <class T> void put(const T& value);
  template <class T> void put_all(const T& list);
  void put_text(std::string_view value);
  void put_number(double value);
  void put_number(std::int64_t value);
  void put_number(std::uint64_t value);
  void put_tree(const nlohmann::json& value);

  std::string& text_;
  bool first_ = true;
};

template <class T> void JsonText::put(const T& value) {
  if constexpr (Described<T>) {
    JsonText object{text_};
    describe(object, value);
    object.end();
  } else if constexpr (is_optional<T>) {
    if (value)
      put(*value);
    else
      text_ += "null";
  } else if constexpr (std::same_as<T, bool>) {
    text_ += value ? "true" : "false";
  } else if constexpr (std::floating_point<T>) {
    put_number(double{value});
  } else if constexpr (std::signed_integral<T>) {
    put_number(std::int64_t{value});
  } else if constexpr (std::unsigned_integral<T>) {
    put_number(std::uint64_t{value});
  } else if constexpr (std::convertible_to<const T&, std::string_view>) {
    put_text(value);
  } else if constexpr (ListOf<T> && !MapByText<T>) {
    put_all(value);
  } else {
    put_tree(value);
  }
}

template <class T> void JsonText::put_all(const T& list) {
  char before = '[';
  for (const auto& element : list) {
    text_ += std::exchange(before, ',');
    put(element);
  }
  text_ += list.empty() ? "[]" : "]";
}

/// The same as a tree.
template <class T> nlohmann::json tree_of(const T& value) {
  if constexpr (Described<T>) {
    nlohmann::json object = nlohmann::json::object();
    describe([&object](const char* key, const auto& member) { object[key] = tree_of(member); }, value);
    return object;
  } else if constexpr (is_optional<T>) {
    return value ? tree_of(*value) : nlohmann::json(nullptr);
  } else if constexpr (ListOf<T> && !MapByText<T> && !std::convertible_to<const T&, std::string_view>) {
    nlohmann::json array = nlohmann::json::array();
    for (const auto& element : value) array.push_back(tree_of(element));
    return array;
  } else {
    return value;
  }
}

} // namespace hanat
