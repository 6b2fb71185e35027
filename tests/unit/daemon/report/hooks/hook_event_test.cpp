// What a hook is told, as hanatd(8) has it: kinds of events, the document, the variables. Not here: when (hook_queue_test).
#include "daemon/report/hooks/hook_event.hpp"

#include <filesystem>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/unit/daemon/report/event_values.hpp"
#include "tests/unit/temp_dir.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::Contains;
using testing::HasSubstr;

events::ServerName hook_primary() { return {.role = "primary", .address = {Address::parse("10.0.0.11").value(), 8443}}; }
events::ServerName hook_backup() { return {.role = "backup", .address = {Address::parse("fd00::12").value(), 8443}}; }
events::Flipped hook_flip() {
  return {.from = hook_primary(), .to = hook_backup(), .reason = Reason::failover, .on_none = OnNone::refuse, .group = {}, .flip = {}};
}

std::optional<HookEvent> told(const Event& event) { return hook_event_of(event, text_of(event)); }
HookEvent told_of(events::Payload what) { return told(events::web(std::move(what))).value_or(HookEvent{}); }
std::string kind_of(events::Payload what) { return told_of(std::move(what)).event; }
HookBatch batch_of(std::vector<HookEvent> events) {
  HookBatch batch{.owner = "web", .count = events.size(), .first_at = events.front().at};
  for (HookEvent& event : events) batch.events.push_back(std::move(event));
  return batch;
}

TEST(HookEvents, OfFlipsAreForTheServiceAndTheDaemon) {
  const HookEvent flip = told_of(hook_flip());
  EXPECT_EQ(flip.event, "flip");
  EXPECT_EQ(flip.from, "primary");
  EXPECT_EQ(flip.to, "backup");
  EXPECT_EQ(flip.to_address, "[fd00::12]:8443");
  EXPECT_EQ(flip.why, "failover");
  EXPECT_EQ(flip.level, "warning");
  EXPECT_TRUE(is_for_service(flip));
  events::Flipped none = hook_flip();
  none.to.reset();
  EXPECT_EQ(told_of(none).to, "none");
  EXPECT_EQ(told_of(none).to_address, "");
  EXPECT_EQ(told_of(none).level, "error");
  const HookEvent first = told_of(events::FirstTarget{.to = hook_primary(), .group = {}});
  EXPECT_EQ(first.event, "target");
  EXPECT_EQ(first.from, "");
  EXPECT_EQ(first.to, "primary");
  EXPECT_TRUE(is_for_service(first));
  EXPECT_TRUE(is_for_service(told_of(events::FirstTarget{.to = std::nullopt, .group = {}}))) << "none from the beginning";
}

TEST(HookEvents, OfEverythingElseAreForTheDaemonAlone) {
  const HookEvent health = told_of(events::HealthChanged{.server = hook_backup(), .health = Health::down, .last = {}});
  EXPECT_EQ(health.event, "health");
  EXPECT_EQ(health.server, "backup");
  EXPECT_EQ(health.server_address, "[fd00::12]:8443");
  EXPECT_EQ(health.state, "down");
  EXPECT_FALSE(is_for_service(health));
  EXPECT_FALSE(is_for_service(told_of(events::Forced{.server = hook_backup(), .by = "ada", .until = {}, .reason = {}})));
  EXPECT_EQ(told_of(events::Forced{.server = hook_backup(), .by = "ada", .until = {}, .reason = {}}).by, "ada");
  EXPECT_EQ(told_of(events::RoleChanged{.to = Role::standby, .address = {}}).state, "standby");
  for (const auto& [kind, what] : std::initializer_list<std::pair<const char*, events::Payload>>{
           {"kernel", events::KernelRefused{"x"}},
           {"probes", events::ProbesInconclusive{}},
           {"daemon", events::StateNotSaved{"x"}},
           {"reload", events::ConfigRefused{.errors = 1}},
           {"start", events::Started{}},
           {"role", events::RoleChanged{.to = Role::standby, .address = {}}},
           {"pair", events::PairSplit{"peer"}},
           {"hook", events::HookFailed{}},
       })
    EXPECT_EQ(kind_of(what), kind);
}

TEST(HookEvents, AreNotMadeOfWhatEndsOrStays) {
  EXPECT_FALSE(told(events::web(events::FlowsCut{.flows = "web primary", .cut = {}, .flip = FlipStatus{}})));
  EXPECT_FALSE(told(events::web(events::Adopted{})));
  EXPECT_FALSE(told(events::web(events::Stopping{})));
  EXPECT_FALSE(told(events::web(events::DrainBegun{.flows = "web primary", .lasts = {}})));
}

