// The numbers of ranges of ports. What a flip changes of a range is in sets with its number, by address and protocol alone: ranges of the
// same address and protocol have different numbers, and most have number 1. Pure. Not here: the sets (set_elements), the rules for each
// number (ruleset_ranges).
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "nat/address.hpp"

namespace hanat::nat {

/// A range in the table has more than 1,024 ports, so that an address has 63 of a protocol, and twice as many while they get other borders.
/// What more there is would be an error of hanat.
inline constexpr std::uint8_t most_range_numbers = 250;

class RangeNumbers {
public:
  /// 0: it has none.
  std::uint8_t find(const Vip& range) const;
  /// The lowest that no range of the same address and protocol has, here or in `others`. Throws std::length_error.
  std::uint8_t lowest_free(const Vip& range, const RangeNumbers& others) const;
  /// False if the range has a number, or another range of the same address and protocol has this one.
  bool add(const Vip& range, std::uint8_t number);
  /// That many entries of the table more, or less, have this range. It keeps its number as long as there are any.
  void count(const Vip& range, int by);
  unsigned entries(const Vip& range) const;
  /// The range of this address and protocol with that number.
  std::optional<Vip> range_of(const Address& address, Protocol protocol, std::uint8_t number) const;
  std::uint8_t highest() const;
  auto begin() const { return ranges_.begin(); }
  auto end() const { return ranges_.end(); }

  struct Use {
    std::uint8_t number = 0;
    unsigned entries = 0;
  };

private:
  std::map<Vip, Use> ranges_;
};

} // namespace hanat::nat
