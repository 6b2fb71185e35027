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
  constexpr std::size_t entries = 180'000;
  Lab lab;
  lab.sysctl(Host::gateway, "net.netfilter.nf_conntrack_max", "400000");
  Hanatd hanatd{lab, range_up_to(9000, "1h")};
  hanatd.wait_target("range", "none");
  for (const std::uint16_t port : {std::uint16_t{2000}, std::uint16_t{5000}, std::uint16_t{8999}}) {
    const Vip where = vip("203.0.113.10", port, Protocol::tcp);
    lab.in(Host::gateway, [&] { synthesise(flows_of({where, Lab::endpoint(Host::primary, port)}, entries / 3, port)); });
  }
  std::uint16_t last = 8999;
  const auto begun = TestClock::now();
  do {
    ASSERT_EQ(hanatd.reload(range_up_to(--last, "1s")).exit, 0) << hanatd.log();
    ASSERT_TRUE(hanatd.running()) << hanatd.log();
  } while (hanatd.log().find("unexpected flow") == std::string::npos && TestClock::now() < begun + milliseconds{30000});
  EXPECT_NE(hanatd.log().find("unexpected flow"), std::string::npos) << hanatd.log();
  for (int more = 0; more < 30; ++more) ASSERT_EQ(hanatd.reload(range_up_to(--last, "1s")).exit, 0) << hanatd.log();
  hanatd.wait_target("range", "none");
  EXPECT_TRUE(hanatd.running()) << hanatd.log();
}

} // namespace
} // namespace hanat::test
