// What hanatctl says of traffic that an operator moved: the connections of the old target, and servers out of service. Not here: what it
// says of an override itself (replies_test).
#include "cli/replies.hpp"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "tests/unit/cli/show_fixture.hpp"

namespace hanat::cli {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using MoveReply = Show;

json moved(const char* action) {
  json until = nullptr;
  if (action == std::string{"drain"}) until = "2026-01-31T14:01:05.000Z";
  const json old = {{"server", "primary"}, {"address", "10.0.0.11:8443"}, {"action", action}, {"until", until}, {"number", 5}};
  return {{"name", "web"}, {"target", "backup"}, {"target_address", "10.0.0.12:8443"}, {"until", nullptr}, {"old_connections", old}};
}
json reply_of(const json& service) { return {{"services", json::array({service})}}; }

TEST_F(MoveReply, SaysHowManyConnectionsDrainAndUntilWhen) {
  EXPECT_EQ(force_reply(reply_of(moved("drain")), std::nullopt, now),
            "web: traffic goes to backup (10.0.0.12:8443), and stays there: no failover\n"
            "  5 connections of primary drain: what is left at 14:01:05 (in 1 min) is cut (hanatctl status web shows them)\n"
            "To end that:\n-> hanatctl auto web\n");
  json one = moved("drain");
  one["old_connections"]["number"] = 1;
  EXPECT_THAT(force_reply(reply_of(one), std::nullopt, now), HasSubstr("  1 connection of primary drains: "));
  json none = moved("drain");
  none["old_connections"]["number"] = 0;
  EXPECT_THAT(force_reply(reply_of(none), std::nullopt, now), HasSubstr("\n  primary had no connections\n"));
  json unknown = moved("drain");
  unknown["old_connections"].erase("number");
  EXPECT_THAT(force_reply(reply_of(unknown), std::nullopt, now), HasSubstr("\n  the connections of primary drain: "));
}

TEST_F(MoveReply, SaysHowManyConnectionsAreResetOrStay) {
  EXPECT_THAT(force_reply(reply_of(moved("reset")), std::nullopt, now), HasSubstr("\n  5 connections of primary are reset\n"));
  EXPECT_THAT(force_reply(reply_of(moved("keep")), std::nullopt, now),
              HasSubstr("\n  5 connections of primary stay until they end by themselves\n"));
  json back = moved("drain");
  back["was_forced"] = true;
  EXPECT_THAT(auto_reply(reply_of(back), now), HasSubstr("hanatd decides again\n  5 connections of primary drain"));
}

TEST_F(MoveReply, OfADrillSaysWhenItEndsAndHowToEndItNow) {
  json drill = moved("drain");
  drill["until"] = "2026-01-31T14:00:35.000Z";
  EXPECT_EQ(drill_reply(reply_of(drill), now), "a drill of web: traffic goes to backup (10.0.0.12:8443)\n"
                                               "It ends at 14:00:35 (in 30 s), or when that server goes down, and the traffic returns by "
                                               "itself. Ctrl-C here ends it at once, and so "
                                               "does anywhere:\n-> hanatctl auto web\n");
}

TEST_F(MoveReply, OfASoftPinSaysThatItEndsWithItsServer) {
  json soft = moved("keep");
  soft["until_down"] = true;
  EXPECT_THAT(force_reply(reply_of(soft), std::nullopt, now), AllOf(HasSubstr(", and stays there until that server goes down\n"),
                                                                    HasSubstr("\nTo end that earlier:\n-> hanatctl auto web\n")));
  soft["until"] = "2026-01-31T14:30:05.000Z";
  EXPECT_THAT(force_reply(reply_of(soft), std::chrono::minutes{30}, now),
              HasSubstr(" until 14:30:05 (30 min), or until that server goes down\n"));
}

TEST_F(MoveReply, OfAGroupSaysOfEachWhatItReplacesAndDrainsAndOnceHowToEndIt) {
  json web = moved("drain"), sip = moved("reset");
  sip["name"] = "sip";
  for (json* service : {&web, &sip}) (*service)["group"] = "voice";
  sip["replaced"] = {{"target", "primary"}, {"by", "ann"}, {"until", nullptr}, {"reason", ""}};
  EXPECT_EQ(force_reply({{"services", {web, sip}}}, std::nullopt, now),
            "web (group voice): traffic goes to backup (10.0.0.12:8443)\n"
            "  5 connections of primary drain: what is left at 14:01:05 (in 1 min) is cut (hanatctl status web shows them)\n"
            "sip (group voice): traffic goes to backup (10.0.0.12:8443); this replaces the override to primary by ann\n"
            "  5 connections of primary are reset\n"
            "the traffic of 2 services is forced, and stays there: no failover. To end that:\n-> hanatctl auto web\n");
}

TEST_F(MoveReply, OfDisableSaysUntilWhenAndWhereTheTrafficGoes) {
  json disabled = moved("drain");
  disabled.update({{"server", "primary"}, {"server_address", "10.0.0.11:8443"}, {"pending", false}, {"until", "2026-01-31T14:30:05.000Z"}});
  EXPECT_EQ(disable_reply(reply_of(disabled), now),
            "web: primary (10.0.0.11:8443) is disabled until 14:30:05 (in 30 min), and is never chosen\n"
            "  traffic goes to backup (10.0.0.12:8443)\n"
            "  5 connections of primary drain: what is left at 14:01:05 (in 1 min) is cut (hanatctl status web shows them)\n"
            "To enable it earlier:\n-> hanatctl enable web primary\n");
  disabled["until"] = nullptr;
  disabled["pending"] = true;
  disabled["old_connections"] = nullptr;
  EXPECT_EQ(disable_reply(reply_of(disabled), now), "web: primary (10.0.0.11:8443) is disabled, and is never chosen\n"
                                                    "  the traffic is still on it: the move is under way, and hanatctl status shows when "
                                                    "it is done\n"
                                                    "To enable it again:\n-> hanatctl enable web primary\n");
  disabled["pending"] = false;
  disabled["target"] = "none";
  disabled["why"] = "no-server-up";
  EXPECT_THAT(disable_reply(reply_of(disabled), now), HasSubstr("\n  no server is left: clients are turned away\n"));
  disabled["why"] = "starting";
  EXPECT_THAT(disable_reply(reply_of(disabled), now), HasSubstr("\n  no server has the traffic yet: nothing is decided\n"));
}

TEST_F(MoveReply, InModeObserveNothingMoves) {
  json service = moved("drain");
  service.update({{"server", "primary"}, {"server_address", "10.0.0.11:8443"}, {"pending", false}, {"mode", "observe"}});
  service["old_connections"] = nullptr;
  EXPECT_THAT(
      disable_reply(reply_of(service), now),
      HasSubstr("\n  mode is observe: hanatd moves no traffic because of this; when mode is auto again, new connections avoid it\n"));
  service["was_forced"] = true;
  EXPECT_THAT(auto_reply(reply_of(service), now), HasSubstr("\n  mode is observe: hanatd moves no traffic because of this\n"));
}

TEST_F(MoveReply, OfAReportSaysNothingOfTrafficThatItDoesNotMove) {
  json service = moved("reset");
  service.update({{"server", "backup2"}, {"server_address", "10.0.0.13:8443"}, {"health", "full"}, {"old_connections", nullptr}});
  EXPECT_EQ(report_reply(reply_of(service), now), "web: backup2 (10.0.0.13:8443) is full: its probes decide\n");
  service.update({{"server", "backup"}, {"server_address", "10.0.0.12:8443"}});
  EXPECT_EQ(report_reply(reply_of(service), now),
            "web: backup (10.0.0.12:8443) is full: its probes decide; traffic goes to backup (10.0.0.12:8443)\n")
      << "no other one is up";
  service = moved("reset");
  service.update({{"server", "primary"}, {"server_address", "10.0.0.11:8443"}, {"health", "full"}});
  EXPECT_EQ(report_reply(reply_of(service), now),
            "web: primary (10.0.0.11:8443) is full: its probes decide; traffic goes to backup (10.0.0.12:8443)\n"
            "  5 connections of primary are reset\n");
  service["mode"] = "observe";
  EXPECT_THAT(report_reply(reply_of(service), now), HasSubstr("; mode is observe: hanatd moves no traffic because of this\n"));
}

TEST_F(MoveReply, OfAMoveThatIsStillToComeSaysWhereTheTrafficIs) {
  json service = moved("drain");
  service["old_connections"] = nullptr;
  service.update({{"pending", true}, {"forced", "backup2"}, {"was_forced", true}});
  EXPECT_THAT(force_reply(reply_of(service), std::nullopt, now),
              HasSubstr("web: is forced to backup2; the traffic is still on backup (10.0.0.12:8443): the move is under way"));
  EXPECT_THAT(auto_reply(reply_of(service), now),
              HasSubstr("web: the override has ended; the traffic is still on backup (10.0.0.12:8443): the move is under way"));
}

TEST_F(MoveReply, OfEnableSaysWhatTheWayBackWaitsFor) {
  json enabled = {{"name", "web"},         {"server", "primary"},  {"server_address", "10.0.0.11:8443"},
                  {"was_disabled", true},  {"target", "backup"},   {"target_address", "10.0.0.12:8443"},
                  {"failback_in_s", 30.0}, {"waits_for", "after"}, {"old_connections", nullptr}};
  EXPECT_EQ(enable_reply(reply_of(enabled), now),
            "web: primary (10.0.0.11:8443) is enabled again; traffic goes to backup (10.0.0.12:8443), "
            "and returns to primary in 30 s\n");
  enabled["waits_for"] = "operator";
  EXPECT_THAT(enable_reply(reply_of(enabled), now),
              HasSubstr("\nfailback is manual. To move the traffic back:\n-> hanatctl force-primary web\n-> hanatctl auto web\n"));
  enabled["failback_in_s"] = nullptr;
  enabled["health"] = "down";
  EXPECT_EQ(enable_reply(reply_of(enabled), now),
            "web: primary (10.0.0.11:8443) is enabled again; traffic goes to backup (10.0.0.12:8443), but primary is down\n"
            "failback is manual. To move the traffic back when it is up:\n-> hanatctl force-primary web\n-> hanatctl auto web\n");
  enabled["waits_for"] = "up";
  EXPECT_EQ(enable_reply(reply_of(enabled), now),
            "web: primary (10.0.0.11:8443) is enabled again; traffic goes to backup (10.0.0.12:8443), "
            "and primary is down: it gets the traffic when it is up\n");
  enabled["waits_for"] = nullptr;
  EXPECT_THAT(enable_reply(reply_of(enabled), now), HasSubstr(", but primary is down\n"));
  enabled["was_disabled"] = false;
  EXPECT_EQ(enable_reply(reply_of(enabled), now),
            "web: primary (10.0.0.11:8443) was not disabled, nothing changed; traffic goes to backup (10.0.0.12:8443)\n");
}

TEST_F(MoveReply, BehindAWaitSaysWhatBecameOfThem) {
  json service = moved("drain");
  EXPECT_EQ(waited_reply(reply_of(service)), "") << "nothing was waited for";
  service.update({{"waited", "gone"}, {"waited_for", "primary"}});
  EXPECT_EQ(waited_reply(reply_of(service)), "web: the old connections of primary are gone\n");
  service["old_connections"]["ended"] = 3;
  service["old_connections"]["cut"] = 2;
  EXPECT_EQ(waited_reply(reply_of(service)), "web: the old connections of primary are gone: 3 ended by themselves, 2 were cut\n");
  service["waited"] = "undone";
  EXPECT_EQ(waited_reply(reply_of(service)),
            "web: NOT DONE: primary has the traffic, because somebody decided otherwise meanwhile; do not shut it down\n");
}

} // namespace
} // namespace hanat::cli
