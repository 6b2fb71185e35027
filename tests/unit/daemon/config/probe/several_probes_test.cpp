// A list of probes: lists `any` in it, probes that only warn, and the keys of agents.
// Not here: the errors (read_probe_test).
#include <chrono>

#include <gtest/gtest.h>

#include "daemon/config/load_config.hpp"
#include "tests/unit/daemon/config/rows.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;

TEST(Config, AListOfProbesHasListsAnyAndProbesThatOnlyWarn) {
  const auto result = parse_config(R"(
[service.a]
listen = "203.0.113.10:80/tcp"
primary = "10.0.0.1"
probe = [{ type = "tcp" }, { any = [{ type = "agent", port = 9777, send = "web" }, { type = "tcp", port = 81, down_interval = "30s" }] },
         { type = "icmp", critical = false }, { any = [{ type = "tcp", port = 82 }, { type = "tcp", port = 83 }] },
         { type = "tcp", slow = "9ms", critical = true }]
)",
                                   "f");
  const auto* config = std::get_if<Config>(&result);
  ASSERT_NE(config, nullptr);
  const auto& probes = config->services.at(0)->servers.at(0).probes;
  ASSERT_EQ(probes.size(), 7U);
  std::vector<int> lists;
  for (const auto& probe : probes) lists.push_back(probe.any_of);
  EXPECT_EQ(lists, (std::vector{0, 1, 1, 0, 2, 2, 0}));
  EXPECT_EQ(probes[1].of<probes::AgentSpec>().send, "web");
  EXPECT_EQ(probes[2].down_interval, 30s);
  EXPECT_FALSE(probes[0].down_interval);
  EXPECT_TRUE(probes[3].advisory && !probes[3].critical);
  EXPECT_TRUE(probes[6].critical && !probes[6].advisory);
  EXPECT_FALSE(probes[0].critical || probes[0].advisory);
}

} // namespace
} // namespace hanat
