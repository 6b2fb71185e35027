// The program hanatctl against a daemon that the test plays: exit status, what stands on stdout and what on stderr.
// Not here: what a real daemon decides.
#include <cstdlib>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "tests/netns/process.hpp"
#include "tests/unit/served.hpp"

namespace hanat {
namespace {

using nlohmann::json;
using test::collect;
using test::Output;
using test::Served;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

Output hanatctl(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), HANATCTL);
  return collect(arguments, std::chrono::seconds{20});
}

json forced(const Call& call) {
  const bool timed = call.parameters.contains("for_s");
  return {{"name", "web"},
          {"target", call.parameters.at("server")},
          {"target_address", "10.0.0.12:8443"},
          {"until", timed ? json("2099-01-31T14:30:05.000Z") : json(nullptr)}};
}

/// A daemon with one service, web, that is at its primary.
json play(const Call& call) {
  const auto service = call.parameters.value("service", "web");
  if (service != "web") throw ControlError{"UnknownService", "no service " + service, {{"services", {"web"}}}};
  if (call.method == "Version") return {{"version", "9.9"}};
  if (call.method == "Force" && call.parameters.value("server", "") == "backup2")
    throw ControlError{"Refused", "web has no backup2", json::object()};
  if (call.method == "Force") return {{"services", {forced(call)}}};
  if (call.method == "Auto")
    return {{"services", {{{"name", "web"}, {"target", "primary"}, {"target_address", "10.0.0.11:8443"}, {"was_forced", true}}}}};
  if (call.method == "Reload") throw ControlError{"BadConfiguration", "the old one stays", {{"errors", {"a.toml:1:2: bad"}}}};
  return {
      {"status", json::parse(R"({"version": 1, "daemon": {"pid": 1, "uptime_s": 12.5, "kernel": "in-step", "config": "/c", "blind": null},
    "services": [{"name": "web", "target": "primary", "target_address": "10.0.0.11:8443", "since": "2026-01-31T10:00:00.123Z",
      "why": "primary-up", "mode": "auto", "forced": null, "failback_in_s": null, "flips": 3, "listen": ["203.0.113.10:443/tcp"], "tomorrow": 1,
      "servers": [], "last_flip": null}]})")}};
}

TEST(Hanatctl, ShowsTheStatusWhenNothingIsSaid) {
  const Served served{play};
  const auto ran = hanatctl({"--socket", served.path()});
  EXPECT_EQ(ran.exit, 0);
  EXPECT_THAT(ran.out, HasSubstr("web  -> primary  10.0.0.11:8443"));
  EXPECT_THAT(ran.out, Not(HasSubstr("\x1b"))) << "no terminal, no colour";
  EXPECT_THAT(ran.err, IsEmpty());
}

TEST(Hanatctl, PassesTheStatusOnAsItCameWithJson) {
  const Served served{play};
  for (const auto& arguments : std::vector<std::vector<std::string>>{{"--socket", served.path(), "--json"},
                                                                     {"status", "web", "--json", "--socket", served.path()}}) {
    const auto ran = hanatctl(arguments);
    EXPECT_EQ(ran.exit, 0);
    EXPECT_EQ(json::parse(ran.out)["services"][0]["tomorrow"], 1);
  }
}

TEST(Hanatctl, SaysWhatItChanged) {
  const Served served{play};
  const auto force = hanatctl({"force-backup", "web", "--for", "30m", "--socket", served.path()});
  EXPECT_EQ(force.exit, 0);
  EXPECT_THAT(force.out, StartsWith("web: traffic goes to backup (10.0.0.12:8443) until 2099-01-31 "));
  EXPECT_THAT(force.out, HasSubstr("(30 min); hanatctl auto web ends it\n"));
  EXPECT_THAT(hanatctl({"force-primary", "--socket", served.path()}).out, HasSubstr("traffic goes to primary"));
  EXPECT_THAT(hanatctl({"auto", "--all", "--socket", served.path()}).out, HasSubstr("the override has ended"));
  EXPECT_EQ(json::parse(hanatctl({"auto", "--json", "--socket", served.path()}).out)["services"][0]["was_forced"], true);
}

TEST(Hanatctl, ThatIsRefusedExitsWithOne) {
  const Served served{play};
  const auto unknown = hanatctl({"status", "wex", "--socket", served.path()});
  EXPECT_EQ(unknown.exit, 1);
  EXPECT_EQ(unknown.out, "");
  EXPECT_EQ(unknown.err, "hanatctl: no service wex; did you mean web?\n");
  const auto with_json = hanatctl({"force-backup", "--server=backup2", "--json", "--socket", served.path()});
  EXPECT_EQ(with_json.exit, 1);
  EXPECT_EQ(json::parse(with_json.out), (json{{"error", "Refused"}, {"message", "web has no backup2"}}));
}

TEST(Hanatctl, WithBadUsageOrConfigurationExitsWithTwo) {
  const Served served{play};
  const auto reload = hanatctl({"reload", "--socket", served.path()});
  EXPECT_EQ(reload.exit, 2);
  EXPECT_EQ(reload.err, "hanatctl: a.toml:1:2: bad\nthe old one stays\n");
  const auto word = hanatctl({"sttus", "--json"});
  EXPECT_EQ(word.exit, 2);
  EXPECT_EQ(json::parse(word.out)["error"], "Usage");
  EXPECT_THAT(word.err, HasSubstr("did you mean status?"));
  EXPECT_EQ(hanatctl({"help", "nothing"}).exit, 2);
  const auto check = hanatctl({"check", "/nowhere/hanat.toml"});
  EXPECT_EQ(check.exit, 2);
  EXPECT_THAT(check.err, StartsWith("/nowhere/hanat.toml:"));
}

TEST(Hanatctl, WithoutADaemonExitsWithThree) {
  const test::TempDir dir;
  const auto ran = hanatctl({"--socket", dir / "s", "--json"});
  EXPECT_EQ(ran.exit, 3);
  EXPECT_EQ(json::parse(ran.out)["error"], "NoDaemon");
  EXPECT_THAT(ran.err, HasSubstr("not running"));
  setenv("HANAT_SOCKET", (dir / "named-by-environment").c_str(), 1);
  EXPECT_THAT(hanatctl({}).err, HasSubstr("named-by-environment"));
  unsetenv("HANAT_SOCKET");
}

TEST(Hanatctl, KnowsItsOwnVersionWithoutADaemon) {
  const Served served{play};
  EXPECT_THAT(hanatctl({"version", "--socket", served.path()}).out, HasSubstr("hanatd 9.9\n"));
  const auto alone = hanatctl({"version", "--socket", "/nowhere/s"});
  EXPECT_EQ(alone.exit, 0);
  EXPECT_THAT(alone.out, HasSubstr("hanatd does not answer\n"));
  EXPECT_EQ(json::parse(hanatctl({"version", "--json", "--socket", "/nowhere/s"}).out)["hanatd"], nullptr);
}

TEST(Hanatctl, DoesNotCallHalfAnAnswerDone) {
  const auto ran = collect({"sh", "-c", HANATCTL " help > /dev/full"}, std::chrono::seconds{20});
  EXPECT_EQ(ran.exit, 1);
  EXPECT_THAT(ran.err, HasSubstr("No space left"));
}

} // namespace
} // namespace hanat
