// The program hanatctl against a daemon played by the test, and its version against the real one: exit status, stdout and stderr.
// Not here: what a real daemon decides.
#include <cstdlib>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "daemon/api/methods.hpp"
#include "daemon/util/version.hpp"
#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/process.hpp"
#include "tests/unit/daemon/served.hpp"

namespace hanat {
namespace {

using nlohmann::json;
using test::collect;
using test::hanatctl_program;
using test::Hanatd;
using test::Lab;
using test::Output;
using test::Served;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

Output hanatctl(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), hanatctl_program());
  return collect(arguments, std::chrono::seconds{20});
}

json forced(const Call& call) {
  const bool timed = call.parameters.contains("for_s");
  const std::string server = call.parameters.at("server");
  return {{"name", "web"},
          {"target", server == any_backup ? "backup" : server},
          {"target_address", "10.0.0.12:8443"},
          {"until", timed ? json("2099-01-31T14:30:05.000Z") : json(nullptr)}};
}

/// A daemon with one service, web, whose target is its primary.
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
      {"status", json::parse(R"({"version": 2, "daemon": {"pid": 1, "uptime_s": 12.5, "kernel": "in-step", "config": "/c", "blind": null},
    "services": [{"name": "web", "target": "primary", "target_address": "10.0.0.11:8443", "since": "2026-01-31T10:00:00.123Z",
      "why": "primary-up", "mode": "auto", "forced": null, "failback_in_s": null, "flips": 3, "listen": ["203.0.113.10:443/tcp"], "tomorrow": 1,
      "servers": [], "last_flip": null}]})")}};
}

TEST(Hanatctl, ShowsTheStatusWithoutACommand) {
  const Served served{play};
  const auto ran = hanatctl({"--socket", served.path()});
  EXPECT_EQ(ran.exit, 0);
  EXPECT_THAT(ran.out, HasSubstr("web -> primary 10.0.0.11:8443"));
  EXPECT_THAT(ran.out, Not(HasSubstr("\x1b"))) << "no terminal, no colour";
  EXPECT_THAT(ran.err, IsEmpty());
}

TEST(Hanatctl, PrintsTheStatusUnchangedWithJson) {
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
  EXPECT_THAT(force.out, HasSubstr("(30 min). To end that earlier:\n-> hanatctl auto web\n"));
  EXPECT_THAT(hanatctl({"force-primary", "--socket", served.path()}).out, HasSubstr("traffic goes to primary"));
  EXPECT_THAT(hanatctl({"auto", "--all", "--socket", served.path()}).out, HasSubstr("the override has ended"));
  EXPECT_EQ(json::parse(hanatctl({"auto", "--json", "--socket", served.path()}).out)["services"][0]["was_forced"], true);
}

TEST(Hanatctl, ThatIsRefusedExitsWithOne) {
  const Served served{play};
  const auto unknown = hanatctl({"status", "wex", "--socket", served.path()});
  EXPECT_EQ(unknown.exit, 1);
  EXPECT_EQ(unknown.out, "");
  EXPECT_EQ(unknown.err, "hanatctl: no service wex: did you mean \"web\"?\n");
  const auto with_json = hanatctl({"force-backup", "--server=backup2", "--json", "--socket", served.path()});
  EXPECT_EQ(with_json.exit, 1);
  EXPECT_EQ(json::parse(with_json.out), (json{{"error", "Refused"}, {"message", "web has no backup2"}}));
}

