// Commands over the link of a pair: what is sent is run, with who asked; what is not such a command is refused.
#include <string>
#include <variant>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/control/forwarding.hpp"

namespace hanat {
namespace {

using nlohmann::json;
using testing::HasSubstr;

Call force_call() {
  return {.method = "Force", .parameters = {{"service", "web"}, {"server", "any-backup"}, {"reason", "disk"}}, .peer = {}};
}
ControlError error_in(const std::string& bytes) {
  const auto reply = parse_command_reply(bytes);
  const auto* const error = std::get_if<ControlError>(&reply);
  return error == nullptr ? ControlError{.name = "none", .message = ""} : *error;
}
const auto run_nothing = [](const Call&) -> json { throw std::logic_error("it was run"); };

TEST(Forwarding, WhatChangesTheListIsForwardedAndNothingElse) {
  for (const char* method : {"Force", "Auto", "Disable", "Enable"}) EXPECT_TRUE(is_forwarded(method)) << method;
  for (const char* method : {"Status", "Reload", "Confirm", "Settled", "ProbeServers"}) EXPECT_FALSE(is_forwarded(method)) << method;
}

TEST(Forwarding, ACommandIsRunThereWithWhoAskedAndWhere) {
  Call seen;
  const std::string bytes = run_command(command_bytes(force_call(), "ann"), "198.18.9.2", [&](const Call& call) {
    seen = call;
    return json{{"services", json::array({1})}};
  });
  EXPECT_EQ(seen.method, "Force");
  EXPECT_EQ(seen.parameters, force_call().parameters);
  EXPECT_EQ(seen.asked_by(), "ann at 198.18.9.2");
  const auto reply = parse_command_reply(bytes);
  ASSERT_TRUE(std::holds_alternative<json>(reply));
  EXPECT_EQ(std::get<json>(reply), (json{{"services", json::array({1})}}));
}

TEST(Forwarding, ARefusalComesBackAsItWas) {
  const ControlError error = error_in(run_command(command_bytes(force_call(), "ann"), "198.18.9.2", [](const Call&) -> json {
    throw ControlError{"UnknownService", "no service \"web\"", {{"services", {"mail"}}}};
  }));
  EXPECT_EQ(error.name, "UnknownService");
  EXPECT_EQ(error.message, "no service \"web\"");
  EXPECT_EQ(error.parameters, (json{{"services", {"mail"}}}));
  EXPECT_EQ(error_in(refuse_command("not active")).name, "Refused");
}

TEST(Forwarding, WhatIsNoSuchCommandIsNotRun) {
  const auto said = [](const json& command) { return error_in(run_command(command.dump(), "198.18.9.2", run_nothing)); };
  const json good = json::parse(command_bytes(force_call(), "ann"));
  const auto with = [&](const char* key, const json& value) {
    json command = good;
    command[key] = value;
    return said(command);
  };
  EXPECT_THAT(with("version", 2).message, HasSubstr("install the same hanatd on both"));
  EXPECT_THAT(with("method", "Reload").message, HasSubstr("not one that a gateway forwards"));
  EXPECT_THAT(with("parameters", 1).message, HasSubstr("not one that a gateway forwards"));
  EXPECT_EQ(with("parameters", {{"server", 1}}).name, "InvalidParameter");
  EXPECT_EQ(with("parameters", {{"server", "primary"}, {"fresh", 1}}).name, "InvalidParameter");
  EXPECT_EQ(with("by", 1).name, "Failed");
  EXPECT_EQ(error_in(run_command("{", "198.18.9.2", run_nothing)).name, "Failed");
  EXPECT_EQ(error_in(run_command("[]", "198.18.9.2", run_nothing)).name, "Failed");
}

TEST(Forwarding, ControlCharactersOfTheOneWhoAsksDoNotReachTheJournal) {
  std::string by;
  run_command(command_bytes(force_call(), "a\nb" + std::string(1000, 'x')), "198.18.9.2", [&](const Call& call) {
    by = call.asked_by();
    return json::object();
  });
  EXPECT_THAT(by, testing::StartsWith("a?bxx"));
  EXPECT_LT(by.size(), 300U);
}

TEST(Forwarding, AReplyThatIsNoneIsAnError) {
  for (const char* text : {"", "x", "[]", "{}", "{\"version\":1}", "{\"version\":9,\"result\":{}}", "{\"version\":1,\"result\":3}",
                           "{\"version\":1,\"error\":{\"name\":3,\"message\":\"\"}}"})
    EXPECT_THAT(error_in(text).message, HasSubstr("reply cannot be read")) << text;
  EXPECT_EQ(error_in("{\"version\":1,\"error\":{\"name\":\"Strange\",\"message\":\"x\"}}").name, "Failed");
}

TEST(Forwarding, ACommandIsShownAsItWasTyped) {
  const auto text = [](const char* method, const json& parameters) {
    return command_text({.method = method, .parameters = parameters, .peer = {}});
  };
  EXPECT_EQ(command_text(force_call()), "force-backup web");
  EXPECT_EQ(text("Force", {{"all", true}, {"server", "primary"}}), "force-primary --all");
  EXPECT_EQ(text("Force", {{"service", "web"}, {"server", "backup2"}}), "force-backup web --server backup2");
  EXPECT_EQ(text("Auto", json::object()), "auto");
  EXPECT_EQ(text("Disable", {{"service", "web"}, {"server", "backup"}}), "disable web backup");
  EXPECT_EQ(text("Enable", {{"server", "backup"}}), "enable backup");
}

} // namespace
} // namespace hanat
