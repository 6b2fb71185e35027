// An optional value that few objects of many have: it takes a pointer while it is empty, and memory of its own while it is not.
#pragma once

#include <memory>
#include <optional>
#include <utility>

namespace hanat {

template <class T> class Rare {
public:
  Rare() = default;
  Rare(std::nullopt_t) {}                                          // NOLINT(google-explicit-constructor): as std::optional
  Rare(T value) : value_(std::make_unique<T>(std::move(value))) {} // NOLINT(google-explicit-constructor): likewise
  Rare(std::optional<T> value) {                                   // NOLINT(google-explicit-constructor)
    if (value) emplace(*std::move(value));
  }
  Rare(const Rare& other) : value_(other ? std::make_unique<T>(*other) : nullptr) {}
  Rare(Rare&&) noexcept = default;
  Rare& operator=(const Rare& other) {
    if (this != &other) value_ = other ? std::make_unique<T>(*other) : nullptr;
    return *this;
  }
  Rare& operator=(Rare&&) noexcept = default;
  ~Rare() = default;

  explicit operator bool() const { return value_ != nullptr; }
  bool has_value() const { return value_ != nullptr; }
  T& operator*() { return *value_; }
  const T& operator*() const { return *value_; }
  T* operator->() { return value_.get(); }
  const T* operator->() const { return value_.get(); }
  /// Throws std::bad_optional_access where it is empty.
  const T& value() const { return value_ ? *value_ : throw std::bad_optional_access{}; }
  T value_or(T other) const { return value_ ? *value_ : std::move(other); }
  template <class... Arguments> T& emplace(Arguments&&... arguments) {
    value_ = std::make_unique<T>(T{std::forward<Arguments>(arguments)...});
    return *value_;
  }
  void reset() { value_.reset(); }
  operator std::optional<T>() const { // NOLINT(google-explicit-constructor): a copy
    return value_ ? std::optional<T>{*value_} : std::nullopt;
  }
  bool operator==(std::nullopt_t) const { return !value_; }
  bool operator==(const Rare& other) const { return value_ && other.value_ ? *value_ == *other.value_ : !value_ == !other.value_; }

private:
  std::unique_ptr<T> value_;
};

} // namespace hanat
