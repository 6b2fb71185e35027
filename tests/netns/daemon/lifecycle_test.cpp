// The daemon's own life on a gateway with traffic: killed, restarted, reloaded, stopped, started twice; and what an operator forced
// outlives it.
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/netns/daemon/lifecycle.hpp"

namespace hanat::test {
namespace {

using std::this_thread::sleep_for;
using testing::HasSubstr;
using testing::Not;

TEST_F(Lifecycle, TrafficGoesOnWithoutTheDaemonAndARestartAdoptsWithoutAFlipOrACut) {
  Hanatd hanatd{lab, fast_service()};
  hanatd.wait_target("web", "primary");
  primary.kill();
  hanatd.wait_target("web", "backup");
  hanatd.wait_for([](const Status& status) { return service(status, "web").last_flip->cut_ms.has_value(); }, milliseconds{8000});
  TcpClient client{lab, Host::client, vip()};
  ASSERT_EQ(client.ask().text, "backup");
  for (int round = 0; round < 5; ++round) {
    hanatd.kill9();
    EXPECT_EQ(client.ask().text, "backup") << "without a daemon";
    EXPECT_EQ(connect_once(lab, Host::client, vip()).text, "backup") << "without a daemon";
    hanatd.start();
    const Status status = hanatd.wait_for([](const Status& now) {
      return server(service(now, "web"), "backup").health == "up" && server(service(now, "web"), "primary").health == "down";
    });
    const ServiceStatus& web = service(status, "web");
    EXPECT_EQ(web.target, "backup");
    EXPECT_EQ(web.flips, 0U);
    EXPECT_EQ(web.last_flip.value().why, "failover") << "it was before the restart, and the history has it, too";
    EXPECT_EQ(client.ask().text, "backup") << "after the restart";
  }
  EXPECT_THAT(hanatd.log(), HasSubstr("connections stay on backup"));
}

TEST_F(Lifecycle, ARestartFinishesACutThatACrashInterrupted) {
  Hanatd hanatd{lab, fast_service()};
  hanatd.wait_target("web", "primary");
  TcpClient idle{lab, Host::client, vip()};
  ASSERT_EQ(idle.ask().text, "primary");
  lab.silent(Host::primary, true);
  hanatd.wait_target("web", "backup");
  hanatd.kill9(); // TCP entries are cut one second after the flip: not yet
  const std::string flows =
      "conntrack -L -p tcp --orig-dst 203.0.113.10 --reply-src " + Lab::address(Host::primary).text() + " 2>/dev/null | wc -l";
  ASSERT_NE(lab.must(Host::gateway, flows), "0\n");
  ASSERT_THAT(table(), HasSubstr("203.0.113.10 . tcp . 443 . " + Lab::address(Host::primary).text()));
  hanatd.start();
  for (int wait = 0; wait < 40 && lab.must(Host::gateway, flows) != "0\n"; ++wait) sleep_for(milliseconds{50});
  EXPECT_EQ(lab.must(Host::gateway, flows), "0\n") << "within two seconds";
  for (int wait = 0; wait < 80 && table().find("8443 comment \"web primary\"") != std::string::npos; ++wait) sleep_for(milliseconds{50});
  EXPECT_THAT(table(), Not(HasSubstr(". " + Lab::address(Host::primary).text() + " . 8443"))) << "the stale key is retired";
}

TEST_F(Lifecycle, AReloadThatChangesAServiceDoesNotStartTheWaitForItsFailbackAnew) {
  const std::string wait = "failback = { after = \"60s\" }\n";
  Hanatd hanatd{lab, fast_service({.extra = wait})};
  hanatd.wait_target("web", "primary");
  primary.kill();
  hanatd.wait_target("web", "backup");
  primary.start();
  const auto waits = [](const Status& now) { return service(now, "web").failback_in_s.has_value(); };
  const double before = *service(hanatd.wait_for(waits, milliseconds{10'000}), "web").failback_in_s;
  sleep_for(milliseconds{1200});
  const std::string log = hanatd.log();
  ASSERT_EQ(hanatd.reload(fast_service({.extra = wait + "on_none = \"drop\""})).exit, 0);
  EXPECT_LT(*service(hanatd.wait_for(waits), "web").failback_in_s, before - 1);
  EXPECT_THAT(hanatd.log().substr(log.size()), Not(HasSubstr("is up"))) << "nothing came up: it is the same server";
}

TEST_F(Lifecycle, StartedWithoutStdinStdoutAndStderrItWorksAndEndsInOrder) {
  Hanatd files{lab, fast_service(), {.start = false}};
  const std::string ended =
      lab.must(Host::gateway, fmt::format("timeout 2 {} --config {} --socket {} --state {} <&- >&- 2>&-; echo $?", hanatd_program(),
                                          files.config().string(), files.socket(), files.state().string()));
  EXPECT_EQ(ended, "124\n") << "it ran until the SIGTERM";
  EXPECT_THAT(table(), HasSubstr("web primary"));
}

TEST_F(Lifecycle, ItStopsAtOnceAfterItRanTheProgramOfAProbe) {
  Hanatd hanatd{lab, fast_service({.probe = "type = \"exec\", command = [\"/bin/true\"]"})};
  hanatd.wait_target("web", "primary");
  EXPECT_EQ(hanatd.stop(milliseconds{2000}), 0);
}

TEST_F(Lifecycle, AnOverrideExpiresByItself) {
  Hanatd hanatd{lab, fast_service({.extra = "failback = \"manual\""})};
  hanatd.wait_target("web", "primary");
  const auto began = TestClock::now();
  const Output forced = hanatd.ctl({"force-backup", "web", "--for", "2s", "--reason", "disk swap"});
  EXPECT_EQ(forced.exit, 0) << forced.err;
  EXPECT_EQ(connect_once(lab, Host::client, vip()).text, "backup");
  const Status status = hanatd.status();
  EXPECT_EQ(service(status, "web").why, "forced");
  EXPECT_EQ(service(status, "web").forced.value().reason, "disk swap");
  EXPECT_TRUE(service(status, "web").forced.value().until);
  hanatd.wait_target("web", "primary"); // at once, though failback is manual
  const auto took = TestClock::now() - began;
  EXPECT_GT(took, milliseconds{1900});
  EXPECT_LT(took, milliseconds{4000}) << "what the test does meanwhile takes its time, too, under sanitizers";
  EXPECT_FALSE(service(hanatd.status(), "web").forced);
  EXPECT_EQ(connect_once(lab, Host::client, vip()).text, "primary");
}

TEST_F(Lifecycle, AnOverrideLastsNoLongerThanItWasAskedForWhereTheClockWentBack) {
  Hanatd hanatd{lab, fast_service(), {.start = false}};
  std::filesystem::create_directories(hanatd.state());
  std::ofstream{hanatd.state() / "state.json"} << R"({"version": 1, "overrides": [{"service": "web", "target": "backup", "reason": "",
    "by": "root", "since": "2099-01-01T00:00:00.000Z", "until": "2099-01-01T00:00:04.000Z"}]})";
  const auto began = TestClock::now();
  hanatd.start();
  EXPECT_EQ(service(hanatd.wait_target("web", "backup"), "web").why, "forced");
  EXPECT_THAT(hanatd.log(), HasSubstr("web: this machine's clock shows a time before the override began: the override ends 4 s from now"));
  EXPECT_EQ(service(hanatd.wait_target("web", "primary", milliseconds{8000}), "web").forced, std::nullopt);
  EXPECT_GE(TestClock::now() - began, milliseconds{4000}) << "and no shorter";
}

TEST_F(Lifecycle, RootLeavesNothingInTheStateDirectoryOfAnotherUser) {
  Hanatd hanatd{lab, fast_service(), {.start = false}};
  std::filesystem::create_directories(hanatd.state());
  ASSERT_EQ(chown(hanatd.state().c_str(), 65534, 65534), 0);
  hanatd.launch();
  EXPECT_EQ(hanatd.wait_exit(milliseconds{5000}), 1);
  EXPECT_THAT(hanatd.log(), HasSubstr("belongs to nobody, whose hanatd could not use"));
  EXPECT_TRUE(std::filesystem::is_empty(hanatd.state()));
}

TEST_F(Lifecycle, AForcedServiceIgnoresHealthUntilAutoAndTheOverrideSurvivesKill9) {
  Hanatd hanatd{lab, fast_service()};
  hanatd.wait_target("web", "primary");
  ASSERT_EQ(hanatd.ctl({"force-backup", "web", "--for", "1h", "--reason", "test"}).exit, 0);
  hanatd.kill9();
  hanatd.start();
  const Status status = hanatd.wait_target("web", "backup");
  ASSERT_TRUE(service(status, "web").forced);
  EXPECT_EQ(service(status, "web").forced->reason, "test");
  backup.kill();
  hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "backup").health == "down"; });
  sleep_for(milliseconds{300});
  EXPECT_EQ(service(hanatd.status(), "web").target, "backup") << "forced is forced";
  EXPECT_THAT(hanatd.ctl({}).out, HasSubstr("DOWN"));
  ASSERT_EQ(hanatd.ctl({"auto", "web"}).exit, 0);
  EXPECT_EQ(service(hanatd.status(), "web").target, "primary");
  EXPECT_EQ(connect_once(lab, Host::client, vip()).text, "primary");
}