TEST(HookEvents, OfModeObserveMoveNothing) {
  events::ShadowMoved moved{.from = hook_primary(), .to = hook_backup(), .last = {}, .loaded = {}, .group = {}};
  const HookEvent event = told_of(moved);
  EXPECT_EQ(event.event, "observe");
  EXPECT_EQ(event.to, "");
  EXPECT_FALSE(is_for_service(event));
}

TEST(HookDocument, IsAsDocumented) {
  HookEvent first = told_of(hook_flip()), second = first;
  second.at += 5ms;
  std::swap(second.from, second.to);
  second.from_address = second.to_address = "";
  const json document = json::parse(document_of(batch_of({first, second})));
  EXPECT_EQ(document.at("version"), 1);
  EXPECT_EQ(document.at("hook"), "web");
  EXPECT_EQ(document.at("count"), 2);
  EXPECT_EQ(document.at("first_at"), "2026-01-31T10:00:00.123Z");
  EXPECT_EQ(document.at("at"), "2026-01-31T10:00:00.128Z");
  EXPECT_EQ(document.at("event"), "flip");
  EXPECT_EQ(document.at("service"), "web");
  EXPECT_EQ(document.at("from"), "backup");
  EXPECT_EQ(document.at("to"), "primary");
  EXPECT_EQ(document.at("addresses"), (json{{"from", nullptr}, {"to", nullptr}, {"server", nullptr}}));
  ASSERT_EQ(document.at("events").size(), 2U);
  EXPECT_EQ(document.at("events")[0].at("to"), "backup");
  EXPECT_EQ(document.at("events")[0].at("addresses").at("to"), "[fd00::12]:8443");
  HookBatch own = batch_of({told({.at = events::made_at, .service = {}, .what = events::KernelRecovered{}}).value()});
  own.owner.clear();
  EXPECT_EQ(json::parse(document_of(own)).at("hook"), json());
  EXPECT_EQ(json::parse(document_of(own)).at("service"), json());
}

TEST(HookDocument, HasNoByteThatATerminalOrAShellCouldStumbleOver) {
  const events::Forced forced{.server = hook_backup(), .by = "ada", .until = {}, .reason = "a\"b\n$(rm)\x1b[2J\xff"};
  const HookBatch batch = batch_of({told_of(forced)});
  EXPECT_THAT(json::parse(document_of(batch)).at("text").get<std::string>(), HasSubstr(R"((a"b\x0a$(rm)\x1b[2J\xff))"));
  for (const std::string& variable : environment_of(batch)) EXPECT_EQ(variable.find_first_of("\n\x1b"), std::string::npos) << variable;
}

TEST(HookEnvironment, HasTheSameAsTheDocumentAndAPath) {
  const std::vector<std::string> variables = environment_of(batch_of({told_of(hook_flip())}));
  for (const char* variable :
       {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HANAT_HOOK_VERSION=1", "HANAT_HOOK=web", "HANAT_EVENT=flip",
        "HANAT_AT=2026-01-31T10:00:00.123Z", "HANAT_SERVICE=web", "HANAT_FROM=primary", "HANAT_TO=backup",
        "HANAT_FROM_ADDRESS=10.0.0.11:8443", "HANAT_TO_ADDRESS=[fd00::12]:8443", "HANAT_WHY=failover", "HANAT_SERVER=", "HANAT_COUNT=1",
        "HANAT_LEVEL=warning", "HANAT_FIRST_AT=2026-01-31T10:00:00.123Z"})
    EXPECT_THAT(variables, Contains(variable));
}

TEST(HookEnvironment, IsInTheManPageAsAWhole) {
  std::string page = test::read_text(std::filesystem::path{HANAT_SOURCE} / "packaging/man/hanatd.8.scd");
  std::erase(page, '\\');
  for (const std::string& variable : environment_of(batch_of({told_of(hook_flip())})))
    EXPECT_THAT(page, HasSubstr(variable.substr(0, variable.find('='))));
  for (const char* kind : {"flip", "target", "health", "override", "maintenance", "outage", "flapping", "path", "configuration", "reload",
                           "repair", "role", "pair", "observe", "probes", "kernel", "daemon", "hook", "start"})
    EXPECT_THAT(page, HasSubstr(fmt::format("_{}_", kind))) << kind;
}

} // namespace
} // namespace hanat
