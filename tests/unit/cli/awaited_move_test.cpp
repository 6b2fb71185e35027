// What --wait takes for the end: never while the traffic is still on the server, and not when somebody moved it back.
#include "cli/awaited_move.hpp"

#include <nlohmann/json.hpp>

#include "tests/unit/cli/show_fixture.hpp"

namespace hanat::cli {
namespace {

using nlohmann::json;
using State = AwaitedMove::State;
using Awaited = Show;

json reply_with(const char* target, bool pending) {
  return {{"name", "web"}, {"mode", "auto"}, {"server", "primary"}, {"target", target}, {"pending", pending}, {"old_connections", nullptr}};
}
json with_old(json service) {
  service["old_connections"] = {{"server", "primary"}, {"address", "10.0.0.11:8443"}, {"action", "drain"}, {"until", nullptr}};
  return service;
}
ServiceStatus drained_from(std::optional<std::uint64_t> left) {
  ServiceStatus status = failed_over();
  status.draining = {{.server = "primary", .address = "10.0.0.11:8443", .drained = 2, .left = left, .ends_in_s = 30}};
  return status;
}
ServiceStatus with_disabled(ServiceStatus status) {
  status.servers[0].disabled = DisabledStatus{.since = "2026-01-31T13:00:00.000Z", .until = {}, .reason = "", .by = "root"};
  return status;
}

TEST_F(Awaited, DisablingIsNotOverWhileTheTrafficIsStillOnTheServer) {
  AwaitedMove move{Command::disable, reply_with("primary", true)};
  EXPECT_EQ(move.server(), "primary");
  EXPECT_EQ(move.look(with_disabled(web())), State::moving) << "nothing drains yet, and no flip was from it";
  EXPECT_EQ(move.look(with_disabled(drained_from(5))), State::draining);
  EXPECT_EQ(move.look(with_disabled(failed_over())), State::gone);
}

TEST_F(Awaited, AServerThatIsEnabledAgainOrHasTheTrafficAgainIsNotDone) {
  AwaitedMove pending{Command::disable, reply_with("primary", true)};
  EXPECT_EQ(pending.look(web()), State::undone) << "it is no longer disabled";
  AwaitedMove moved{Command::disable, with_old(reply_with("backup", false))};
  EXPECT_EQ(moved.look(with_disabled(drained_from(5))), State::draining);
  EXPECT_EQ(moved.look(web()), State::undone);
}

TEST_F(Awaited, APendingOverrideMovesFirst) {
  AwaitedMove move{Command::force_backup, reply_with("primary", true)};
  EXPECT_EQ(move.server(), "primary") << "where the traffic still is";
  ServiceStatus status = web();
  status.forced = ForcedStatus{.target = "backup", .until = {}, .reason = "", .by = "root"};
  EXPECT_EQ(move.look(status), State::moving);
  status.forced.reset();
  EXPECT_EQ(AwaitedMove{move}.look(status), State::undone) << "somebody ended it";
  status = failed_over();
  status.cutting = {"primary"};
  EXPECT_EQ(move.look(status), State::draining) << "the cut runs";
  status.cutting = {"backup"};
  EXPECT_EQ(move.look(status), State::gone);
}

TEST_F(Awaited, APendingWayBackWaitsForAsLongAsABetterServerIsUp) {
  json service = reply_with("backup", true);
  service.erase("server");
  AwaitedMove move{Command::automatic, service};
  EXPECT_EQ(move.server(), "backup");
  ServiceStatus status = web();
  status.target = "backup";
  EXPECT_EQ(move.look(status), State::moving);
  status.servers[0].health = "down";
  EXPECT_EQ(AwaitedMove{move}.look(status), State::undone);
  EXPECT_EQ(move.look(web()), State::gone);
}

TEST_F(Awaited, NothingIsWaitedForWhereNothingMoves) {
  EXPECT_EQ((AwaitedMove{Command::force_backup, reply_with("backup", false)}.server()), "");
  json observed = reply_with("primary", false);
  observed["mode"] = "observe";
  EXPECT_EQ((AwaitedMove{Command::disable, observed}.server()), "");
}

TEST_F(Awaited, WhatDrainsIsCountedWithWhatHasEnded) {
  EXPECT_EQ(draining_from(drained_from(5), "primary"), 7U);
  EXPECT_EQ(draining_from(drained_from(std::nullopt), "primary"), std::nullopt);
  EXPECT_EQ(draining_from(web(), "primary"), std::nullopt) << "not begun yet";
  const json old = old_connections_in(drained_from(5), "primary", now);
  EXPECT_EQ(old.at("action"), "drain");
  EXPECT_EQ(old.at("until"), "2026-01-31T14:00:35.000Z");
  EXPECT_EQ(old_connections_in(failed_over(), "primary", now).at("action"), "reset");
}

} // namespace
} // namespace hanat::cli
