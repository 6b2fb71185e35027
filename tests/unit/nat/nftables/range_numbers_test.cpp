// The numbers of ranges of ports. Not here: the sets that have them (transaction_test, netns/nat/nftables/table_test).
#include "nat/nftables/range_numbers.hpp"

#include <cstdint>
#include <stdexcept>

#include <gtest/gtest.h>

namespace hanat::nat {
namespace {

Vip range(const char* address, std::uint16_t first, std::uint16_t last, Protocol protocol = Protocol::tcp) {
  return {.address = Address::parse(address).value(), .protocol = protocol, .port = first, .last = last};
}

TEST(RangeNumbers, AreDifferentForRangesOfOneAddressAndProtocol) {
  RangeNumbers numbers;
  const auto add = [&](const Vip& vip) {
    const std::uint8_t number = numbers.lowest_free(vip, {});
    EXPECT_TRUE(numbers.add(vip, number)) << to_text(vip);
    numbers.count(vip, 1);
    return number;
  };
  EXPECT_EQ(numbers.highest(), 0);
  EXPECT_EQ(add(range("203.0.113.10", 1, 9'999)), 1);
  EXPECT_EQ(add(range("203.0.113.10", 10'000, 20'000)), 2);
  EXPECT_EQ(add(range("203.0.113.10", 1, 9'999, Protocol::udp)), 1);
  EXPECT_EQ(add(range("203.0.113.11", 10'000, 20'000)), 1);
  EXPECT_EQ(add(range("203.0.113.10", 1, 5'000)), 3) << "other borders, while the old ones are there";
  EXPECT_EQ(numbers.highest(), 3);
  EXPECT_EQ(numbers.range_of(Address::parse("203.0.113.10").value(), Protocol::tcp, 2), range("203.0.113.10", 10'000, 20'000));
  EXPECT_FALSE(numbers.range_of(Address::parse("203.0.113.11").value(), Protocol::tcp, 2));
}

TEST(RangeNumbers, AreFreeAgainWithTheLastEntry) {
  RangeNumbers numbers;
  const Vip first = range("203.0.113.10", 1, 9'999), second = range("203.0.113.10", 10'000, 20'000);
  numbers.add(first, 1);
  numbers.count(first, 2);
  numbers.count(first, -1);
  EXPECT_EQ(numbers.find(first), 1);
  EXPECT_EQ(numbers.lowest_free(second, {}), 2);
  numbers.count(first, -1);
  EXPECT_EQ(numbers.find(first), 0);
  EXPECT_EQ(numbers.lowest_free(second, {}), 1);
}

TEST(RangeNumbers, AreNotTakenTwice) {
  RangeNumbers numbers;
  EXPECT_TRUE(numbers.add(range("203.0.113.10", 1, 9'999), 1));
  EXPECT_FALSE(numbers.add(range("203.0.113.10", 10'000, 20'000), 1)) << "of another range";
  EXPECT_FALSE(numbers.add(range("203.0.113.10", 1, 9'999), 2)) << "it has one";
  EXPECT_FALSE(numbers.add(range("203.0.113.11", 1, 9'999), 0));
  for (std::uint16_t port = 2; port <= most_range_numbers; ++port)
    EXPECT_TRUE(numbers.add(range("203.0.113.10", port, 60'000), static_cast<std::uint8_t>(port)));
  EXPECT_THROW(numbers.lowest_free(range("203.0.113.10", 10'000, 20'000), {}), std::length_error);
}

} // namespace
} // namespace hanat::nat