TEST_F(Lifecycle, ForcingAServerThatIsDownIsRefusedUnlessSaidSo) {
  Hanatd hanatd{lab, fast_service()};
  hanatd.wait_target("web", "primary");
  backup.kill();
  hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "backup").health == "down"; });
  const Output refused = hanatd.ctl({"force-backup", "web"});
  EXPECT_EQ(refused.exit, 1);
  EXPECT_THAT(refused.err, HasSubstr("--even-if-down"));
  EXPECT_EQ(connect_once(lab, Host::client, vip()).text, "primary");
  EXPECT_EQ(hanatd.ctl({"force-backup", "web", "--even-if-down"}).exit, 0);
  EXPECT_EQ(service(hanatd.status(), "web").target, "backup");
}

TEST_F(Lifecycle, ABadFileChangesNothingAndSaysWhere) {
  Hanatd hanatd{lab, fast_service()};
  hanatd.wait_target("web", "primary");
  const std::string before = table();
  const Output output = hanatd.reload(fast_service() + "[service.bad]\nlisten = \"203.0.113.10:99999/tcp\"\nprimery = \"198.18.1.2:80\"\n");
  EXPECT_EQ(output.exit, 2);
  EXPECT_THAT(output.err, HasSubstr("hanat.toml:10:10:"));
  EXPECT_THAT(output.err, HasSubstr("hanat.toml:11:1:"));
  EXPECT_THAT(output.err, HasSubstr("did you mean"));
  EXPECT_EQ(table(), before);
  EXPECT_EQ(service(hanatd.status(), "web").target, "primary");
}

