// From fails to a verdict, with the daemon as built: M of them within T, counted for each server and each service on its own;
// servers that waver, that accept and say nothing or nonsense, and a real process that is stopped.
// Not here: windows result by result (unit: failure_window), one probe by itself (probes/kinds).
#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <tuple>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"
#include "tests/netns/lab/scripted.hpp"

namespace hanat::test {
namespace {

using std::this_thread::sleep_for;

constexpr std::uint16_t health_port = 8080;
const std::string http_probe = "type = \"http\", port = 8080, path = \"/health\"";

bool wait_until(const std::function<bool()>& so, milliseconds deadline = milliseconds{5000}) {
  for (const auto end = TestClock::now() + deadline; TestClock::now() < end; sleep_for(milliseconds{1}))
    if (so()) return true;
  return so();
}

/// The health page of a server: 200, but for exactly so many answers as the test orders.
class HealthPage {
public:
  HealthPage(Lab& lab, Host host) : server_(lab, host, health_port, [this](std::string& input) { return answer(input); }) {}

  /// The next `count` answers of this path are 503.
  void fail_next(unsigned count, const std::string& path = "/health") {
    const std::scoped_lock lock(mutex_);
    ill_[path] = count;
  }
  /// As fail_next(), and waits until they were given.
  void fail(unsigned count, const std::string& path = "/health") {
    fail_next(count, path);
    ASSERT_TRUE(wait_until([&] { return left(path) == 0; })) << "nobody asks " << path;
  }
  /// Every second answer is 503.
  void waver(bool on) { wavering_ = on; }
  unsigned left(const std::string& path = "/health") {
    const std::scoped_lock lock(mutex_);
    return ill_[path];
  }
  unsigned asked() const { return asked_; }

private:
  std::string answer(std::string& input) {
    std::string reply;
    for (auto end = input.find("\r\n\r\n"); end != std::string::npos; end = input.find("\r\n\r\n")) {
      const auto path = input.substr(4, input.find(' ', 4) - 4); // "GET /health HTTP/1.1"
      input.erase(0, end + 4);
      reply += fmt::format("HTTP/1.1 {}\r\nContent-Length: 0\r\n\r\n", is_ill(path) ? "503 Ill" : "200 Well");
    }
    return reply;
  }
  bool is_ill(const std::string& path) {
    const std::scoped_lock lock(mutex_);
    const unsigned number = ++asked_;
    if (ill_[path] == 0) return wavering_ && number % 2 == 0;
    --ill_[path];
    return true;
  }

  std::mutex mutex_;
  std::map<std::string, unsigned> ill_; // by path: answers that are still to be 503
  std::atomic<bool> wavering_ = false;
  std::atomic<unsigned> asked_ = 0;
  StreamServer server_; // last: it asks the members above
};

class Judgement : public testing::Test {
protected:
  std::string who_answers(std::uint16_t port = 443) { return connect_once(lab, Host::client, Lab::vip(port)).text; }

  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
  HealthPage primary_page{lab, Host::primary};
  HealthPage backup_page{lab, Host::backup};
};

TEST_F(Judgement, FailsMoveTheServiceOnlyWhenEnoughOfThemFallWithinTheUnitOfTime) {
  Hanatd hanatd{lab, fast_service({.probe = http_probe, .down = "fails = 3, within = \"1s\""})};
  hanatd.wait_target("web", "primary");
  for (int round = 0; round < 6; ++round) { // a third one always comes more than a second after the first
    primary_page.fail(1);
    EXPECT_EQ(who_answers(), "primary");
    sleep_for(milliseconds{520});
  }
  sleep_for(milliseconds{600});
  primary_page.fail(2);
  const Status doubted = hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "primary").fails.count == 2; });
  EXPECT_EQ(server(service(doubted, "web"), "primary").health, "up");
  EXPECT_EQ(server(service(doubted, "web"), "primary").fails.of, 3U);
  EXPECT_EQ(who_answers(), "primary") << "two are not three";
  sleep_for(milliseconds{1100});
  EXPECT_EQ(server(service(hanatd.status(), "web"), "primary").fails.count, 0U) << "forgotten";
  EXPECT_EQ(service(hanatd.status(), "web").flips, 0U);

  primary_page.fail(3);
  hanatd.wait_target("web", "backup");
  EXPECT_EQ(who_answers(), "backup");
}

