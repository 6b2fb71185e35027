// Copy-on-write: copies share one value until one of them is edited. Compared by value. Not here: locks; one thread only.
#pragma once

#include <memory>
#include <utility>

namespace hanat::probes {

template <class T> class CopyOnWrite {
public:
  CopyOnWrite() = default; // empty
  CopyOnWrite(T value) : value_(std::make_shared<T>(std::move(value))) {}

  const T* get() const { return value_.get(); }
  /// The value, no longer shared; default-constructed if this was empty.
  T& edit() {
    if (!value_)
      value_ = std::make_shared<T>();
    else if (value_.use_count() != 1)
      value_ = std::make_shared<T>(*value_);
    return *value_;
  }
  bool operator==(const CopyOnWrite& other) const { return value_ == other.value_ || (value_ && other.value_ && *value_ == *other.value_); }

private:
  std::shared_ptr<T> value_;
};

} // namespace hanat::probes
