// Results of the conntrack worker that come when the configuration is another one already. Not here: each case by itself
// (tests/unit/daemon/failover).
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"
#include "tests/netns/lab/synth.hpp"

namespace hanat::test {
namespace {

constexpr std::uint16_t first_port = 1000;

std::string range_up_to(std::uint16_t last, const char* reconcile) {
  return fmt::format(
      "[hanatd]\nreconcile = \"{}\"\n[service.range]\nlisten = \"203.0.113.10:{}-{}/tcp\"\nprimary = \"{}\"\nbackup = \"{}\"\n"
      "probe = {{ type = \"tcp\", port = 8443, interval = \"50ms\", fast_interval = \"10ms\", timeout = \"200ms\" }}\n"
      "down = {{ fails = 3, within = \"2s\" }}\n",
      reconcile, first_port, last, Lab::address(Host::primary).text(), Lab::address(Host::backup).text());
}

// Every flow of a range that is refused is unexpected. Comparing so many takes longer than a reload.
TEST(LateResults, OfAComparisonAreMatchedWithARangeThatReloadsNarrow) {
  constexpr std::size_t entries = 60'000;
  Lab lab;
  Hanatd hanatd{lab, range_up_to(9000, "1h")};
  hanatd.wait_target("range", "none");
  for (const std::uint16_t port : {std::uint16_t{2000}, std::uint16_t{5000}, std::uint16_t{8999}}) {
    const Vip where = vip("203.0.113.10", port, Protocol::tcp);
    lab.in(Host::gateway, [&] { synthesise(flows_of({where, Lab::endpoint(Host::primary, port)}, entries / 3, port)); });
  }
  std::uint16_t last = 8999;
  for (int number = 0; number < 20; ++number) { // an audit is due every second
    ASSERT_EQ(hanatd.reload(range_up_to(--last, "1s")).exit, 0) << hanatd.log();
    ASSERT_TRUE(hanatd.running()) << hanatd.log();
  }
  const auto left = [&] { // of the port that the first of them gave up
    return lab.in(Host::gateway, [] { return count_entries([](const Flow& entry) { return entry.mapping.vip.port == 8999; }); });
  };
  for (const auto end = TestClock::now() + milliseconds{60000}; left() != 0;) ASSERT_LT(TestClock::now(), end) << hanatd.log();
  hanatd.wait_target("range", "none");
  EXPECT_TRUE(hanatd.running()) << hanatd.log();
}

} // namespace
} // namespace hanat::test
