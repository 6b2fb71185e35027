// The switch of a gateway of a pair that settles: it changes with the services in one transaction, is read back and restored.
// Not here: what its rules drop (tests/netns/daemon/pair), when it is on (tests/unit/daemon/failover/gateway_role_test).
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/netns/lab/isolated.hpp"
#include "tests/netns/nat/nftables/table_kit.hpp"

namespace hanat::nat {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string set_text(const char* name) {
  return test::collect({"nft", "list", "set", "inet", "hanat", name}, std::chrono::seconds{10}).out;
}

TableState refusing(TableState state) {
  for (const auto& [listen, comment] : state.vips) state.reject[listen] = {.refusal = Refusal::reject, .comment = comment};
  state.dnat.clear();
  return state;
}

TEST(TableSettling, ChangesWithTheServicesInOneTransaction) {
  test::isolated([] {
    NftTable table = shared_table();
    const TableState served = services(2, "198.18.1.2"), refused = refusing(served);
    table.load(served);
    EXPECT_FALSE(table.read()->settling);
    table.change({}, true);
    EXPECT_THAT(set_text("settling"), HasSubstr("elements = { ipv4, ipv6 }"));
    EXPECT_THAT(set_text("guarding"), HasSubstr("elements = { ipv4, ipv6 }"));
    table.change({}, true); // it is so already
    EXPECT_TRUE(table.read()->settling && table.read()->in_order);
    const std::vector<Step> steps{{.from = served, .to = refused}};
    table.change(steps, false);
    EXPECT_THAT(set_text("settling"), Not(HasSubstr("elements")));
    EXPECT_THAT(set_text("guarding"), HasSubstr("elements = { ipv4 }")) << "of what is refused";
    const auto loaded = table.read();
    EXPECT_TRUE(loaded->in_order && !loaded->settling && loaded->state == refused);
    table.change(std::vector<Step>{{.from = refused, .to = served}}, true);
    EXPECT_TRUE(table.read()->settling && table.read()->in_order);
  });
}

TEST(TableSettling, IsAdoptedAndRestored) {
  test::isolated([] {
    const TableState served = services(2, "198.18.1.2");
    {
      NftTable before = shared_table();
      before.load(served);
      before.change({}, true);
    }
    NftTable table = shared_table();
    const auto found = table.read();
    ASSERT_TRUE(found && found->in_order && found->settling);
    table.adopt(found->state);
    ASSERT_EQ(nft("flush set inet hanat settling").exit, 0);
    EXPECT_FALSE(table.read()->in_order) << "somebody else's doing";
    table.load(served);
    EXPECT_TRUE(table.read()->in_order && table.read()->settling);
    table.change({}, false);
    EXPECT_THAT(set_text("guarding"), Not(HasSubstr("elements")));
  });
}

TEST(TableSettling, ARefusedChangeLeavesItAsItWas) {
  test::isolated([] {
    NftTable table = shared_table();
    const TableState served = services(2, "198.18.1.2");
    table.load(served);
    const TableState none, more = services(3, "198.18.1.2");
    const std::vector<Step> wrong{{.from = more, .to = none}}; // the third is not there
    EXPECT_NE(error_of([&] { table.change(wrong, true); }), 0);
    const auto loaded = table.read();
    EXPECT_TRUE(loaded->in_order && !loaded->settling && loaded->state == served);
    table.change({}, true);
    EXPECT_TRUE(table.read()->settling);
  });
}

} // namespace
} // namespace hanat::nat
