// Parses elements of the held sets. Not here: dumping them from the kernel (netns).
#include "nat/nftables/held_clients.hpp"

#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

namespace hanat::nat {
namespace {

using Key = std::vector<std::uint8_t>;

SetPtr set_of(const std::vector<Key>& keys) {
  auto set = made(SetPtr{nftnl_set_alloc()});
  for (const Key& key : keys) {
    nftnl_set_elem* element = made(nftnl_set_elem_alloc());
    nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY, key.data(), static_cast<std::uint32_t>(key.size()));
    nftnl_set_elem_add(set.get(), element);
  }
  return set;
}

TEST(HeldClients, HaveAClientAndAVirtualEndpoint) {
  Key six(40);
  six[0] = 0xfd, six[15] = 2, six[16] = 0x9c, six[17] = 0x41, six[20] = 0x20, six[35] = 0x10, six[36] = 1, six[37] = 0xbb;
  const auto held = held_clients_in(*set_of({{198, 18, 1, 2, 0x9c, 0x40, 0, 0, 203, 0, 113, 10, 1, 0xbb, 0, 0}, six}));
  ASSERT_EQ(held.size(), 2U);
  EXPECT_EQ(to_text(held[0].client), "198.18.1.2:40000");
  EXPECT_EQ(to_text(held[0].vip), "203.0.113.10:443");
  EXPECT_EQ(to_text(held[1].client), "[fd00::2]:40001");
  EXPECT_EQ(to_text(held[1].vip), "[2000::10]:443");
}

TEST(HeldClients, IgnoreKeysOfAnotherLength) {
  for (const std::size_t length : {1U, 4U, 15U, 17U, 20U, 39U, 44U, 64U})
    EXPECT_TRUE(held_clients_in(*set_of({Key(length)})).empty()) << length;
  EXPECT_TRUE(held_clients_in(*set_of({})).empty());
}

} // namespace
} // namespace hanat::nat
