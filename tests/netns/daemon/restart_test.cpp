// What the daemon knows over a restart, whether it was stopped or killed. HANAT_KILL_SECONDS=600 makes the last test a long one. Not here:
// traffic meanwhile (lifecycle_test), what a start makes of each case (unit/daemon/failover/saved_health_test).
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <random>
#include <string>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/state/health_file.hpp"
#include "daemon/state/state_file.hpp"
#include "tests/netns/daemon/lifecycle.hpp"
#include "tests/unit/temp_dir.hpp"

namespace hanat::test {
namespace {

using testing::HasSubstr;

class Restart : public Lifecycle {
protected:
  /// Waits until the file says so: a moment after it is so.
  static void wait_saved(const Hanatd& hanatd, const std::function<bool(const SavedService&)>& is_so) {
    const auto end = TestClock::now() + milliseconds{5000};
    while (TestClock::now() < end) {
      const SavedHealth health = parse_health(read_text(hanatd.state() / "health"));
      if (const auto web = health.services.find("web"); web != health.services.end() && is_so(web->second)) return;
      std::this_thread::sleep_for(milliseconds{5});
    }
    throw std::runtime_error("not in the file within 5 s:\n" + read_text(hanatd.state() / "health"));
  }
  static std::size_t downs(const std::string& history) {
    std::size_t number = 0;
    for (auto at = history.find(" is down"); at != std::string::npos; at = history.find(" is down", at + 1)) ++number;
    return number;
  }
  static std::string history_of(const Hanatd& hanatd) { return hanatd.ctl({"history", "web", "--json"}).out; }
};

// A probe that takes so long that the first status of the next run cannot come from its results.
const std::string slow_probe =
    "[service.web]\nlisten = \"203.0.113.10:443/tcp\"\nprimary = \"198.18.11.2:8443\"\nbackup = \"198.18.12.2:8443\"\n"
    "probe = { interval = \"100ms\", fast_interval = \"50ms\", timeout = \"3s\" }\n"
    "up = { passes = 2, stable_for = \"100ms\" }\n";

TEST_F(Restart, AServerThatIsDownIsKnownAtOnceAndAllIsToldAsBefore) {
  Hanatd hanatd{lab, slow_probe};
  wait_both_up(hanatd);
  lab.silent(Host::primary, true);
  const ServiceStatus before = service(hanatd.wait_for(
                                           [](const Status& now) {
                                             const ServiceStatus& web = service(now, "web");
                                             return web.target == "backup" && web.last_flip->cut_ms.has_value();
                                           },
                                           milliseconds{15'000}),
                                       "web");
  wait_saved(hanatd, [](const SavedService& web) { return web.target == "backup"; });
  const std::string history = history_of(hanatd), why = hanatd.ctl({"why", "web"}).out;
  for (const bool killed : {true, false}) {
    SCOPED_TRACE(killed ? "killed" : "stopped");
    if (killed)
      hanatd.kill9();
    else
      EXPECT_EQ(hanatd.stop(), 0);
    hanatd.start();
    const ServiceStatus after = service(hanatd.status(), "web");
    EXPECT_EQ(after.target, "backup");
    EXPECT_EQ(after.since, before.since);
    EXPECT_EQ(after.why, "failover");
    EXPECT_EQ(after.flips, 0U);
    EXPECT_EQ(after.last_flip.value().at, before.last_flip.value().at);
    EXPECT_EQ(server(after, "primary").health, "down");
    EXPECT_EQ(server(after, "backup").health, "up");
    EXPECT_EQ(server(after, "primary").last.value().reason, "timeout");
    EXPECT_EQ(connect_once(lab, Host::client, vip()).text, "backup");
    EXPECT_THAT(hanatd.log(), HasSubstr("go on for 1 service; probes confirm or refute them now"));
    const std::string why_now = hanatd.ctl({"why", "web"}).out;
    EXPECT_EQ(why_now.substr(0, why_now.find('\n')), why.substr(0, why.find('\n')));
  }
  EXPECT_EQ(downs(history_of(hanatd)), downs(history)) << "it did not go down again";
  lab.silent(Host::primary, false);
  hanatd.wait_target("web", "primary", milliseconds{10'000}); // it is probed all the same
}

TEST_F(Restart, AFailureWindowGoesOn) {
  // 30 refused probes in a row take three seconds.
  const std::string many = slow_probe + "down = { fails = 30, within = \"60s\" }\n";
  std::string config = many;
  config.replace(config.find("fast_interval = \"50ms\", timeout = \"3s\""),
                 std::string{"fast_interval = \"50ms\", timeout = \"3s\""}.size(), "fast_interval = \"100ms\", timeout = \"200ms\"");
  Hanatd hanatd{lab, config};
  wait_both_up(hanatd);
  primary.kill();
  hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "primary").fails.count >= 8; });
  wait_saved(hanatd, [](const SavedService& web) { return web.servers[0].probes[0].fails.size() >= 8; });
  hanatd.kill9();
  hanatd.start();
  const Status first = hanatd.status();
  EXPECT_GE(server(service(first, "web"), "primary").fails.count, 8U);
  EXPECT_EQ(server(service(first, "web"), "primary").health, "up") << "not judged yet";
  EXPECT_EQ(service(first, "web").target, "primary");
  hanatd.wait_target("web", "backup");
  EXPECT_EQ(server(service(hanatd.status(), "web"), "primary").fails.count, 30U);
  EXPECT_EQ(connect_once(lab, Host::client, vip()).text, "backup");
}

TEST_F(Restart, PenaltiesStay) {
  Hanatd hanatd{lab, fast_service({.extra = "failback = { penalty = \"1m\" }"})};
  wait_both_up(hanatd);
  for (int times = 0; times < 2; ++times) {
    primary.kill();
    hanatd.wait_target("web", "backup");
    primary.start();
    if (times == 0) hanatd.wait_target("web", "primary");
  }
  const auto flapping = [](const Status& now) { return server(service(now, "web"), "primary").flapping; };
  const auto before = hanatd.wait_for([&](const Status& now) { return flapping(now).has_value(); });
  wait_saved(hanatd, [](const SavedService& web) { return web.servers[0].flap_level > 0; });
  hanatd.kill9();
  hanatd.start();
  const auto after = flapping(hanatd.status());
  ASSERT_TRUE(after);
  EXPECT_EQ(after->times, flapping(before)->times);
  EXPECT_EQ(after->wait_s, flapping(before)->wait_s);
}

TEST_F(Restart, WhateverTheFileHoldsTheDaemonStarts) {
  Hanatd hanatd{lab, fast_service()};
  wait_both_up(hanatd);
  const auto file = hanatd.state() / "health";
  for (const std::string& text :
       {std::string{"{\"version\":7,\"boot\":\"x\"}\n{}\n"}, std::string{"\0\xff", 2}, std::string(70'000, '[')}) {
    hanatd.kill9();
    write_text(file, text);
    hanatd.start();
    EXPECT_EQ(service(hanatd.status(), "web").target, "primary");
    wait_both_up(hanatd);
    wait_saved(hanatd, [](const SavedService& web) { return web.target == "primary"; });
  }
  std::string text = read_text(file);
  hanatd.kill9();
  text = read_text(file);
  const std::string boot = boot_id();
  text.replace(text.find(boot), boot.size(), std::string(boot.size(), '0'));
  write_text(file, text);
  hanatd.start();
  EXPECT_THAT(hanatd.log(), HasSubstr("the machine has booted since"));
  wait_both_up(hanatd);
}

/// Any operation of an operator or fate of a server, a kill in its midst, and the next run.
class KillSoak {
public:
  KillSoak(Lab& lab, TcpServer& primary, TcpServer& backup, std::uint32_t seed) : lab_(lab), servers_{&primary, &backup}, random_(seed) {
    wait_both_up(hanatd_);
    connect(0);
  }

  void round(int number) {
    SCOPED_TRACE(fmt::format("round {}", number));
    const ServiceStatus before = service(hanatd_.status(), "web");
    std::thread event{[&, what = below(7)] { happen(what, before); }};
    std::this_thread::sleep_for(std::chrono::microseconds{below(chance(70) ? 40'000 : 200'000)});
    hanatd_.kill9();
    event.join();
    check_files();
    const Attempt alone = connect_once(lab_, Host::client, Lab::vip(443)); // by the rules that are left
    const std::string found = alone.result == Result::answered ? alone.text : "";
    hanatd_.start();
    const ServiceStatus first = service(hanatd_.status(), "web");
    const ServiceStatus web = settled();
    const auto target = web.target == "backup" ? 1U : 0U;
    EXPECT_NE(web.target, "none") << "one of them lives, always";
    if (lives(web.target)) {
      EXPECT_EQ(connect_once(lab_, Host::client, Lab::vip(443)).text, web.target) << "status and table agree";
    }
    if (!found.empty() && !web.forced && !forced_before_ && lives(found) && enabled(web, found)) {
      EXPECT_EQ(web.target, found) << "a move without need; first " << first.target << " " << first.why;
      EXPECT_EQ(web.flips, 0U);
    }
    if (before.target == web.target && quiet_ && web.flips == 0) {
      EXPECT_EQ(web.since, before.since) << "nothing happened";
    }
    forced_before_ = web.forced.has_value();
    check_clients();
    if (!lives(web.target)) return;
    connect(target);
  }

private:
  unsigned below(unsigned bound) { return static_cast<unsigned>(random_() % bound); }
  bool chance(unsigned percent) { return below(100) < percent; }
  static std::size_t place(const std::string& role) { return role == "backup" ? 1 : 0; }
  bool lives(const std::string& role) const { return alive_[place(role)]; }
  static bool enabled(const ServiceStatus& web, const std::string& role) { return !server(web, role).disabled; }

  /// One server lives at any time.
  void happen(unsigned what, const ServiceStatus& before) {
    const bool disabled = server(before, "primary").disabled.has_value();
    quiet_ = false;
    switch (what) {
    case 0: hanatd_.ctl({"force-backup", "web", "--even-if-down"}); return;
    case 1: hanatd_.ctl({"auto", "web"}); return;
    case 2:
      if (alive_[1]) hanatd_.ctl({"disable", "web", "primary", "--for", "1h"});
      return;
    case 3: hanatd_.ctl({"enable", "web", "primary"}); return;
    case 4:
    case 5: {
      const std::size_t one = what - 4;
      if (!alive_[one]) {
        servers_[one]->start();
        alive_[one] = true;
      } else if (alive_[1 - one] && !(one == 1 && disabled)) {
        servers_[one]->kill();
        alive_[one] = false;
        std::erase_if(clients_, [one](const auto& client) { return client.first == one; });
      }
      return;
    }
    default: quiet_ = true;
    }
  }
  ServiceStatus settled() {
    return service(hanatd_.wait_for(
                       [this](const Status& now) {
                         const ServiceStatus& web = service(now, "web");
                         const bool judged = std::ranges::all_of(web.servers, [this](const ServerStatus& one) {
                           return one.health == (lives(one.role) ? "up" : "down") && (!one.last || one.last->age_s < 0.3);
                         });
                         return judged && now.daemon.kernel == "in-step" && (web.forced || lives(web.target));
                       },
                       milliseconds{8'000}),
                   "web");
  }
  void connect(std::size_t server) {
    if (clients_.size() >= 40) clients_.erase(clients_.begin());
    clients_.emplace_back(server, TcpClient{lab_, Host::client, Lab::vip(443)});
  }
  /// A connection lives as long as its server: operators' moves keep it, and restarts, too.
  void check_clients() {
    for (auto& [server, client] : clients_) EXPECT_EQ(client.ask().text, server == 0 ? "primary" : "backup");
  }
  void check_files() {
    const TempDir copy; // what is damaged is renamed
    for (const char* name : {"health", "state.json", "drains.json"})
      if (std::filesystem::exists(hanatd_.state() / name)) std::filesystem::copy(hanatd_.state() / name, copy / name);
    EXPECT_EQ(load_health(copy.path()).warning, "");
    EXPECT_EQ(load_state(copy.path()).warning, "");
  }

  Lab& lab_;
  std::array<TcpServer*, 2> servers_;
  std::mt19937 random_;
  Hanatd hanatd_{lab_, fast_service({.up = "passes = 2, stable_for = \"50ms\"",
                                     .extra = "on_forced = \"keep\"\nfailback = \"manual\"\nnone_after = \"0s\""})};
  std::array<bool, 2> alive_{true, true};
  bool quiet_ = false, forced_before_ = false;
  std::vector<std::pair<std::size_t, TcpClient>> clients_;
};

TEST_F(Restart, KilledAtAnyInstantNothingBreaksThatNeedNot) {
  const char* const wish = std::getenv("HANAT_KILL_SECONDS"); // NOLINT(concurrency-mt-unsafe): nobody changes the environment
  const std::chrono::seconds lasts{wish == nullptr ? 10 : std::atoi(wish)};
  const std::uint32_t seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  KillSoak soak{lab, primary, backup, seed};
  const auto end = TestClock::now() + lasts;
  int rounds = 0;
  for (; TestClock::now() < end && !HasFailure(); ++rounds) soak.round(rounds);
  EXPECT_GE(rounds, 10) << "else nothing was tried";
  RecordProperty("rounds", rounds);
}

} // namespace
} // namespace hanat::test
