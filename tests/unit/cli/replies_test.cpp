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
            "web: traffic goes to backup (10.0.0.12:8443) until 14:30:05 (30 min). To end that earlier:\n-> hanatctl auto web\n");
  json open = until;
  open["until"] = nullptr;
  EXPECT_EQ(force_reply({{"services", {open}}}, std::nullopt, now),
            "web: traffic goes to backup (10.0.0.12:8443), and stays there: no failover. To end that:\n-> hanatctl auto web\n");
  json waiting = open;
  waiting["pending"] = true;
  waiting["forced"] = "primary";
  EXPECT_EQ(force_reply({{"services", {waiting}}}, std::nullopt, now).find("web: is forced to primary; the traffic is still on backup"),
            0U);
  EXPECT_EQ(force_reply({{"services", json::array()}}, std::nullopt, now), "no services: nothing was forced\n");
  EXPECT_THROW(force_reply(json::object(), std::nullopt, now), json::exception);
}

TEST_F(ReplyText, OfATimeOnAnotherDayHasItsDate) {
  const json tomorrow = {{"name", "web"}, {"target", "primary"}, {"target_address", nullptr}, {"until", "2026-02-01T09:00:00.000Z"}};
  EXPECT_EQ(force_reply({{"services", {tomorrow}}}, std::nullopt, now),
            "web: traffic goes to primary until 2026-02-01 09:00:00. To end that earlier:\n-> hanatctl auto web\n");
}

TEST_F(ReplyText, OfAutoSaysWhetherThereWasAnOverride) {
  const json was = {{"name", "web"}, {"target", "primary"}, {"target_address", "10.0.0.11:8443"}, {"was_forced", true}};
  const json was_not = {{"name", "sip"}, {"target", "none"}, {"target_address", nullptr}, {"was_forced", false}};
  EXPECT_EQ(auto_reply({{"services", {was, was_not}}}, now),
            "web: the override has ended; traffic goes to primary (10.0.0.11:8443), and hanatd decides again\n"
            "sip: was not forced, nothing changed; traffic goes to no server\n");
}

TEST_F(ReplyText, OfReloadSaysWhatChanged) {
  EXPECT_EQ(reload_reply({{"services", 1}, {"changed", json::array()}}, {}), "the configuration is loaded: 1 service; nothing changed\n");
  EXPECT_EQ(reload_reply({{"services", 1}, {"settings", {"metrics"}}}, {}),
            "the configuration is loaded: 1 service; changed in [hanatd]: metrics\n");
  EXPECT_EQ(reload_reply({{"services", 3}, {"changed", {"web", "sip"}}}, {}),
            "the configuration is loaded: 3 services; changed: web, sip\n");
  EXPECT_EQ(reload_reply({{"services", 1}, {"added", {"new"}}, {"changed", json::array()}, {"removed", {"old"}}}, {}),
            "the configuration is loaded: 1 service; added: new; removed: old\n");
}

TEST_F(ReplyText, OfAReloadOnTrialSaysWhatCannotBeTakenBack) {
  const json mode = {{"key", "mode"}, {"before", "observe"}, {"after", "auto"}};
  const json web = {{"service", "web"},
                    {"change", "changed"},
                    {"keys", json::array({mode})},
                    {"flows", json::array()},
                    {"probes", {{"kept", 2}, {"started", 0}, {"ended", 0}}}};
  json reply = {{"services", 1}, {"changed", {"web"}}, {"plan", {{"changes", json::array({web})}, {"warnings", json::array()}}}};
  EXPECT_THAT(reload_reply(reply, {}), testing::Not(HasSubstr("taken back")));
  reply["unconfirmed"] = {{"by", "root"}, {"until", "2026-01-31T14:01:05.000Z"}};
  EXPECT_THAT(reload_reply(reply, {}),
              HasSubstr("!  mode observe has ended for web: taken back, that traffic would stay at the server that it then has, without "
                        "failover, and the rules of before get nothing more until the service is removed\n"));
}

TEST_F(ReplyText, OfForceForSeveralSaysOnlyOnceHowToEndIt) {
  const json web = {{"name", "web"}, {"target", "backup"}, {"target_address", "10.0.0.12:8443"}, {"until", nullptr}, {"group", "voice"}};
  json sip = web;
  sip["name"] = "sip";
  EXPECT_EQ(force_reply({{"services", {web, sip}}}, std::nullopt, now),
            "web (group voice): traffic goes to backup (10.0.0.12:8443)\nsip (group voice): traffic goes to backup (10.0.0.12:8443)\n"
            "the traffic of 2 services is forced, and stays there: no failover. To end that:\n-> hanatctl auto web\n");
  sip["group"] = nullptr;
  EXPECT_THAT(force_reply({{"services", {web, sip}}}, std::nullopt, now), HasSubstr("To end that:\n-> hanatctl auto --all\n"));
}

TEST_F(ReplyText, OfForceNamesTheOverridesThatItReplaces) {
  json web = {{"name", "web"}, {"target", "backup"}, {"target_address", "10.0.0.12:8443"}, {"until", nullptr}};
  json mail = web;
  mail["name"] = "mail";
  mail["replaced"] = {{"target", "primary"}, {"by", "ann"}, {"until", "2026-01-31T14:30:05.000Z"}, {"reason", "new disk"}};
  const std::string text = force_reply({{"services", {web, mail}}}, std::nullopt, now);
  EXPECT_THAT(text, HasSubstr("web: traffic goes to backup (10.0.0.12:8443)\n"));
  EXPECT_THAT(text, HasSubstr("mail: traffic goes to backup (10.0.0.12:8443); this replaces the override to primary by ann until 14:30:05 "
                              "(\"new disk\")\n"));
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
