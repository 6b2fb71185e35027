// What goes wrong on the gateway itself is no server's failure: a daemon that stood still, has no descriptors left, or may not send.
// Not here: failures of servers (judgement).
#include <array>
#include <csignal>
#include <string>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/load.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::test {
namespace {

using std::this_thread::sleep_for;

class OwnFailure : public testing::Test {
protected:
  std::string who_answers(std::uint16_t port = 443) { return connect_once(lab, Host::client, Lab::vip(port)).text; }

  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
  HttpServer primary_page{lab, Host::primary, 8080, "primary"};
  HttpServer backup_page{lab, Host::backup, 8080, "backup"};
};

/// The port by a tcp probe, the page by an http one; a single fail is a verdict.
std::string two_strict_services() {
  const std::string rate = "interval = \"50ms\", fast_interval = \"10ms\", timeout = \"400ms\"";
  std::string text;
  for (const auto& [name, port, probe] :
       {std::tuple{"port", 443, "type = \"tcp\""}, std::tuple{"page", 444, "type = \"http\", port = 8080"}})
    text += fmt::format("[service.{}]\nlisten = \"203.0.113.10:{}/tcp\"\nprimary = \"198.18.11.2:8443\"\nbackup = \"198.18.12.2:8443\"\n"
                        "probe = {{ {}, {} }}\ndown = {{ fails = 1, within = \"2s\" }}\nup = {{ passes = 2, stable_for = \"100ms\" }}\n",
                        name, port, probe, rate);
  return text;
}

TEST_F(OwnFailure, TimeThatTheDaemonStoodStillIsNoServersFailure) {
  Hanatd hanatd{lab, two_strict_services()};
  const auto both_up = [](const Status& now) {
    for (const char* name : {"port", "page"})
      for (const char* role : {"primary", "backup"})
        if (server(service(now, name), role).health != "up") return false;
    return true;
  };
  hanatd.wait_for(both_up);
  Load load{lab, Host::client, Lab::vip(443), {.per_second = 100, .duration = milliseconds{20000}}};
  for (const milliseconds pause :
       {milliseconds{5000}, milliseconds{60}, milliseconds{300}, milliseconds{450}, milliseconds{700}, milliseconds{900}}) {
    hanatd.signal(SIGSTOP);
    sleep_for(pause);
    hanatd.signal(SIGCONT);
    sleep_for(milliseconds{300});
    const Status status = hanatd.status();
    EXPECT_TRUE(both_up(status)) << pause.count() << " ms";
    for (const char* name : {"port", "page"}) {
      EXPECT_EQ(service(status, name).flips, 0U) << name << " after " << pause.count() << " ms";
      EXPECT_EQ(server(service(status, name), "primary").fails.count, 0U) << name << " after " << pause.count() << " ms";
    }
  }
  const LoadResult result = load.stop();
  EXPECT_EQ(result.failed(), 0U) << result;
  EXPECT_EQ(result.answered().size(), 1U) << result;
}

TEST_F(OwnFailure, AServerThatDiedWhileTheDaemonStoodStillIsFoundAtOnce) {
  Hanatd hanatd{lab, fast_service()};
  hanatd.wait_target("web", "primary");
  hanatd.signal(SIGSTOP);
  sleep_for(milliseconds{1000});
  primary.kill();
  const auto began = TestClock::now();
  hanatd.signal(SIGCONT);
  hanatd.wait_target("web", "backup");
  EXPECT_LT(TestClock::now() - began, milliseconds{500});
  EXPECT_EQ(who_answers(), "backup");
}

/// A connection to the control socket that is kept: a daemon without descriptors takes no new one.
class KeptControl {
public:
  explicit KeptControl(const std::string& path) : fd_(checked(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")) {
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    path.copy(to.sun_path, sizeof to.sun_path - 1);
    checked(connect(fd_.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to), path);
    const timeval patience{.tv_sec = 5, .tv_usec = 0};
    setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  nlohmann::json call(const std::string& method, const nlohmann::json& parameters = nlohmann::json::object()) const {
    const std::string text = nlohmann::json{{"method", "io.hanat.Control." + method}, {"parameters", parameters}}.dump();
    checked(static_cast<int>(send(fd_.get(), text.c_str(), text.size() + 1, MSG_NOSIGNAL)), "send");
    std::string reply;
    char byte = 0;
    while (checked(static_cast<int>(recv(fd_.get(), &byte, 1, 0)), "the daemon's reply") == 1 && byte != 0) reply += byte;
    return nlohmann::json::parse(reply).at("parameters");
  }
  Status status() const { return call("Status").at("status").get<Status>(); }

private:
  Fd fd_;
};

/// Of another process: descriptors that it has stay open, new ones at or above the limit are refused.
void limit_descriptors(pid_t pid, rlim_t limit) {
  rlimit now{};
  checked(prlimit(pid, RLIMIT_NOFILE, nullptr, &now), "prlimit");
  now.rlim_cur = limit;
  checked(prlimit(pid, RLIMIT_NOFILE, &now, nullptr), "prlimit");
}

constexpr rlim_t no_more = 3;
constexpr rlim_t plenty = 1024;

TEST_F(OwnFailure, ALogThatNobodyReadsHoldsUpNoFlip) {
  std::array<int, 2> ends{};
  checked(pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK), "pipe");
  const Fd reader{ends[0]}, writer{ends[1]};
  const std::string page(4096, '-');
  while (write(writer.get(), page.data(), page.size()) > 0) continue; // as full as a terminal that somebody stopped
  const std::string stderr_of_daemon = fmt::format("/proc/{}/fd/{}", getpid(), writer.get());
  Hanatd hanatd{lab, fast_service(), {.before = {"sh", "-c", "exec \"$@\" 2>" + stderr_of_daemon, "sh"}}};
  hanatd.wait_target("web", "primary");
  primary.kill();
  hanatd.wait_target("web", "backup", milliseconds{2000});
  EXPECT_EQ(who_answers(), "backup");
  EXPECT_EQ(hanatd.stop(milliseconds{3000}), 0) << "an end does not wait for readers either";
}

TEST_F(OwnFailure, ADaemonWithoutDescriptorsIsBlindAndMovesNothing) {
  Hanatd hanatd{lab,
                fast_service() + fast_service({.name = "page", .listen = "203.0.113.10:444/tcp", .probe = "type = \"http\", port = 8080"})};
  hanatd.wait_target("web", "primary");
  hanatd.wait_target("page", "primary");
  const KeptControl control{hanatd.socket()};
  ASSERT_EQ(service(control.status(), "web").target, "primary");

  limit_descriptors(hanatd.pid(), no_more);
  primary_page.kill(); // ends its kept connections: the http probe needs new ones, too
  primary_page.start();
  sleep_for(milliseconds{1500});
  const Status status = control.status();
  for (const char* name : {"web", "page"}) {
    EXPECT_EQ(service(status, name).target, "primary") << name;
    EXPECT_EQ(service(status, name).flips, 0U) << name;
    EXPECT_EQ(server(service(status, name), "primary").health, "up") << name;
  }
  EXPECT_EQ(server(service(status, "web"), "primary").last->outcome, "pass") << "a tcp probe has the socket of the one before";
  EXPECT_EQ(server(service(status, "page"), "primary").last->outcome, "inconclusive");
  EXPECT_EQ(server(service(status, "page"), "primary").last->reason, "no-descriptors");
  EXPECT_THAT(status.daemon.inconclusive.value_or(""), testing::HasSubstr("no-descriptors"));
  EXPECT_EQ(who_answers(443), "primary");
  EXPECT_EQ(who_answers(444), "primary");
  // An operator can still act: a flip needs no new descriptor.
  control.call("Force", {{"service", "web"}, {"server", "backup"}});
  EXPECT_EQ(who_answers(443), "backup");
  control.call("Auto", {{"service", "web"}});
  for (int tries = 0; tries < 100 && who_answers(443) != "primary"; ++tries) sleep_for(milliseconds{20}); // it waits for the cut under way
  EXPECT_EQ(who_answers(443), "primary");
  ASSERT_TRUE(hanatd.running());

  limit_descriptors(hanatd.pid(), plenty);
  hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "primary").last->outcome == "pass"; });
  primary.kill();
  hanatd.wait_target("web", "backup");
  EXPECT_EQ(who_answers(), "backup");
}

