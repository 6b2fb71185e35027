// Two rows of bits.
#include "daemon/decision/client_waits.hpp"

#include <algorithm>
#include <bit>

namespace hanat {
namespace {

constexpr unsigned remembered = 32;

bool ends_badly(std::uint32_t row, unsigned known) {
  constexpr std::uint32_t newest = (1U << ClientWaits::in_a_row) - 1;
  if (known < ClientWaits::in_a_row + ClientWaits::before_at_least || (row & newest) != 0) return false;
  const unsigned before = known - ClientWaits::in_a_row;
  return static_cast<unsigned>(std::popcount(row >> ClientWaits::in_a_row)) * 10 >= before * 9;
}

} // namespace

bool ClientWaits::record(Sample sample) {
  accepted_ = accepted_ << 1 | (sample == Sample::unaccepted ? 0U : 1U);
  served_ = served_ << 1 | (sample == Sample::served ? 1U : 0U);
  known_ = static_cast<std::uint8_t>(std::min(known_ + 1U, remembered));
  return ends_badly(accepted_, known_) || ends_badly(served_, known_);
}

} // namespace hanat
