// What hanatctl says after a command, and after a refusal.
#include "cli/replies.hpp"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "tests/unit/cli/show_fixture.hpp"

namespace hanat::cli {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using ReplyText = Show;

TEST_F(ReplyText, OfForceSaysWhereUntilWhenAndHowToEndIt) {
  const json until = {{"name", "web"}, {"target", "backup"}, {"target_address", "10.0.0.12:8443"}, {"until", "2026-01-31T14:30:05.000Z"}};
  EXPECT_EQ(force_reply({{"services", {until}}}, std::chrono::minutes{30}, now),
            "web: traffic goes to backup (10.0.0.12:8443) until 14:30:05 (30 min); hanatctl auto web ends it\n");
  json open = until;
  open["until"] = nullptr;
  EXPECT_EQ(force_reply({{"services", {open}}}, std::nullopt, now),
            "web: traffic goes to backup (10.0.0.12:8443), without failover, until you end it: hanatctl auto web\n");
  json waiting = open;
  waiting["pending"] = true;
  waiting["forced"] = "primary";
  EXPECT_EQ(force_reply({{"services", {waiting}}}, std::nullopt, now).find("web: forced to primary, without failover"), 0U);
  EXPECT_EQ(force_reply({{"services", json::array()}}, std::nullopt, now), "no services: nothing was forced\n");
  EXPECT_THROW(force_reply(json::object(), std::nullopt, now), json::exception);
}

TEST_F(ReplyText, OfATimeOnAnotherDayHasItsDate) {
  const json tomorrow = {{"name", "web"}, {"target", "primary"}, {"target_address", nullptr}, {"until", "2026-02-01T09:00:00.000Z"}};
  EXPECT_EQ(force_reply({{"services", {tomorrow}}}, std::nullopt, now),
            "web: traffic goes to primary until 2026-02-01 09:00:00; hanatctl auto web ends it\n");
}

TEST_F(ReplyText, OfAutoSaysWhetherThereWasAnOverride) {
  const json was = {{"name", "web"}, {"target", "primary"}, {"target_address", "10.0.0.11:8443"}, {"was_forced", true}};
  const json was_not = {{"name", "sip"}, {"target", "none"}, {"target_address", nullptr}, {"was_forced", false}};
  EXPECT_EQ(auto_reply({{"services", {was, was_not}}}, now),
            "web: the override has ended; traffic goes to primary (10.0.0.11:8443), and hanatd decides again\n"
            "sip: was not forced, nothing changed; traffic goes to no server\n");
}

TEST_F(ReplyText, OfReloadSaysWhatChanged) {
  EXPECT_EQ(reload_reply({{"services", 1}, {"changed", json::array()}}), "the configuration is loaded: 1 service; nothing changed\n");
  EXPECT_EQ(reload_reply({{"services", 1}, {"settings", {"metrics"}}}),
            "the configuration is loaded: 1 service; changed in [hanatd]: metrics\n");
  EXPECT_EQ(reload_reply({{"services", 3}, {"changed", {"web", "sip"}}}), "the configuration is loaded: 3 services; changed: web, sip\n");
  EXPECT_EQ(reload_reply({{"services", 1}, {"added", {"new"}}, {"changed", json::array()}, {"removed", {"old"}}}),
            "the configuration is loaded: 1 service; added: new; removed: old\n");
}

TEST_F(ReplyText, OfForceForSeveralSaysOnlyOnceHowToEndIt) {
  const json web = {{"name", "web"}, {"target", "backup"}, {"target_address", "10.0.0.12:8443"}, {"until", nullptr}, {"group", "voice"}};
  json sip = web;
  sip["name"] = "sip";
  EXPECT_EQ(force_reply({{"services", {web, sip}}}, std::nullopt, now),
            "web (group voice): traffic goes to backup (10.0.0.12:8443)\nsip (group voice): traffic goes to backup (10.0.0.12:8443)\n"
            "2 services are forced, without failover, until you end it: hanatctl auto web\n");
  sip["group"] = nullptr;
  EXPECT_THAT(force_reply({{"services", {web, sip}}}, std::nullopt, now), HasSubstr("until you end it: hanatctl auto --all\n"));
}

TEST_F(ReplyText, OfARefusalListsErrorsAndSuggests) {
  EXPECT_EQ(refusal_text({"Refused", "backup is down\x1b[2J\nuse --even-if-down", json::object()}, "force-backup", "web"),
            "backup is down\\x1b[2J\nuse --even-if-down");
  EXPECT_EQ(refusal_text({"UnknownService", "no service wbe", {{"services", {"web", "sip"}}}}, "status", "wbe"),
            "no service wbe: did you mean \"web\"?");
  EXPECT_EQ(refusal_text({"UnknownService", "no service x", {{"services", {"web", "sip"}}}}, "status", "x"), "no service x");
  EXPECT_EQ(refusal_text({"NotPermitted", "nobody may only look: be root (sudo)", json::object()}, "force-backup", "web"),
            "force-backup changes the daemon, and nobody may only look: be root (sudo)");
  const Refusal bad{"BadConfiguration", "the old configuration stays", {{"errors", {"a.toml:1:2: bad", "a.toml:2:1: worse"}}}};
  EXPECT_EQ(error_lines(bad), "a.toml:1:2: bad\na.toml:2:1: worse\n");
  EXPECT_EQ(refusal_text(bad, "reload", ""), "the old configuration stays");
}

} // namespace
} // namespace hanat::cli