TEST_F(Lifecycle, AStartWithABadFileGoesByTheOneThatWasAcceptedLast) {
  Hanatd hanatd{lab, fast_service(), {.arguments = {"--fallback"}, .start = false}};
  const std::string bad = fast_service() + "[service.bad]\nlisten = 5\n";
  hanatd.write_config(bad);
  hanatd.launch();
  EXPECT_EQ(hanatd.wait_exit(milliseconds{10000}), 2) << "there is none yet";
  EXPECT_THAT(hanatd.log(), HasSubstr("no configuration that was accepted before"));

  hanatd.write_config(fast_service());
  hanatd.start();
  const auto accepted = hanatd.state() / "accepted" / "hanat.toml";
  for (int wait = 0; wait < 100 && !std::filesystem::exists(accepted); ++wait) sleep_for(milliseconds{20});
  ASSERT_TRUE(std::filesystem::exists(accepted));
  EXPECT_EQ(hanatd.status().daemon.fallback, std::nullopt);
  hanatd.kill9();
  lab.must(Host::gateway, "nft delete table inet hanat"); // as after a boot
  hanatd.write_config(bad);
  hanatd.start();
  hanatd.wait_target("web", "primary");
  EXPECT_EQ(connect_once(lab, Host::client, vip()).text, "primary");
  EXPECT_EQ(hanatd.status().daemon.config, accepted.string());
  EXPECT_THAT(hanatd.ctl({"status"}).out, HasSubstr("hanat.toml has 2 errors: the configuration that was accepted last is in force"));
  EXPECT_EQ(hanatd.ctl({"reload"}).exit, 2);
  EXPECT_NE(hanatd.status().daemon.fallback, std::nullopt);

  ASSERT_EQ(hanatd.reload(fast_service({.name = "renamed"})).exit, 0);
  EXPECT_EQ(hanatd.status().daemon.fallback, std::nullopt);
  EXPECT_EQ(hanatd.status().daemon.config, hanatd.config().string());
  const auto names_it = [&] {
    std::ifstream file{accepted};
    return std::string{std::istreambuf_iterator<char>{file}, {}}.find("renamed") != std::string::npos;
  };
  for (int wait = 0; wait < 100 && !names_it(); ++wait) sleep_for(milliseconds{20});
  EXPECT_TRUE(names_it());
}

