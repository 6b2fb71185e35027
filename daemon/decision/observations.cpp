// A short vector.
#include "daemon/decision/observations.hpp"

#include <utility>

namespace hanat {
namespace {

bool same_result(const Observation& one, const Observation& other) {
  return one.kind == other.kind && one.kind != Observation::Kind::event && one.probe == other.probe && one.reason == other.reason &&
         one.detail == other.detail;
}

} // namespace

void Observations::add(Observation observation) {
  const std::size_t size = list_.size();
  if (size >= 2 && same_result(list_[size - 1], observation) && same_result(list_[size - 2], observation)) {
    list_.back() = std::move(observation);
    return;
  }
  if (size >= at_most) list_.erase(list_.begin());
  list_.push_back(std::move(observation));
}

void Observations::drop_passes() {
  std::erase_if(list_, [](const Observation& one) { return one.kind == Observation::Kind::pass; });
  if (list_.empty()) clear();
}

void Observations::drop_before(Time moment) {
  std::erase_if(list_, [moment](const Observation& one) { return one.at < moment; });
  if (list_.empty()) clear();
}

} // namespace hanat
