// What is told of the other gateway of a pair, and when.
#include "daemon/links/peer_sight.hpp"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hanat {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

class PeerSightTest : public testing::Test {
protected:
  static PeerPage page(const std::string& role) {
    return {.hanatd = "0.1", .instance = "a", .role = role, .clock = wall_now(), .services = {}};
  }
  template <typename Kind> std::size_t told() const {
    std::size_t count = 0;
    for (const events::Payload& event : events)
      if (std::holds_alternative<Kind>(event)) ++count;
    return count;
  }
  void answer(const std::string& role, Role own) { sight.on_answer(page(role), own, now); }

  Time now{1'000h};
  std::vector<events::Payload> events;
  PeerView view;
  PeerSight sight{"198.18.9.2:9718", [this](events::Payload what) { events.push_back(std::move(what)); }, now};
};

TEST_F(PeerSightTest, AnAnswerIsToldOnceAndSoIsTheLossOfIt) {
  answer("standby", Role::active);
  now += 1s;
  answer("standby", Role::active);
  EXPECT_EQ(told<events::PeerSeen>(), 1U);
  now += 2s;
  sight.on_failure("refused", Role::active, now);
  EXPECT_TRUE(sight.answers(now));
  EXPECT_EQ(told<events::PeerLost>(), 0U) << "a restart takes a moment";
  now += 1s;
  sight.on_failure("refused", Role::active, now);
  now += 1s;
  sight.on_failure("refused", Role::active, now);
  EXPECT_FALSE(sight.answers(now));
  EXPECT_EQ(told<events::PeerLost>(), 1U);
  EXPECT_EQ(sight.status(view, Role::active, now).failure, "refused");
  now += 10s;
  answer("standby", Role::active);
  EXPECT_EQ(std::get<events::PeerSeen>(events.back()).missed, 14s);
}

TEST_F(PeerSightTest, OneThatNeverAnsweredIsMissedToo) {
  sight.on_failure("refused", Role::standby, now + 1s);
  EXPECT_THAT(events, IsEmpty());
  sight.on_failure("refused", Role::standby, now + 3s);
  EXPECT_EQ(told<events::PeerLost>(), 1U);
  EXPECT_FALSE(sight.status(view, Role::standby, now + 3s).seen_s);
}

TEST_F(PeerSightTest, TwoActiveGatewaysAreToldWhenThatLasts) {
  answer("active", Role::active);
  now += 1s;
  answer("active", Role::active);
  EXPECT_EQ(told<events::PairSplit>(), 0U) << "a handover";
  now += 1s;
  answer("settling", Role::active);
  EXPECT_EQ(told<events::PairSplit>(), 1U);
  EXPECT_TRUE(sight.status(view, Role::active, now).both_active);
  now += 5s;
  sight.on_roles(Role::standby, now);
  ASSERT_EQ(told<events::PairJoined>(), 1U);
  EXPECT_TRUE(std::get<events::PairJoined>(events.back()).standby);
  EXPECT_FALSE(sight.status(view, Role::standby, now).both_active);
}

TEST_F(PeerSightTest, NoActiveGatewayIsToldWhenThatLastsLongerThanAStart) {
  for (int second = 0; second < 10; ++second, now += 1s) answer("standby", Role::standby);
  EXPECT_EQ(told<events::PairIdle>(), 0U);
  answer("standby", Role::standby);
  EXPECT_EQ(told<events::PairIdle>(), 1U);
  EXPECT_TRUE(sight.status(view, Role::standby, now).none_active);
  now += 5s;
  answer("active", Role::standby);
  ASSERT_EQ(told<events::PairIdle>(), 2U);
  EXPECT_EQ(std::get<events::PairIdle>(events.back()).lasted, 15s);
  EXPECT_FALSE(sight.status(view, Role::standby, now).none_active);
}

TEST_F(PeerSightTest, AProgramThatIsDeadThereIsToldHere) {
  PeerPage sick = page("standby");
  sick.conntrackd = "ok";
  sick.keepalived = "absent";
  sight.on_answer(sick, Role::active, now);
  sight.on_answer(sick, Role::active, now);
  ASSERT_EQ(told<events::KeepalivedChanged>(), 1U);
  EXPECT_EQ(std::get<events::KeepalivedChanged>(events.back()),
            (events::KeepalivedChanged{.state = Vrrp::absent, .peer = "198.18.9.2:9718", .standby = true}));
  EXPECT_EQ(sight.status(view, Role::active, now).keepalived, "absent");
  EXPECT_EQ(sight.status(view, Role::active, now).conntrackd, "ok");
}

TEST_F(PeerSightTest, AShortOverlapIsNotTold) {
  answer("active", Role::standby);
  answer("active", Role::settling);
  now += 1s;
  answer("standby", Role::active);
  EXPECT_EQ(told<events::PairSplit>() + told<events::PairJoined>(), 0U);
}

TEST_F(PeerSightTest, DifferencesAreToldAtTheirBeginningAndTheirEnd) {
  PeerPage with = page("active");
  with.services = {{.name = "web", .listen = {}}};
  view.add(with);
  view.set_difference("web", compare_services(nullptr, view.find("web"), true));
  sight.on_differences(view);
  sight.on_differences(view);
  ASSERT_EQ(told<events::PeerDiffers>(), 1U);
  EXPECT_EQ(std::get<events::PeerDiffers>(events.back()).first, "service web: the peer has it, and this gateway has not");
  view.set_difference("web", {});
  sight.on_differences(view);
  EXPECT_EQ(told<events::PeerAgrees>(), 1U);
}

TEST_F(PeerSightTest, ClocksThatAreApartAreNamed) {
  PeerPage behind = page("active");
  behind.clock -= 60s;
  sight.on_answer(behind, Role::standby, now);
  EXPECT_THAT(sight.status(view, Role::standby, now).differs, Contains(HasSubstr("ahead of that of the peer: run an NTP client on both")));
}

TEST_F(PeerSightTest, StrangersAreToldOnceAMinute) {
  for (int count = 0; count < 100; ++count) sight.on_refused("192.0.2.1", now + std::chrono::seconds{count});
  EXPECT_EQ(told<events::PeerRefused>(), 2U);
}

} // namespace
} // namespace hanat