TEST_F(Lifecycle, AGroupOfOperatorsThatIsGoneStopsNothing) {
  Hanatd hanatd{lab, "[hanatd]\noperators = \"no-such-group\"\n" + fast_service()};
  hanatd.wait_target("web", "primary");
  EXPECT_THAT(hanatd.log(), HasSubstr("no group \"no-such-group\" (operators): only root may change things now"));
  EXPECT_EQ(hanatd.reload("[hanatd]\noperators = \"no-such-group\"\n" + fast_service({.name = "other"})).exit, 0);
  EXPECT_EQ(hanatd.reload("[hanatd]\noperators = \"a-slip\"\n" + fast_service()).exit, 2) << "a new name may be one";
  hanatd.wait_target("other", "primary");
}

TEST_F(Lifecycle, AChangedFileChangesOnlyWhatChanged) {
  TcpServer second{lab, Host::primary, 9000, "second"};
  const std::string web = fast_service();
  const std::string other = fast_service({.name = "other", .listen = "203.0.113.11:900/tcp", .port = 9000});
  Hanatd hanatd{lab, web + other};
  hanatd.wait_target("web", "primary");
  hanatd.wait_target("other", "primary");
  TcpClient on_web{lab, Host::client, vip()};
  TcpClient on_other{lab, Host::client, {Address::parse("203.0.113.11").value(), 900}};
  ASSERT_EQ(on_web.ask().text, "primary");
  ASSERT_EQ(on_other.ask().text, "second");
  primary.kill();
  hanatd.wait_target("web", "backup");
  const std::string since = service(hanatd.status(), "web").since;

  // Another listener for `other`; `web` must keep its verdicts, its target and its moment.
  const Output output =
      hanatd.reload(web + fast_service({.name = "other", .listen = "203.0.113.11:900/tcp\", \"203.0.113.11:901/tcp", .port = 9000}));
  EXPECT_EQ(output.exit, 0) << output.err;
  EXPECT_THAT(output.out, HasSubstr("other"));
  const Status status = hanatd.status();
  EXPECT_EQ(service(status, "web").target, "backup");
  EXPECT_EQ(service(status, "web").since, since);
  EXPECT_EQ(server(service(status, "web"), "primary").health, "down") << "no second look at what is known";
  EXPECT_EQ(service(status, "other").target, "primary");
  EXPECT_EQ(service(status, "other").flips, 0U);
  EXPECT_EQ(on_other.ask().text, "second") << "its flow goes on";
  EXPECT_EQ(connect_once(lab, Host::client, {Address::parse("203.0.113.11").value(), 901}).text, "second") << "the new listener, at once";
}

