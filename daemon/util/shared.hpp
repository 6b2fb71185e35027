// A value that its copies share until one of them is changed: a copy costs a pointer, and copies of the same one are equal at a glance.
// It is never empty, and edit() always copies, as another thread may have let go of its copy only just now. Not here: a value that may be
// empty and is edited in place (probes/copy_on_write).
#pragma once

#include <memory>
#include <utility>

namespace hanat {

template <class T> class Shared {
public:
  Shared() : value_(initial()) {}
  Shared(T value) : value_(std::make_shared<T>(std::move(value))) {} // NOLINT(google-explicit-constructor): it stands for its value

  const T& operator*() const { return *value_; }
  const T* operator->() const { return value_.get(); }
  operator const T&() const { return *value_; } // NOLINT(google-explicit-constructor): likewise

  /// Of this copy alone, to be changed: the others keep what they have.
  T& edit() {
    value_ = std::make_shared<T>(*value_);
    return *value_;
  }
  bool is_same(const Shared& other) const { return value_ == other.value_; }
  friend bool operator==(const Shared& one, const Shared& other) { return one.is_same(other) || *one == *other; }

private:
  static const std::shared_ptr<T>& initial() {
    static const auto value = std::make_shared<T>();
    return value;
  }
  std::shared_ptr<T> value_;
};

} // namespace hanat