TEST_F(Judgement, EveryServerCountsItsOwnFails) {
  Hanatd hanatd{lab, fast_service({.probe = http_probe})};
  hanatd.wait_target("web", "primary");
  hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "backup").health == "up"; });
  primary_page.fail(2);
  backup_page.fail(2);
  sleep_for(milliseconds{200});
  for (const char* role : {"primary", "backup"}) {
    const Status status = hanatd.status();
    EXPECT_EQ(server(service(status, "web"), role).health, "up") << role << ": four among both, two for each";
    EXPECT_EQ(server(service(status, "web"), role).fails.count, 2U) << role;
  }
  backup_page.fail(3);
  const Status status = hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "backup").health == "down"; });
  EXPECT_EQ(server(service(status, "web"), "primary").health, "up");
  EXPECT_EQ(service(status, "web").target, "primary");
  EXPECT_EQ(service(status, "web").flips, 0U);
  EXPECT_EQ(who_answers(), "primary");
}

TEST_F(Judgement, ServicesOnOneServerAreJudgedEachForItself) {
  const std::string probe = "type = \"http\", port = 8080, path = \"/{}\"";
  Hanatd hanatd{lab,
                fast_service({.name = "shop", .listen = "203.0.113.10:443/tcp", .probe = fmt::format(fmt::runtime(probe), "shop")}) +
                    fast_service({.name = "mail", .listen = "203.0.113.10:444/tcp", .probe = fmt::format(fmt::runtime(probe), "mail")})};
  hanatd.wait_target("shop", "primary");
  hanatd.wait_target("mail", "primary");
  TcpClient shopper{lab, Host::client, Lab::vip(443)};
  TcpClient reader{lab, Host::client, Lab::vip(444)};
  ASSERT_EQ(shopper.ask().text, "primary");
  ASSERT_EQ(reader.ask().text, "primary");

  primary_page.fail_next(2, "/mail"); // two of the one and three of the other within the same moment
  primary_page.fail(3, "/shop");
  hanatd.wait_target("shop", "backup");
  EXPECT_EQ(who_answers(443), "backup");
  EXPECT_EQ(who_answers(444), "primary");
  EXPECT_EQ(shopper.ask().result, Result::reset);
  EXPECT_EQ(reader.ask().text, "primary") << "the same server, another service";
  EXPECT_EQ(service(hanatd.status(), "mail").flips, 0U);
}

TEST_F(Judgement, AServerThatFailsEverySecondProbeMovesTheServiceOnce) {
  Hanatd hanatd{lab, fast_service({.probe = http_probe, .up = "passes = 2, stable_for = \"500ms\""})};
  hanatd.wait_target("web", "primary");
  primary_page.waver(true);
  hanatd.wait_target("web", "backup");
  const unsigned before = primary_page.asked();
  for (const auto end = TestClock::now() + milliseconds{3000}; TestClock::now() < end; sleep_for(milliseconds{20}))
    ASSERT_EQ(who_answers(), "backup");
  EXPECT_GT(primary_page.asked(), before + 20) << "it was asked all the time";
  EXPECT_EQ(service(hanatd.status(), "web").flips, 1U);
  primary_page.waver(false);
  hanatd.wait_target("web", "primary");
  EXPECT_EQ(service(hanatd.status(), "web").flips, 2U);
  EXPECT_EQ(who_answers(), "primary");
}

TEST_F(Judgement, AServerThatIsWellOnlyForMomentsIsNotGivenTheServiceBack) {
  // Each time enough passes in a row, but never for stable_for; and in between enough fails to be down again.
  Hanatd hanatd{lab, fast_service({.probe = http_probe, .up = "passes = 2, stable_for = \"1s\""})};
  hanatd.wait_target("web", "primary");
  for (int round = 0; round < 6; ++round) {
    primary_page.fail(3);
    hanatd.wait_target("web", "backup");
    sleep_for(milliseconds{400});
    EXPECT_EQ(who_answers(), "backup");
  }
  EXPECT_EQ(service(hanatd.status(), "web").flips, 1U);
}

