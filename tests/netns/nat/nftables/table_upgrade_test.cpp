// A table that an older hanatd has loaded: its sets had other names. Its elements are read and kept, or an upgrade would leave clients
// without a server until the first probes pass. Not here: the daemon that adopts them (daemon/lifecycle_table_test), the package's upgrade.
#include <regex>
#include <string>

#include <gtest/gtest.h>

#include "tests/golden/golden.hpp"
#include "tests/netns/lab/isolated.hpp"
#include "tests/netns/nat/nftables/table_kit.hpp"

namespace hanat::nat {
namespace {

/// The table of layout 3: with today's names it would be as it is today, but for the sets of ranges.
std::string layout_3() {
  std::string text = test::source_file("tests/netns/nat/nftables/by_hand.nft");
  const std::pair<const char*, const char*> names[] = {{"vips", "known"},   {"dnat", "target"},   {"reject", "refused"},
                                                       {"recent", "moved"}, {"guarded", "armed"}, {"snat", "source"}};
  for (const auto& [now, then] : names) text = std::regex_replace(text, std::regex{std::string{"\\b"} + now + "(?=[46])"}, then);
  text = std::regex_replace(text, std::regex{"table inet by_hand"}, "table inet hanat");
  return std::regex_replace(text, std::regex{"hanat layout [0-9]+"}, "hanat layout 3");
}

constexpr const char* elements = R"(
add map inet hanat target6_ranges { type ipv6_addr . inet_proto . inet_service : ipv6_addr; flags interval; counter; }
add element inet hanat known4 { 203.0.113.10 . tcp . 443 comment "web" }
add element inet hanat known4 { 203.0.113.10 . udp . 53 comment "dns" }
add element inet hanat known6_ranges { 2001:db8::10 . tcp . 5000-5100 comment "many" }
add element inet hanat target4 { 203.0.113.10 . tcp . 443 comment "web primary" : 198.18.11.2 . 8443 }
add element inet hanat target6_ranges { 2001:db8::10 . tcp . 5000-5100 comment "many backup" : 2001:db8:2::2 }
add element inet hanat refused4 { 203.0.113.10 . udp . 53 comment "dns" : goto refuse }
add element inet hanat moved4 { 203.0.113.10 . tcp . 443 comment "web" }
add element inet hanat stale4 { 203.0.113.10 . tcp . 443 . 198.18.12.2 . 8443 comment "web backup" }
add element inet hanat source4 { 203.0.113.10 . tcp . 443 . 198.18.11.2 . 8443 comment "web primary" : 198.18.11.1 }
)";

TEST(NftTableUpgrade, ElementsOfTheOlderTableAreKept) {
  test::isolated([] {
    const test::Output loaded = nft(layout_3() + elements);
    ASSERT_EQ(loaded.exit, 0) << loaded.err;
    NftTable table = shared_table();
    const auto old = table.read();
    ASSERT_TRUE(old);
    EXPECT_FALSE(old->in_order) << "another layout";
    const Vip web = test::vip("203.0.113.10", 443, Protocol::tcp), dns = test::vip("203.0.113.10", 53, Protocol::udp);
    const Mapping web_primary{web, test::endpoint("198.18.11.2", 8443)};
    EXPECT_EQ(old->state.vips.size(), 3U);
    EXPECT_EQ(old->state.dnat.at(web), (DnatTarget{web_primary.server, "web primary"}));
    EXPECT_EQ(old->state.dnat.size(), 2U);
    EXPECT_EQ(old->state.reject.at(dns), (Reject{Refusal::reject, "dns"}));
    EXPECT_EQ(old->state.recent.at(web), "web");
    EXPECT_EQ(old->state.stale.size(), 1U);
    EXPECT_EQ(old->state.snat.at(web_primary).comment, "web primary");

    table.load(old->state);
    const auto now = table.read();
    ASSERT_TRUE(now);
    EXPECT_TRUE(now->in_order);
    EXPECT_EQ(now->state, old->state);
  });
}

/// A flip changed sets of intervals, and the gates of addresses had verdicts.
constexpr const char* layout_9 = R"(
table inet hanat {
  comment "hanat layout 9"
  chain refuse { }
  chain guard4 { }
  set vips4_ranges { type ipv4_addr . inet_proto . inet_service; flags interval; }
  map dnat4_ranges { type ipv4_addr . inet_proto . inet_service : ipv4_addr; flags interval; counter; }
  map reject4_ranges { type ipv4_addr . inet_proto . inet_service : verdict; flags interval; }
  set stale4_ranges { type ipv4_addr . inet_proto . inet_service . ipv4_addr; flags interval; }
  set recent4_ranges { type ipv4_addr . inet_proto . inet_service; flags interval; }
  set hold4_ranges { type ipv4_addr . inet_proto . inet_service . ipv4_addr; flags interval; }
  map guarded4 { type ipv4_addr : verdict; }
}
add element inet hanat vips4_ranges { 203.0.113.10 . tcp . 5000-9000 comment "ftp", 203.0.113.10 . tcp . 20000-29999 comment "sip" }
add element inet hanat dnat4_ranges { 203.0.113.10 . tcp . 5000-9000 comment "ftp backup" : 198.18.12.2 }
add element inet hanat reject4_ranges { 203.0.113.10 . tcp . 20000-29999 comment "sip" : goto refuse }
add element inet hanat stale4_ranges { 203.0.113.10 . tcp . 5000-6500 . 198.18.11.2 comment "ftp primary" }
add element inet hanat recent4_ranges { 203.0.113.10 . tcp . 5000-9000 comment "ftp" }
add element inet hanat hold4_ranges { 203.0.113.10 . tcp . 5000-9000 . 198.18.12.2 comment "ftp backup" }
add element inet hanat guarded4 { 203.0.113.10 : jump guard4 }
)";

TEST(NftTableUpgrade, RangesOfLayout9AreKept) {
  test::isolated([] {
    const test::Output loaded = nft(layout_9);
    ASSERT_EQ(loaded.exit, 0) << loaded.err;
    NftTable table = shared_table();
    const auto old = table.read();
    ASSERT_TRUE(old);
    EXPECT_FALSE(old->in_order) << "another layout";
    Vip ftp = test::vip("203.0.113.10", 5'000, Protocol::tcp), sip = test::vip("203.0.113.10", 20'000, Protocol::tcp), part = ftp;
    ftp.last = 9'000;
    sip.last = 29'999;
    part.last = 6'500; // the range had other borders
    const Endpoint primary = test::endpoint("198.18.11.2", 0), backup = test::endpoint("198.18.12.2", 0);
    TableState expected;
    expected.vips = {{ftp, "ftp"}, {sip, "sip"}};
    expected.dnat = {{ftp, {backup, "ftp backup"}}};
    expected.reject = {{sip, {Refusal::reject, "sip"}}};
    expected.stale = {{{part, primary}, "ftp primary"}};
    expected.recent = {{ftp, "ftp"}};
    expected.hold = {{{ftp, backup}, "ftp backup"}};
    EXPECT_EQ(old->state, expected);

    table.load(old->state);
    const auto now = table.read();
    ASSERT_TRUE(now);
    EXPECT_TRUE(now->in_order);
    EXPECT_EQ(now->state, expected);
  });
}

} // namespace
} // namespace hanat::nat
