// Any sequence of verdicts, overrides, reloads, and jobs that end well, badly or early: when nothing happens any more, nothing is left.
// Not here: each case by name (the tests beside).
#include <random>

#include "daemon/failover/overrides.hpp"
#include "tests/unit/daemon/failover/reload_fixture.hpp"

namespace hanat::test {
namespace {

class FailoverRandomTest : public ReloadTest {
protected:
  std::mt19937 random;

  unsigned below(unsigned bound) { return static_cast<unsigned>(random() % bound); }
  bool chance(unsigned percent) { return below(100) < percent; }

  /// Some of these services, each with some of these endpoints and servers; two never have the same endpoint.
  std::vector<ServiceConfig> any_services() {
    std::vector<ServiceConfig> services;
    for (const char* name : {"one", "two", "three"}) {
      if (chance(20)) continue;
      ServiceConfig config = probed(small_service(name, 1));
      config.listen.clear();
      config.on_failover = any_policy();
      config.on_forced = any_policy();
      if (chance(30)) std::swap(config.servers[0].addresses, config.servers[1].addresses);
      if (chance(30)) config.group = "group";
      services.push_back(config);
    }
    if (services.empty()) return services;
    for (std::uint16_t port = 1; port <= 4; ++port)
      services[below(static_cast<unsigned>(services.size()))].listen.push_back(
          {address("203.0.113.20"), port == 4 ? Protocol::udp : Protocol::tcp, port});
    std::erase_if(services, [](const ServiceConfig& config) { return config.listen.empty(); });
    return with_equal_groups(services);
  }
  /// The services of a group have the same servers in the same order.
  static std::vector<ServiceConfig> with_equal_groups(std::vector<ServiceConfig> services) {
    const ServiceConfig* first = nullptr;
    for (ServiceConfig& config : services) {
      if (config.group.empty()) continue;
      if (first == nullptr)
        first = &config;
      else
        config.servers = first->servers;
    }
    return services;
  }
  FlowPolicy any_policy() {
    if (chance(60)) return {};
    return a_minute;
  }
  CutResult any_result() {
    if (chance(10)) return failure("no");
    CutResult result;
    for (const Mapping& mapping : job().cut)
      if (chance(40)) result.deleted[mapping] = {.entries = 1 + below(3)};
    for (const Mapping& mapping : job().nudge)
      if (chance(40)) result.nudged[mapping] = 1;
    result.counted.emplace();
    for (const Mapping& mapping : job().count)
      if (chance(60)) (*result.counted)[mapping] = below(3);
    result.unexpected.emplace();
    return result;
  }
  ServiceState* any_service() {
    const auto& all = registry.services();
    if (all.empty()) return nullptr;
    ServiceState* one = all[below(static_cast<unsigned>(all.size()))].get();
    return one->removed ? nullptr : one;
  }
  void step() {
    ServiceState* one = any_service();
    switch (below(8)) {
    case 0:
    case 1:
      if (one != nullptr) judge(*one, below(2), chance(50) ? probes::Outcome::pass : probes::Outcome::fail);
      break;
    case 2:
      if (one == nullptr) break;
      begin_override(*one, {.server = below(2), .until = now + 1s * below(20), .until_wall = {}, .since = {}, .reason = {}, .by = "root"},
                     registry, outbox);
      break;
    case 3:
      if (one != nullptr) end_override(*one, "root", registry, outbox);
      break;
    case 4:
      if (chance(30)) apply(any_services());
      break;
    case 5:
    case 6:
      if (worker.busy()) finish(any_result());
      break;
    case 7: now += std::chrono::milliseconds{below(3000)}; break;
    default: break;
    }
    run_until_idle();
    run();
    check_flips();
  }
  /// A flip is being cut exactly while there are evictions of it.
  void check_flips() {
    for (const auto& one : registry.services()) {
      const auto cuts = [&](std::uint64_t number) {
        return std::ranges::any_of(one->evictions, [&](const Eviction& each) { return each.flip == number && !each.drain; });
      };
      EXPECT_EQ(one->last_flip && one->last_flip->cutting, one->last_flip && cuts(one->last_flip->number)) << one->config->name;
      for (const auto& [number, flip] : one->earlier_flips) {
        EXPECT_EQ(flip.cutting, cuts(number)) << one->config->name << " " << number;
        EXPECT_TRUE(has_evictions_of(*one, number)) << one->config->name << " " << number;
      }
    }
  }
  void check_end() {
    for (const auto& one : registry.services()) {
      EXPECT_FALSE(one->removed) << one->config->name;
      EXPECT_TRUE(one->evictions.empty()) << one->config->name;
      EXPECT_TRUE(one->loaded.stale.empty() && one->loaded.recent.empty() && one->earlier_flips.empty()) << one->config->name;
      EXPECT_EQ(one->loaded.vips.size(), one->config->listen.size());
    }
    EXPECT_TRUE(registry.evicting().empty());
    EXPECT_TRUE(evictions.saved_drains().empty());
  }
};

TEST_F(FailoverRandomTest, WhenNothingHappensAnyMoreNothingIsLeft) {
  for (unsigned seed = 0; seed < 20 && !HasFailure(); ++seed) {
    random.seed(seed);
    apply(any_services());
    for (int number = 0; number < 150; ++number) step();
    if (worker.busy()) finish();
    settle_flows();
    settle_flows(); // the longest drain, and its cut
    check_end();
    if (HasFailure()) ADD_FAILURE() << "seed " << seed;
  }
}

} // namespace
} // namespace hanat::test