// ---- servers that accept, and answer nothing or nonsense

enum class Manner : std::uint8_t { well, muted, drop_by_drop, nonsense, endless_header, early_end };

std::string_view registers_of(Manner manner) {
  switch (manner) {
  case Manner::well: return "Well";
  case Manner::muted: return "SaysNothing";
  case Manner::drop_by_drop: return "SendsAByteASecond";
  case Manner::nonsense: return "SendsGarbage";
  case Manner::endless_header: return "SendsAMegabyteOfHeader";
  case Manner::early_end: return "ClosesWithoutAnAnswer";
  }
  return "?";
}

void serve(Client& client, const std::atomic<Manner>& manner) {
  while (client.read_request()) switch (manner) {
    case Manner::well: client.send("HTTP/1.1 204 Well\r\n\r\n"); break;
    case Manner::muted: client.hold(); return;
    case Manner::drop_by_drop:
      for (const char byte : std::string{"HTTP/1.1 204 Well\r\n\r\n"}) {
        if (!client.send({&byte, 1})) return;
        client.hold(milliseconds{1000});
      }
      return;
    case Manner::nonsense: client.send("\x16\x03\x01\x02 SSH-2.0-none of your business\r\n\r\n"); return;
    case Manner::endless_header:
      client.send("HTTP/1.1 204 Well\r\n");
      for (int line = 0; line < 1024 && client.send("X-Filler: " + std::string(1012, 'x') + "\r\n"); ++line) {
      }
      return;
    case Manner::early_end: return;
    }
}

class OddServer : public testing::TestWithParam<std::tuple<Manner, std::string>> {};
INSTANTIATE_TEST_SUITE_P(, OddServer,
                         testing::Values(std::tuple{Manner::muted, "timeout"}, std::tuple{Manner::drop_by_drop, "timeout"},
                                         std::tuple{Manner::nonsense, "garbled"}, std::tuple{Manner::endless_header, "too-large"},
                                         std::tuple{Manner::early_end, "closed"}),
                         [](const auto& test) { return std::string{registers_of(std::get<0>(test.param))}; });

TEST_P(OddServer, IsJudgedAtItsDeadline) {
  const auto& [manner, reason] = GetParam();
  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
  std::atomic<Manner> now = Manner::well;
  auto page = lab.in(Host::primary, [&] {
    return std::make_unique<ScriptedServer>([&](Client& client) { serve(client, now); }, Lab::address(Host::primary).text());
  });
  constexpr milliseconds interval{50}, fast_interval{10}, timeout{200};
  Hanatd hanatd{lab,
                fmt::format("[service.web]\nlisten = \"203.0.113.10:443/tcp\"\n"
                            "primary = {{ address = \"198.18.11.2:8443\", probe = {{ type = \"http\", port = {}, status = 204, interval = "
                            "\"{}ms\", fast_interval = \"{}ms\", timeout = \"{}ms\" }} }}\nbackup = \"198.18.12.2:8443\"\n"
                            "down = {{ fails = 3, within = \"2s\" }}\nup = {{ passes = 2, stable_for = \"100ms\" }}\n",
                            page->endpoint().port, interval.count(), fast_interval.count(), timeout.count())};
  hanatd.wait_target("web", "primary");

  now = manner;
  const auto began = TestClock::now();
  const Status status = hanatd.wait_target("web", "backup");
  const auto took = std::chrono::duration_cast<milliseconds>(TestClock::now() - began);
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(443)).text, "backup");
  EXPECT_EQ(server(service(status, "web"), "primary").last->outcome, "fail");
  EXPECT_EQ(server(service(status, "web"), "primary").last->reason, reason);
  fmt::print("verdict {} ms after the server began it\n", took.count());
  // The first fail comes within an interval (and a deadline, where the server is silent), the third two fast intervals later
  // (and at its own deadline).
  const bool silent = reason == "timeout";
  constexpr milliseconds allowance{250}; // this machine is busy with other things, too
  EXPECT_LT(took, interval + 2 * fast_interval + (silent ? 2 * timeout : milliseconds{0}) + allowance);
  EXPECT_GE(took, silent ? 2 * timeout : milliseconds{0}) << "a deadline that has not come is no answer";

  now = Manner::well;
  hanatd.wait_target("web", "primary");
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(443)).text, "primary");
}

