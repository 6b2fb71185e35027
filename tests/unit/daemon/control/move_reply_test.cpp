// What is replied to a move: whether it is still to come, what becomes of old connections, and what the way back waits for.
#include "daemon/control/move_reply.hpp"

#include "daemon/failover/drains.hpp"
#include "tests/unit/daemon/failover/fixture.hpp"

namespace hanat::test {
namespace {

constexpr FlowPolicy ten_minutes{.action = FlowAction::drain, .time = 10min};

class ReplyToMove : public testing::Test, protected Flows {
protected:
  ServiceState& begin() {
    ServiceConfig config = small_service("web", 443);
    config.on_failover = a_minute;
    ServiceState& web = add_at(config, 0);
    judge(Health::up, Health::up);
    return web;
  }
  void judge(Health primary, Health backup) {
    ServiceState& web = *registry.find("web");
    set_health(web.servers[0], primary, now);
    set_health(web.servers[1], backup, now);
    evaluate(web, now);
  }
  static nlohmann::json reply_to(ServiceState& web, nlohmann::json drains = {}) {
    return move_reply({.service = &web, .flips = web.flips, .drains = std::move(drains)});
  }
};

TEST_F(ReplyToMove, WhatDrainsAlreadyHasItsEndWhetherOldOrNew) {
  ServiceState& web = begin();
  EXPECT_TRUE(running_drains(web, 0, ten_minutes).is_null());
  go(web, to_server(1));
  const nlohmann::json running = running_drains(web, 0, {});
  EXPECT_EQ(running.at("server"), "primary");
  EXPECT_EQ(running.at("address"), "198.18.1.2:443");
  EXPECT_EQ(running.at("action"), "drain");
  EXPECT_EQ(running.at("until"), to_text(*web.evictions.front().drain->until_wall));
  EXPECT_GT(running_drains(web, std::nullopt, ten_minutes).at("until"), running.at("until"));
  const nlohmann::json reset = running_drains(web, 0, FlowPolicy{});
  EXPECT_EQ(reset.at("action"), "reset");
  EXPECT_TRUE(reset.at("until").is_null());
  EXPECT_TRUE(running_drains(web, 1, {}).is_null()) << "of the other server";
  EXPECT_EQ(reply_to(web, reset).at("old_connections"), reset);
}

TEST_F(ReplyToMove, AMoveIsPendingUntilTheTrafficHasLeft) {
  ServiceState& web = begin();
  EXPECT_FALSE(reply_to(web).at("pending"));
  web.force = Override{.server = 1, .until = {}, .until_wall = {}, .since = {}, .reason = {}, .by = "root"};
  EXPECT_TRUE(reply_to(web).at("pending"));
  go(web, to_server(1));
  EXPECT_FALSE(reply_to(web).at("pending"));
  web.force.reset();
  web.override_ended = true;
  EXPECT_TRUE(reply_to(web).at("pending")) << "the primary is up";
  judge(Health::down, Health::up);
  EXPECT_FALSE(reply_to(web).at("pending"));
  web.shadow.emplace();
  EXPECT_EQ(reply_to(web).at("mode"), "observe");
}

TEST_F(ReplyToMove, OfAnEnabledServerSaysWhatTheWayBackWaitsFor) {
  ServiceState& web = begin();
  const auto way_back = [&web](std::size_t server) {
    nlohmann::json reply = move_reply({.service = &web, .flips = web.flips}, server);
    add_way_back(reply, web, server);
    return reply;
  };
  EXPECT_TRUE(way_back(1).at("waits_for").is_null()) << "it is a backup, and the primary works";
  go(web, to_server(1));
  judge(Health::down, Health::up);
  EXPECT_EQ(way_back(0).at("waits_for"), "up");
  EXPECT_EQ(way_back(0).at("health"), "down");
  web.config.edit().failback.automatic = false;
  EXPECT_EQ(way_back(0).at("waits_for"), "operator");
}

} // namespace
} // namespace hanat::test
