// hanat's flowtable on the kernel at hand: one that has flowtables makes it, follows its interfaces and adopts it; one that has none says
// so, and the table is as before. Not here: flows on it (tests/package/offload_scenes.sh).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/netns/lab/isolated.hpp"
#include "tests/netns/nat/nftables/table_kit.hpp"

namespace hanat::nat {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string run_nft(std::vector<std::string> words) {
  words.insert(words.begin(), "nft");
  const auto said = test::collect(words, std::chrono::seconds{10});
  return said.out + said.err;
}
std::string flowtable_text() { return run_nft({"list", "flowtable", "inet", "hanat", "flows"}); }

void expect_followed(NftTable& table, const TableState& state) {
  EXPECT_TRUE(table.has_flowtable());
  EXPECT_THAT(flowtable_text(), HasSubstr("hook ingress priority"));
  EXPECT_TRUE(table.read()->in_order);
  test::collect({"ip", "link", "add", "one", "type", "veth", "peer", "name", "two"}, std::chrono::seconds{10});
  table.set_flowtable(Devices{"one", "two"});
  EXPECT_THAT(flowtable_text(), AllOf(HasSubstr("one"), HasSubstr("two")));
  EXPECT_ANY_THROW(table.set_flowtable(Devices{"one", "two", "three"})) << "there is no such interface";
  table.set_flowtable(Devices{"two"});
  EXPECT_THAT(flowtable_text(), Not(HasSubstr("one")));
  test::collect({"ip", "link", "del", "one"}, std::chrono::seconds{10});
  table.set_flowtable(Devices{});
  NftTable next = shared_table();
  EXPECT_TRUE(next.read()->in_order && next.has_flowtable()) << "a restart adopts it";
  run_nft({"flush", "chain", "inet", "hanat", "offloading"});
  EXPECT_FALSE(next.read()->in_order);
  next.load(state);
  EXPECT_FALSE(next.has_flowtable());
  next.set_flowtable(Devices{});
  next.set_flowtable(std::nullopt);
  EXPECT_THAT(run_nft({"list", "table", "inet", "hanat"}), AllOf(Not(HasSubstr("flowtable flows")), Not(HasSubstr("chain offloading"))));
  EXPECT_TRUE(next.read()->in_order);
}

TEST(TableFlowtable, IsMadeAndFollowedOrTheKernelHasNone) {
  test::isolated([] {
    NftTable table = shared_table();
    const TableState state = services(2, "198.18.1.2");
    table.load(state);
    try {
      table.set_flowtable(Devices{});
      expect_followed(table, state);
    } catch (const NoFlowtables& error) {
      EXPECT_THAT(error.what(), HasSubstr("No such file or directory"));
      EXPECT_FALSE(table.has_flowtable());
      const auto loaded = table.read();
      EXPECT_TRUE(loaded->in_order && loaded->state == state);
      table.set_flowtable(std::nullopt);
    }
    table.set_endpoints(SetKind::offloaded, {{state.vips.begin()->first, "web"}});
    EXPECT_TRUE(table.read()->in_order);
  });
}

} // namespace
} // namespace hanat::nat
