// Makes a failing sequence short: leaves out parts, the largest first, as long as what is left still fails.
// Not here: what a sequence is, and running it.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <vector>

namespace hanat::test::model {

/// `fails` runs a sequence; `late` ends the search. What is returned has failed.
template <typename T>
std::vector<T> shrink(std::vector<T> sequence, const std::function<bool(const std::vector<T>&)>& fails, const std::function<bool()>& late) {
  for (std::size_t size = std::max<std::size_t>(sequence.size() / 2, 1); size > 0;) {
    bool shorter = false;
    // From the beginning: what came last before the failure is needed most.
    for (std::size_t at = 0; at < sequence.size() && sequence.size() > 1;) {
      if (late()) return sequence;
      const std::size_t end = std::min(at + size, sequence.size());
      std::vector<T> rest(sequence.begin(), sequence.begin() + static_cast<std::ptrdiff_t>(at));
      rest.insert(rest.end(), sequence.begin() + static_cast<std::ptrdiff_t>(end), sequence.end());
      if (!rest.empty() && fails(rest)) {
        sequence = std::move(rest);
        shorter = true;
      } else {
        at = end;
      }
    }
    if (size == 1 && !shorter) break;
    if (size > 1) size /= 2;
  }
  return sequence;
}

} // namespace hanat::test::model