TEST_F(OwnFailure, ADaemonThatMayNotSendIsBlindAndMovesNothing) {
  Hanatd hanatd{lab,
                fast_service() + fast_service({.name = "page", .listen = "203.0.113.10:444/tcp", .probe = "type = \"http\", port = 8080"})};
  hanatd.wait_target("web", "primary");
  hanatd.wait_target("page", "primary");
  // For packets that the gateway itself makes; clients' packets pass.
  for (const Host host : {Host::primary, Host::backup})
    lab.must(Host::gateway, fmt::format("ip rule add iif lo to {} prohibit", Lab::address(host).text()));
  primary_page.kill();
  primary_page.start();
  sleep_for(milliseconds{1500});
  const Status status = hanatd.status();
  for (const char* name : {"web", "page"}) {
    EXPECT_EQ(service(status, name).flips, 0U) << name;
    EXPECT_EQ(server(service(status, name), "primary").health, "up") << name;
    EXPECT_EQ(server(service(status, name), "primary").last->outcome, "inconclusive") << name;
    EXPECT_EQ(server(service(status, name), "primary").last->reason, "forbidden") << name;
  }
  EXPECT_EQ(who_answers(443), "primary");
  EXPECT_EQ(who_answers(444), "primary");
  EXPECT_EQ(status.daemon.inconclusive, "forbidden") << "a gateway that cannot probe says so";
  EXPECT_THAT(hanatd.ctl({}).out, testing::HasSubstr("cannot probe"));

  for (const Host host : {Host::primary, Host::backup})
    lab.must(Host::gateway, fmt::format("ip rule del iif lo to {} prohibit", Lab::address(host).text()));
  const Status seeing = hanatd.wait_for([](const Status& now) { return !now.daemon.inconclusive; });
  EXPECT_EQ(server(service(seeing, "web"), "primary").health, "up");
  primary.kill();
  hanatd.wait_target("web", "backup");
  EXPECT_EQ(who_answers(), "backup");
}

} // namespace
} // namespace hanat::test
