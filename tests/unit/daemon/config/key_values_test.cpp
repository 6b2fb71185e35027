// Every key of a service that differs is named, with its old and its new value; what may be secret is not shown. Not here: reading keys
// (read_service_test).
#include "daemon/config/key_values.hpp"

#include <functional>

#include <gmock/gmock.h>

#include "daemon/config/load_config.hpp"

namespace hanat {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

ServiceConfig web_with(const std::string& lines) {
  const std::string text =
      "[service.web]\nlisten = \"203.0.113.10:443/tcp\"\nprimary = \"10.0.0.11:8443\"\nbackup = \"10.0.0.12:8443\"\n" + lines;
  const ConfigResult result = parse_config(text, "test");
  if (const auto* errors = std::get_if<std::vector<ConfigError>>(&result)) ADD_FAILURE() << to_text(errors->front()) << "\n" << text;
  return std::holds_alternative<Config>(result) ? std::get<Config>(result).services.at(0) : Shared<ServiceConfig>{};
}
std::vector<KeyDifference> between(const std::string& before, const std::string& after) {
  return differences(web_with(before), web_with(after));
}

TEST(KeyValues, OfEqualServicesDoNotDiffer) {
  EXPECT_TRUE(between("", "").empty());
  EXPECT_TRUE(between("probe = { type = \"http\" }", "probe = { type = \"http\" }").empty());
}

TEST(KeyValues, OfAHookAreNotShownForItsArgumentsMayBeSecret) {
  const auto keys = between("", "hook = [\"/tell\", \"https://example.com/secret\"]");
  ASSERT_EQ(keys.size(), 2U);
  EXPECT_EQ(keys[0].key, "hook");
  EXPECT_EQ(keys[0].after, "(not shown)");
  EXPECT_EQ(keys[1].key, "hook_timeout");
  EXPECT_EQ(keys[1].after, "10s");
  EXPECT_TRUE(between("hook = []", "").empty());
}

TEST(KeyValues, AreNamedWithTheOldAndTheNewOne) {
  using Rows = std::vector<std::array<std::string, 5>>; // before, after, key, old, new
  for (const auto& [before, after, key, old_value, new_value] : Rows{
           {"down = { fails = 3, within = \"10s\" }", "down = { fails = 2, within = \"5s\" }", "down", "3 in 10s", "2 in 5s"},
           {"up = { passes = 2, stable_for = \"5s\" }", "up = { passes = 3, stable_for = \"1m\" }", "up", "2 over 5s", "3 over 1m"},
           {"failback = \"auto\"", "failback = \"manual\"", "failback", "auto", "manual"},
           {"", "failback = { after = \"30s\", window = \"02:00-04:00\" }", "failback", "auto", "auto after 30s window 02:00-04:00"},
           {"", "on_failover = \"drain 60s\"", "on_failover", "reset", "drain 1m"},
           {"", "failback = { penalty = \"1h\" }", "failback", "auto", "auto penalty 1h"},
           {"", "on_none = \"keep\"", "on_none", "refuse", "keep"},
           {"", "none_after = \"5s\"", "none_after", "3s", "5s"},
           {"", "witness = \"192.0.2.1:53\"", "witness", "", "192.0.2.1:53"},
           {"probe = { type = \"tcp\", slow = \"1ms\" }", "probe = { type = \"tcp\", slow = \"1ms\", critical = true }", "probe.critical",
            "", "true"},
           {"", "hold = false", "hold", "true", "false"},
           {"", "nudge = false", "nudge", "true", "false"},
           {"", "offload = true", "offload", "false", "true"},
           {"", "mode = \"observe\"", "mode", "auto", "observe"},
           {"", "probe = { type = \"tcp\", interval = \"2s\" }", "probe.interval", "1s", "2s"},
           {"probe = { type = \"http\", body = \"ok\" }", "probe = { type = \"http\", body = \"okay\" }", "probe.body", "\"ok\"",
            "\"okay\""},
           {"probe = { type = \"http\" }", "probe = { type = \"http\", status = \"200-204\" }", "probe.status", "", "200-204"},
       }) {
    const auto found = between(before, after);
    EXPECT_THAT(found, ElementsAre(KeyDifference{.key = key, .before = old_value, .after = new_value})) << before << " / " << after;
  }
}

TEST(KeyValues, OfServersStandUnderTheirRoles) {
  ServiceConfig before = web_with(""), after = before;
  after.servers[0].addresses[0].port = 9443;
  EXPECT_THAT(differences(before, after),
              ElementsAre(KeyDifference{.key = "primary", .before = "10.0.0.11:8443", .after = "10.0.0.11:9443"}));
  after = before;
  after.servers[1].probes[0].timeout = std::chrono::milliseconds{100};
  EXPECT_THAT(differences(before, after), ElementsAre(KeyDifference{.key = "backup.probe.timeout", .before = "500ms", .after = "100ms"}));
  after = before;
  after.servers.pop_back();
  EXPECT_THAT(differences(before, after).front().after, "");
}

TEST(KeyValues, ThatMayBeSecretAreNotShown) {
  const auto found = between("probe = { type = \"http\", headers = [\"Authorization: Bearer one\"] }",
                             "probe = { type = \"http\", headers = [\"Authorization: Bearer two\"] }");
  ASSERT_EQ(found.size(), 1U);
  EXPECT_THAT(between("probe = { type = \"http\", method = \"POST\", request_body = \"one\" }",
                      "probe = { type = \"http\", method = \"POST\", request_body = \"two\" }"),
              ElementsAre(KeyDifference{.key = "probe.request_body", .before = "(not shown)", .after = "(not shown)"}));
  EXPECT_EQ(found[0].key, "probe.headers");
  for (const std::string& text : {found[0].before, found[0].after}) EXPECT_THAT(text, Not(HasSubstr("Bearer")));
  const auto sent =
      between("probe = { type = \"tcp\", send = \"one\", expect = \"x\" }", "probe = { type = \"tcp\", send = \"two\", expect = \"x\" }");
  EXPECT_THAT(sent, ElementsAre(KeyDifference{.key = "probe.send", .before = "(not shown)", .after = "(not shown)"}));
}

TEST(KeyValues, OfTheDaemonItselfLikewise) {
  Config before, after;
  after.operators = "ops";
  after.reconcile = std::chrono::seconds{30};
  after.path_check = {.clients = true, .interval = std::chrono::seconds{60}};
  EXPECT_THAT(differences(before, after), ElementsAre(KeyDifference{.key = "operators", .before = "", .after = "ops"},
                                                      KeyDifference{.key = "path_check", .before = "clients", .after = "1m"},
                                                      KeyDifference{.key = "reconcile", .before = "1m", .after = "30s"}));
  EXPECT_THAT(changed_settings(before, after), ElementsAre("operators", "path_check", "reconcile"));
  before.probe_ports = {.first = 20'000, .last = 20'499};
  EXPECT_EQ(differences(before, after)[2], (KeyDifference{.key = "probe_ports", .before = "20000-20499", .after = "61000-61999"}));
  before.path_check.clients = false;
  EXPECT_EQ(differences(before, after)[1].before, "off");
}

TEST(KeyValues, OfAPairLikewise) {
  Config before, after;
  after.pair = PairConfig{.address = Address::parse("203.0.113.10").value_or(Address{})};
  EXPECT_THAT(differences(before, after), ElementsAre(KeyDifference{.key = "pair.address", .before = "", .after = "203.0.113.10"},
                                                      KeyDifference{.key = "pair.settle", .before = "", .after = "2s"}));
  before = after;
  after.pair->track_file = "/run/hanat/fit";
  EXPECT_THAT(changed_settings(before, after), ElementsAre("pair.track_file"));
}

} // namespace
} // namespace hanat