TEST_F(Lifecycle, ANewAddressOfAServerMovesTheService) {
  Hanatd hanatd{lab, fast_service()};
  hanatd.wait_target("web", "primary");
  TcpServer moved{lab, Host::primary, 8444, "moved"};
  TcpServer moved_backup{lab, Host::backup, 8444, "moved backup"};
  TcpClient client{lab, Host::client, vip()};
  ASSERT_EQ(client.ask().text, "primary");
  ASSERT_EQ(hanatd.reload(fast_service({.port = 8444})).exit, 0);
  hanatd.wait_for([](const Status& now) { return service(now, "web").target_address.value_or("").ends_with(":8444"); });
  EXPECT_EQ(connect_once(lab, Host::client, vip()).text, "moved");
  EXPECT_EQ(client.ask().result, Result::reset) << "the old server's client";
}

TEST_F(Lifecycle, TheServerThatHasTheTrafficMayBeTakenOutOfTheFile) {
  Hanatd hanatd{lab, fast_service()};
  hanatd.wait_target("web", "primary");
  ASSERT_EQ(hanatd.ctl({"force-backup", "web"}).exit, 0);
  hanatd.wait_target("web", "backup");
  std::string without_backup = fast_service();
  const auto line = without_backup.find("backup = ");
  without_backup.erase(line, without_backup.find('\n', line) + 1 - line);
  const Output output = hanatd.reload(without_backup);
  ASSERT_TRUE(hanatd.running()) << hanatd.log();
  EXPECT_EQ(output.exit, 0) << output.err;
  hanatd.wait_target("web", "primary");
  EXPECT_EQ(connect_once(lab, Host::client, vip()).text, "primary");
}

TEST_F(Lifecycle, ARemovedServiceIsCutAndItsAddressNoLongerAnswered) {
  UdpServer udp{lab, Host::primary, 53, "primary"};
  const std::string dns =
      fast_service({.name = "dns", .listen = "203.0.113.10:53/udp", .port = 53, .probe = "type = \"tcp\", port = 8443"});
  Hanatd hanatd{lab, fast_service() + dns};
  hanatd.wait_target("web", "primary");
  hanatd.wait_target("dns", "primary");
  TcpClient client{lab, Host::client, vip()};
  UdpClient sender{lab, Host::client, vip(53), 40000};
  ASSERT_EQ(client.ask().text, "primary");
  ASSERT_EQ(sender.ask().text, "primary");
  ASSERT_EQ(hanatd.reload("").exit, 0);
  EXPECT_EQ(client.wait_for_end(milliseconds{5000}).result, Result::reset) << "it waits in silence";
  Attempt attempt = sender.ask(milliseconds{200});
  for (int wait = 0; wait < 20 && attempt.result == Result::answered; ++wait) {
    sleep_for(milliseconds{50});
    attempt = sender.ask(milliseconds{200});
  }
  EXPECT_NE(attempt.result, Result::answered) << "the old flow is not pinned to the server";
  EXPECT_NE(connect_once(lab, Host::client, vip(), milliseconds{300}).result, Result::answered);
  EXPECT_TRUE(hanatd.status().services.empty());
  EXPECT_THAT(table(), Not(HasSubstr("dnat4 {\n\t\ttype ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service\n\t\tcomment "
                                     "\"virtual endpoint : server of new flows\"\n\t\telements")));
}

TEST_F(Lifecycle, AnEndpointThatChangesHandsKeepsItsFlowsOnTheSameServer) {
  Hanatd hanatd{lab, fast_service()};
  hanatd.wait_target("web", "primary");
  TcpClient client{lab, Host::client, vip()};
  ASSERT_EQ(client.ask().text, "primary");
  ASSERT_EQ(hanatd.reload(fast_service({.name = "renamed"})).exit, 0);
  hanatd.wait_target("renamed", "primary");
  EXPECT_EQ(client.ask().text, "primary");
  EXPECT_EQ(service(hanatd.status(), "renamed").flips, 0U);
}

