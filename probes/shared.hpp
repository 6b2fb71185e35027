// A value that its copies share: cheap to copy, compared by what it holds, copied only when one holder changes it.
#pragma once

#include <memory>
#include <utility>

namespace hanat::probes {

template <class T> class Shared {
public:
  Shared() = default; // holds nothing
  Shared(T value) : value_(std::make_shared<T>(std::move(value))) {}

  const T* get() const { return value_.get(); }
  /// The value to change, of this holder alone; a default one where nothing was held.
  T& edit() {
    if (!value_)
      value_ = std::make_shared<T>();
    else if (value_.use_count() != 1)
      value_ = std::make_shared<T>(*value_);
    return *value_;
  }
  bool operator==(const Shared& other) const { return value_ == other.value_ || (value_ && other.value_ && *value_ == *other.value_); }

private:
  std::shared_ptr<T> value_;
};

} // namespace hanat::probes
