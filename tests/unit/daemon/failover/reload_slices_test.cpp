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

const ServiceConfig first_service = small_service("one", 1), second_service = small_service("two", 2),
                    third_service = small_service("three", 3);

TEST_F(ReloadSlicesTest, ServicesThatShareNothingAreDivided) {
  start({first_service, second_service, third_service});
  run_until_idle();
  EXPECT_TRUE(slices({first_service, second_service, third_service}).empty());
  const auto divided = slices({edited(first_service), edited(second_service), third_service});
  ASSERT_EQ(divided.size(), 2U);
  EXPECT_EQ(divided[0].changed, Names{"one"});
  EXPECT_EQ(divided[1].changed, Names{"two"});
  EXPECT_EQ(slices({edited(first_service), edited(second_service), edited(third_service)}, 2).size(), 2U);
  EXPECT_EQ(slices({edited(first_service), edited(second_service), edited(third_service)}, 64).size(), 1U);
}

TEST_F(ReloadSlicesTest, AGroupIsNotDividedBeforeOrAfter) {
  start({grouped(first_service, "g"), grouped(second_service, "g"), third_service});
  run_until_idle();
  const auto member = slices({grouped(edited(first_service), "g"), grouped(second_service, "g"), third_service});
  ASSERT_EQ(member.size(), 1U);
  EXPECT_EQ(member[0].changed, Names{"one"});
  EXPECT_EQ(member[0].unchanged, Names{"two"});
  EXPECT_EQ(slices({first_service, second_service, third_service}).size(), 1U) << "both leave it";
  const auto joins = slices({grouped(first_service, "g"), grouped(second_service, "g"), grouped(third_service, "g")});
  ASSERT_EQ(joins.size(), 1U);
  EXPECT_EQ(joins[0].unchanged, (Names{"one", "two"}));
}

TEST_F(ReloadSlicesTest, AnEndpointThatChangesHandsKeepsBothTogether) {
  start({first_service, second_service, third_service});
  run_until_idle();
  ServiceConfig taker = second_service;
  taker.listen.push_back(first_service.listen.front());
  ServiceConfig giver = first_service;
  giver.listen.front().port = 9;
  const auto moved = slices({giver, taker, edited(third_service)});
  ASSERT_EQ(moved.size(), 2U);
  EXPECT_EQ(moved[0].changed, (Names{"one", "two"}));
  EXPECT_EQ(slices({small_service("new", 1), second_service, third_service}).front().changed, (Names{"one", "new"}))
      << "removed, and taken over";
}

TEST_F(ReloadSlicesTest, APartOfARangeIsAnEndpointThatChangesHands) {
  ServiceConfig wide = first_service;
  wide.listen = {{address("203.0.113.20"), Protocol::tcp, 100, 900}};
  start({wide, second_service});
  run_until_idle();
  ServiceConfig narrow = wide;
  narrow.listen = {{address("203.0.113.20"), Protocol::tcp, 100, 299}, {address("203.0.113.20"), Protocol::tcp, 301, 900}};
  const auto cut = slices({narrow, second_service, small_service("new", 300)});
  ASSERT_EQ(cut.size(), 1U);
  EXPECT_EQ(cut[0].changed, (Names{"one", "new"}));
}

TEST_F(ReloadSlicesTest, WhatIsLeftOfARemovedServiceGoesWithTheOneThatTakesItOver) {
  start({probed(first_service), second_service});
  judge(service("one"), 0, probes::Outcome::pass);
  run_until_idle();
  apply({second_service});
  run_until_idle();
  ASSERT_NE(tombstone("one"), nullptr) << "until its flows are gone";
  const auto taken = slices({second_service, small_service("new", 1)});
  ASSERT_EQ(taken.size(), 1U);
  EXPECT_EQ(taken[0].gone, Names{"one"});
  EXPECT_FALSE(taken[0].fresh);
  const auto other = slices({second_service, small_service("new", 5)});
  ASSERT_EQ(other.size(), 1U);
  EXPECT_TRUE(other[0].gone.empty());
  EXPECT_TRUE(other[0].fresh) << "it moves no traffic";
}

} // namespace
} // namespace hanat::test