TEST_F(Lifecycle, AStartThatFailsSaysWhyAndChangesNothing) {
  Hanatd hanatd{lab, fast_service()};
  hanatd.wait_target("web", "primary");
  ASSERT_EQ(hanatd.ctl({"force-backup", "web", "--for", "1h"}).exit, 0); // its flip would be under way when the start fails
  hanatd.kill9();
  lab.must(Host::gateway, "nft delete table inet hanat");
  for (const char* socket : {"/run/hanat-missing/control.sock", "/etc/passwd"}) {
    Hanatd failing{lab, fast_service(), {.start = false, .state = hanatd.state()}};
    const Output output = lab.run(Host::gateway, hanatd_program() + " --config " + failing.config().string() + " --state " +
                                                     hanatd.state().string() + " --socket " + socket);
    EXPECT_EQ(output.exit, 1) << output.err;
    EXPECT_THAT(output.err, HasSubstr(socket == std::string{"/etc/passwd"} ? "/etc/passwd" : "mkdir -p"));
    EXPECT_NE(lab.run(Host::gateway, "nft list table inet hanat").exit, 0) << "no table without targets is left behind";
  }
}

/// Without the package, on a machine that has neither directory.
TEST_F(Lifecycle, TheUsualDirectoriesAreMade) {
  const Hanatd files{lab, fast_service(), {.start = false}};
  const Output output = lab.run(Host::gateway, fmt::format("unshare --mount sh -c 'mount -t tmpfs none /run; mount -t tmpfs none /var/lib; "
                                                           "{0} --config {1} & for turn in $(seq 100); do {2} --json status && break; "
                                                           "sleep 0.1; done; stat -c \"%n %a\" /run/hanat /var/lib/hanat; "
                                                           "kill $!; wait $!'",
                                                           hanatd_program(), files.config().string(), hanatctl_program()));
  EXPECT_EQ(output.exit, 0) << output.err;
  EXPECT_THAT(output.out, HasSubstr("/run/hanat 750\n/var/lib/hanat 750\n")) << output.err;
}

TEST_F(Lifecycle, AnEndpointThatComesBackWithinAMinuteKeepsItsGrace) {
  Hanatd hanatd{lab, fast_service()};
  hanatd.wait_target("web", "primary");
  ASSERT_EQ(hanatd.ctl({"force-backup", "web"}).exit, 0);
  ASSERT_EQ(hanatd.reload("").exit, 0);
  EXPECT_THAT(hanatd.log(), HasSubstr("override ends"));
  sleep_for(milliseconds{1500}); // TCP entries are being cut
  ASSERT_EQ(hanatd.reload(fast_service()).exit, 0);
  hanatd.wait_target("web", "primary");
  EXPECT_EQ(connect_once(lab, Host::client, vip()).text, "primary");
  sleep_for(milliseconds{3000});
  for (const char* set : {"vips4", "recent4"}) {
    const std::string listed = lab.must(Host::gateway, fmt::format("nft list set inet hanat {}", set));
    const std::string endpoint = "203.0.113.10 . tcp . 443";
    EXPECT_NE(listed.find(endpoint), std::string::npos) << listed;
    EXPECT_EQ(listed.find(endpoint), listed.rfind(endpoint)) << "once: " << listed;
  }
  EXPECT_EQ(hanatd.status().daemon.kernel, "in-step");
  EXPECT_THAT(hanatd.log(), Not(HasSubstr("refused a change")));
}

TEST_F(Lifecycle, ATornStateFileDoesNotStopTheDaemon) {
  Hanatd hanatd{lab, fast_service()};
  hanatd.wait_target("web", "primary");
  ASSERT_EQ(hanatd.ctl({"force-backup", "web"}).exit, 0);
  hanatd.kill9();
  const auto file = hanatd.state() / "state.json";
  std::filesystem::resize_file(file, std::filesystem::file_size(file) / 2);
  hanatd.start();
  const Status status = hanatd.wait_target("web", "primary"); // the override is lost with the file, and the primary is up
  EXPECT_FALSE(service(status, "web").forced);
  EXPECT_EQ(connect_once(lab, Host::client, vip()).text, "primary");
  EXPECT_THAT(hanatd.log(), HasSubstr("state.json"));
  ASSERT_EQ(hanatd.ctl({"force-backup", "web"}).exit, 0);
  hanatd.kill9();
  hanatd.start();
  EXPECT_TRUE(service(hanatd.wait_target("web", "backup"), "web").forced) << "the file is written anew";
}

} // namespace
} // namespace hanat::test
