// What holds for any sequence of plans. Not here: single transitions (desired_state_test).
#include <algorithm>
#include <array>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "tests/unit/daemon/decision/plan_fixture.hpp"

namespace hanat::planning {
namespace {

/// What holds for every desired state, however it came about.
void expect_sane(const Plan& result) {
  const nat::TableState& rules = result.rules;
  for (const auto& [mapping, comment] : rules.stale) {
    const auto target = rules.dnat.find(mapping.vip);
    EXPECT_FALSE(target != rules.dnat.end() && target->second.server == mapping.server) << "stale, and target: " << comment;
    EXPECT_NE(mapping, untranslated(mapping.vip));
  }
  for (const auto& [vip, target] : rules.dnat) {
    EXPECT_TRUE(rules.vips.contains(vip));
    EXPECT_FALSE(rules.reject.contains(vip));
    EXPECT_EQ(vip.address.family(), target.server.address.family());
    EXPECT_NE(target.server.port, 0);
  }
  for (const auto& [vip, refused] : rules.reject) EXPECT_TRUE(rules.vips.contains(vip));
  for (const auto& [vip, comment] : rules.recent) EXPECT_EQ(vip.protocol, Protocol::tcp);
}

TEST(Plan, HoldsItsPromisesOverRandomLives) {
  for (unsigned seed = 0; seed < 700 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 generator{seed};
    const auto pick = [&](int number) { return std::uniform_int_distribution{0, number - 1}(generator); };
    ServiceState service = service_at(Destination::removed);
    Time when = moment;
    for (int step = 0; step < 12; ++step) {
      when += pick(40) * 1s;
      service.config = web(); // a service that was removed may be configured anew
      service.removed = false;
      ServiceConfig& config = service.config.edit();
      config.on_none = pick(2) == 0 ? OnNone::refuse : OnNone::drop;
      for (FlowPolicy* policy : {&config.on_failover, &config.on_failback, &config.on_forced})
        *policy = std::array{FlowPolicy{}, a_minute, kept_policy}.at(static_cast<std::size_t>(pick(3)));
      if (!service.evictions.empty() && pick(3) == 0) service.evictions.erase(service.evictions.begin()); // its cut is done
      const Destination to = destinations.at(static_cast<std::size_t>(pick(5)));
      const Reason flip_reason = std::array{Reason::failover, Reason::failback, Reason::forced}.at(static_cast<std::size_t>(pick(3)));
      const auto old_targets = service.loaded.dnat;
      const auto old_stale = service.loaded.stale;
      const Plan change = go(service, to, flip_reason, when);
      expect_sane(change);
      const Moves moves = moves_between(old_targets, change.rules.dnat);
      std::set<Mapping> going = moves.leaving, given_up;
      going.insert(change.ending.begin(), change.ending.end());
      for (const Eviction& eviction : service.evictions) // of endpoints that are the service's again
        if (eviction.given_up) given_up.insert(eviction.mappings.begin(), eviction.mappings.end());
      std::erase_if(going, [&](const Mapping& mapping) { return given_up.contains(mapping) || mapping == untranslated(mapping.vip); });
      for (const Mapping& mapping : mappings_of(change.evictions, false)) {
        if (to == Destination::removed) given_up.insert(mapping);
        EXPECT_TRUE(going.contains(mapping) || given_up.contains(mapping));
      }
      for (const Mapping& mapping : going) EXPECT_TRUE(mappings_of(change.evictions, false).contains(mapping));
      for (const Eviction& eviction : change.evictions) EXPECT_EQ(eviction.exact, to == Destination::removed);
      EXPECT_EQ(as_set(change.returning), moves.arriving);
      apply(service, change, when);
      for (const Eviction& eviction : service.evictions)
        for (const Mapping& mapping : eviction.mappings) {
          const bool unchanged = eviction.given_up && eviction.stage == CutStage::record; // until its flows are recorded
          EXPECT_EQ(change.rules.stale.contains(mapping),
                    unchanged ? old_stale.contains(mapping) : !eviction.drain && !eviction.untranslated && !eviction.exact);
        }
      const Plan again = go(service, to, flip_reason, when);
      nat::TableState without_rest = again.rules; // a flip leaves `recent` to the next plan
      erase_if(without_rest.recent, [&](const auto& entry) { return !change.rules.recent.contains(entry.first); });
      EXPECT_TRUE(without_rest == change.rules);
      EXPECT_TRUE(again.evictions.empty());
      EXPECT_TRUE(again.returning.empty());
      EXPECT_TRUE(again.ending.empty());
      EXPECT_FALSE(again.moves);
    }
  }
}

} // namespace
} // namespace hanat::planning