// ---- a process that is stopped

/// nginx, one process, on a host's port 8080, which answers every request with "primary".
class StoppableServer {
public:
  StoppableServer(Lab& lab, Host host) {
    std::string name = (std::filesystem::temp_directory_path() / "hanat-nginx-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::system_error(errno, std::generic_category(), "mkdtemp");
    folder_ = name;
    std::ofstream{folder_ / "nginx.conf"} << fmt::format(
        "daemon off; master_process off; user root; pid {0}/pid; error_log {0}/error.log;\nevents {{ worker_connections 1000; }}\n"
        "http {{ access_log off; client_body_temp_path {0}/b; proxy_temp_path {0}/p; fastcgi_temp_path {0}/f; uwsgi_temp_path {0}/u;\n"
        "scgi_temp_path {0}/s; default_type text/plain; server {{ listen 8080; location / {{ return 200 'primary\\n'; }} }} }}\n",
        folder_.string());
    process_.emplace(lab.spawn(host, {"nginx", "-c", (folder_ / "nginx.conf").string(), "-q"}));
    const Endpoint itself = Lab::endpoint(host, 8080);
    if (!wait_until([&] { return http_once(lab, Host::gateway, itself).text == "primary"; })) throw std::runtime_error("nginx is silent");
  }
  ~StoppableServer() {
    process_.reset();
    std::filesystem::remove_all(folder_);
  }
  StoppableServer(const StoppableServer&) = delete;
  StoppableServer& operator=(const StoppableServer&) = delete;
  void stop() { process_->signal(SIGSTOP); }
  void go_on() { process_->signal(SIGCONT); }

private:
  std::filesystem::path folder_;
  std::optional<Process> process_;
};

TEST(StoppedProcess, StillHasAPortButNoService) {
  Lab lab;
  StoppableServer primary{lab, Host::primary};
  HttpServer backup{lab, Host::backup, 8080, "backup"};
  Hanatd hanatd{lab, fast_service({.name = "port", .listen = "203.0.113.10:80/tcp", .port = 8080}) +
                         fast_service({.name = "page", .listen = "203.0.113.10:81/tcp", .port = 8080, .probe = "type = \"http\""})};
  hanatd.wait_target("port", "primary");
  hanatd.wait_target("page", "primary");
  EXPECT_EQ(http_once(lab, Host::client, Lab::vip(81)).text, "primary");

  primary.stop();
  hanatd.wait_target("page", "backup");
  EXPECT_EQ(http_once(lab, Host::client, Lab::vip(81)).text, "backup");
  sleep_for(milliseconds{500});
  const Status status = hanatd.status();
  EXPECT_EQ(server(service(status, "page"), "primary").health, "down");
  EXPECT_EQ(server(service(status, "page"), "primary").last->reason, "timeout");
  EXPECT_EQ(server(service(status, "port"), "primary").health, "up") << "its kernel still completes handshakes";
  EXPECT_EQ(service(status, "port").flips, 0U);
  EXPECT_EQ(http_once(lab, Host::client, Lab::vip(80), milliseconds{300}).result, Result::timeout) << "what a port probe cannot see";

  primary.go_on();
  hanatd.wait_target("page", "primary");
  EXPECT_EQ(http_once(lab, Host::client, Lab::vip(81)).text, "primary");
  EXPECT_EQ(http_once(lab, Host::client, Lab::vip(80)).text, "primary");
}

} // namespace
} // namespace hanat::test
