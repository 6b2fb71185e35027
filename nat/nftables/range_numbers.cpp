// Ranges of one address and protocol are neighbours in the map, and few.
#include "nat/nftables/range_numbers.hpp"

#include <algorithm>
#include <bitset>
#include <stdexcept>

namespace hanat::nat {
namespace {

/// Calls `visit` for each range of an address and protocol.
template <typename Map, typename Visit>
void for_neighbours(const Map& ranges, const Address& address, Protocol protocol, const Visit& visit) {
  const Vip first{.address = address, .protocol = protocol};
  for (auto next = ranges.lower_bound(first); next != ranges.end(); ++next) {
    if (next->first.address != address || next->first.protocol != protocol) return;
    visit(*next);
  }
}

} // namespace

std::uint8_t RangeNumbers::find(const Vip& range) const {
  const auto found = ranges_.find(range);
  return found == ranges_.end() ? std::uint8_t{0} : found->second.number;
}

std::uint8_t RangeNumbers::lowest_free(const Vip& range, const RangeNumbers& others) const {
  std::bitset<most_range_numbers + 1> taken;
  for (const RangeNumbers* part : {this, &others})
    for_neighbours(part->ranges_, range.address, range.protocol, [&taken](const auto& entry) { taken.set(entry.second.number); });
  std::uint8_t number = 1;
  while (number <= most_range_numbers && taken.test(number)) ++number;
  if (number > most_range_numbers) throw std::length_error("too many ranges of ports at " + to_text(range));
  return number;
}

bool RangeNumbers::add(const Vip& range, std::uint8_t number) {
  if (number == 0 || number > most_range_numbers || range_of(range.address, range.protocol, number)) return false;
  return ranges_.emplace(range, Use{.number = number}).second;
}

void RangeNumbers::count(const Vip& range, int by) {
  const auto found = ranges_.find(range);
  if (found == ranges_.end()) return;
  found->second.entries += static_cast<unsigned>(by);
  if (found->second.entries == 0) ranges_.erase(found);
}

unsigned RangeNumbers::entries(const Vip& range) const {
  const auto found = ranges_.find(range);
  return found == ranges_.end() ? 0 : found->second.entries;
}

std::optional<Vip> RangeNumbers::range_of(const Address& address, Protocol protocol, std::uint8_t number) const {
  std::optional<Vip> range;
  for_neighbours(ranges_, address, protocol, [&](const auto& entry) {
    if (entry.second.number == number) range = entry.first;
  });
  return range;
}

std::uint8_t RangeNumbers::highest() const {
  std::uint8_t highest = 0;
  for (const auto& [range, use] : ranges_) highest = std::max(highest, use.number);
  return highest;
}

} // namespace hanat::nat
