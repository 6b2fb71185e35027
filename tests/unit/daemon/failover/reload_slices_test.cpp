// What a reload changes together: groups, endpoints that change hands, what is left of endpoints; and that everything else may be divided.
// Not here: that a divided reload does the same as a whole one (rehearsal_test, with random edits).
#include "daemon/failover/reload_slices.hpp"

#include "daemon/failover/reload_changes.hpp"
#include "tests/unit/daemon/failover/reload_fixture.hpp"

namespace hanat::test {
namespace {

class ReloadSlicesTest : public ReloadTest {
protected:
  std::vector<ReloadSlice> slices(std::vector<ServiceConfig> next, std::size_t size = 1) {
    const Config config = config_of(std::move(next));
    return reload_slices(registry, service_changes(registry, config), config, size);
  }
  static ServiceConfig grouped(ServiceConfig service, const std::string& group) {
    service.group = group;
    return service;
  }
  static ServiceConfig edited(ServiceConfig service) {
    service.on_none = OnNone::drop;
    return service;
  }
};

const ServiceConfig one = small_service("one", 1), two = small_service("two", 2), three = small_service("three", 3);

TEST_F(ReloadSlicesTest, ServicesThatShareNothingAreDivided) {
  start({one, two, three});
  run_until_idle();
  EXPECT_TRUE(slices({one, two, three}).empty());
  const auto divided = slices({edited(one), edited(two), three});
  ASSERT_EQ(divided.size(), 2U);
  EXPECT_EQ(divided[0].changed, Names{"one"});
  EXPECT_EQ(divided[1].changed, Names{"two"});
  EXPECT_EQ(slices({edited(one), edited(two), edited(three)}, 2).size(), 2U);
  EXPECT_EQ(slices({edited(one), edited(two), edited(three)}, 64).size(), 1U);
}

TEST_F(ReloadSlicesTest, AGroupIsNotDividedBeforeOrAfter) {
  start({grouped(one, "g"), grouped(two, "g"), three});
  run_until_idle();
  const auto member = slices({grouped(edited(one), "g"), grouped(two, "g"), three});
  ASSERT_EQ(member.size(), 1U);
  EXPECT_EQ(member[0].changed, Names{"one"});
  EXPECT_EQ(member[0].unchanged, Names{"two"});
  EXPECT_EQ(slices({one, two, three}).size(), 1U) << "both leave it";
  const auto joins = slices({grouped(one, "g"), grouped(two, "g"), grouped(three, "g")});
  ASSERT_EQ(joins.size(), 1U);
  EXPECT_EQ(joins[0].unchanged, (Names{"one", "two"}));
}

TEST_F(ReloadSlicesTest, AnEndpointThatChangesHandsKeepsBothTogether) {
  start({one, two, three});
  run_until_idle();
  ServiceConfig taker = two;
  taker.listen.push_back(one.listen.front());
  ServiceConfig giver = one;
  giver.listen.front().port = 9;
  const auto moved = slices({giver, taker, edited(three)});
  ASSERT_EQ(moved.size(), 2U);
  EXPECT_EQ(moved[0].changed, (Names{"one", "two"}));
  EXPECT_EQ(slices({small_service("new", 1), two, three}).front().changed, (Names{"one", "new"})) << "removed, and taken over";
}

TEST_F(ReloadSlicesTest, APartOfARangeIsAnEndpointThatChangesHands) {
  ServiceConfig wide = one;
  wide.listen = {{address("203.0.113.20"), Protocol::tcp, 100, 900}};
  start({wide, two});
  run_until_idle();
  ServiceConfig narrow = wide;
  narrow.listen = {{address("203.0.113.20"), Protocol::tcp, 100, 299}, {address("203.0.113.20"), Protocol::tcp, 301, 900}};
  const auto cut = slices({narrow, two, small_service("new", 300)});
  ASSERT_EQ(cut.size(), 1U);
  EXPECT_EQ(cut[0].changed, (Names{"one", "new"}));
}

TEST_F(ReloadSlicesTest, WhatIsLeftOfARemovedServiceGoesWithTheOneThatTakesItOver) {
  start({probed(one), two});
  judge(service("one"), 0, probes::Outcome::pass);
  run_until_idle();
  apply({two});
  run_until_idle();
  ASSERT_NE(tombstone("one"), nullptr) << "until its flows are gone";
  const auto taken = slices({two, small_service("new", 1)});
  ASSERT_EQ(taken.size(), 1U);
  EXPECT_EQ(taken[0].gone, Names{"one"});
  EXPECT_FALSE(taken[0].fresh);
  const auto other = slices({two, small_service("new", 5)});
  ASSERT_EQ(other.size(), 1U);
  EXPECT_TRUE(other[0].gone.empty());
  EXPECT_TRUE(other[0].fresh) << "it moves no traffic";
}

} // namespace
} // namespace hanat::test
