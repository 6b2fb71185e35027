// A value of a JSON text that simdjson has parsed, asked as one of nlohmann's is: what reads trees reads these, too. Whatever is not as it
// is asked for is a simdjson_error. Not here: what is read (read_status).
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>
#include <simdjson.h>

namespace hanat {

/// Valid until its parser parses again.
class JsonView {
public:
  explicit JsonView(simdjson::dom::element value) : value_(value) {}

  JsonView at(std::string_view key) const { return JsonView{value_[key]}; }
  bool contains(std::string_view key) const { return value_[key].error() == simdjson::SUCCESS; }
  bool is_null() const { return value_.is_null(); }

  template <class T> T get() const {
    if constexpr (std::same_as<T, std::string>) {
      return std::string{value_.get_string().take_value()};
    } else if constexpr (std::same_as<T, bool>) {
      return value_.get_bool();
    } else if constexpr (std::floating_point<T>) {
      return value_.get_double();
    } else if constexpr (std::unsigned_integral<T>) {
      return narrowed<T>(std::uint64_t{value_.get_uint64()});
    } else if constexpr (std::signed_integral<T>) {
      return narrowed<T>(std::int64_t{value_.get_int64()});
    } else if constexpr (requires { typename T::mapped_type; }) {
      T map;
      for (const auto& [key, value] : simdjson::dom::object{value_.get_object()})
        map.emplace(key, JsonView{value}.get<typename T::mapped_type>());
      return map;
    } else if constexpr (requires(T& list) { list.emplace_back(); }) {
      T list;
      for (const JsonView one : *this) list.push_back(one.get<typename T::value_type>());
      return list;
    } else { // few services have any of these
      return nlohmann::json::parse(simdjson::minify(value_)).template get<T>();
    }
  }
  template <class T> operator T() const { return get<T>(); } // NOLINT(google-explicit-constructor): as nlohmann's do

  /// Of an array.
  class Iterator {
  public:
    explicit Iterator(simdjson::dom::array::iterator at) : at_(at) {}
    JsonView operator*() const { return JsonView{*at_}; }
    Iterator& operator++() {
      ++at_;
      return *this;
    }
    bool operator!=(const Iterator& other) const { return at_ != other.at_; }

  private:
    simdjson::dom::array::iterator at_;
  };
  Iterator begin() const { return Iterator{simdjson::dom::array{value_.get_array()}.begin()}; }
  Iterator end() const { return Iterator{simdjson::dom::array{value_.get_array()}.end()}; }

private:
  template <class T, class Wide> static T narrowed(Wide value) {
    if (value > std::numeric_limits<T>::max() || value < std::numeric_limits<T>::min())
      throw simdjson::simdjson_error{simdjson::NUMBER_OUT_OF_RANGE};
    return static_cast<T>(value);
  }

  simdjson::dom::element value_;
};

} // namespace hanat