TEST(Hanatctl, WithBadUsageOrConfigurationExitsWithTwo) {
  const Served served{play};
  const auto reload = hanatctl({"reload", "--socket", served.path()});
  EXPECT_EQ(reload.exit, 2);
  EXPECT_EQ(reload.err, "a.toml:1:2: bad\nhanatctl: the old one stays\n");
  const auto mistyped = hanatctl({"sttus", "--json"});
  EXPECT_EQ(mistyped.exit, 2);
  EXPECT_EQ(json::parse(mistyped.out)["error"], "Usage");
  EXPECT_THAT(mistyped.err, HasSubstr("did you mean \"status\"?"));
  EXPECT_EQ(hanatctl({"help", "nothing"}).exit, 2);
  const auto check = hanatctl({"check", "/nowhere/hanat.toml"});
  EXPECT_EQ(check.exit, 2);
  EXPECT_THAT(check.err, StartsWith("/nowhere/hanat.toml:"));
}

TEST(Hanatctl, ChecksWarningsHaveTheirPlaceAndOnlyStrictFailsForThem) {
  const test::TempDir dir;
  const std::string file = dir / "hanat.toml";
  test::write_text(file, "[service.web]\nlisten = \"203.0.113.10:443/tcp\"\nprimary = \"198.18.11.2:8443\"\n"
                         "probe = { type = \"exec\", command = [\"/nowhere/probe\"] }\n");
  const auto lenient = hanatctl({"check", file}), strict = hanatctl({"check", "--strict", file});
  EXPECT_EQ(lenient.exit, 0);
  EXPECT_THAT(lenient.out, StartsWith("!  " + file + ":4:9: service web: its exec probe runs /nowhere/probe, which does not exist here"));
  EXPECT_EQ(strict.exit, 1);
  EXPECT_EQ(strict.out, lenient.out);
  EXPECT_EQ(json::parse(hanatctl({"check", "--json", file}).out)["warnings"][0]["line"], 4);
  EXPECT_EQ(hanatctl({"check", "--ask", "--strict", file}).exit, 2);
  test::write_text(file, "[service.web]\nlisten = \"203.0.113.10:443/tcp\"\nprimary = \"198.18.11.2:8443\"\n");
  EXPECT_EQ(hanatctl({"check", "--strict", file}).exit, 0);
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

TEST(Hanatctl, ShowsBothVersionsOrThatHanatdDoesNotRun) {
  const Served served{play};
  EXPECT_THAT(hanatctl({"version", "--socket", served.path()}).out, HasSubstr("hanatd 9.9\n"));
  const auto alone = hanatctl({"version", "--socket", "/nowhere/s"});
  EXPECT_EQ(alone.exit, 0);
  EXPECT_THAT(alone.out, EndsWith("\nno hanatd at /nowhere/s: it is not running (systemctl start hanatd), or it has another --socket\n"));
  EXPECT_EQ(json::parse(hanatctl({"version", "--json", "--socket", "/nowhere/s"}).out)["hanatd"], nullptr);
}

TEST(Hanatctl, ShowsTheVersionOfTheRealDaemon) {
  Lab lab;
  Hanatd hanatd{lab, "[service.web]\nlisten = \"203.0.113.10:443/tcp\"\nprimary = \"198.18.1.2:8443\"\n"};
  const auto both = fmt::format("hanatctl {0}\nhanatd {0}\n", version());
  EXPECT_EQ(hanatd.ctl({"version"}).out, both);
  EXPECT_EQ(hanatd.ctl({"--version"}).out, both);
  EXPECT_EQ(json::parse(hanatd.ctl({"version", "--json"}).out), (json{{"hanatctl", version()}, {"hanatd", version()}}));
  EXPECT_EQ(hanatd.stop(), 0);
  const auto stopped = hanatd.ctl({"version"});
  EXPECT_EQ(stopped.exit, 0);
  EXPECT_THAT(stopped.out, HasSubstr("it is not running"));
}

TEST(Hanatctl, FailsWhenItsOutputIsCutOff) {
  const auto ran = collect({"sh", "-c", hanatctl_program() + " help > /dev/full"}, std::chrono::seconds{20});
  EXPECT_EQ(ran.exit, 1);
  EXPECT_THAT(ran.err, HasSubstr("No space left"));
}

} // namespace
} // namespace hanat
