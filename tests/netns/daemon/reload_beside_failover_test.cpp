// Nothing of a reload is in the way of a flip: hundreds of requests, thousands of services, files and directory services that hang; nor is
// anything else that hanatd writes. Not here: what a reload changes (failover/reload_test).
// HANAT_RELOAD_ROUNDS=N: so many rounds instead of five.
#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <nlohmann/json.hpp>

#include "daemon/api/client.hpp"
#include "daemon/util/unix_socket.hpp"
#include "tests/netns/daemon/lifecycle.hpp"
#include "tests/netns/lab/load.hpp"

namespace hanat::test {
namespace {

using std::this_thread::sleep_for;
using testing::HasSubstr;

class ReloadBesideFailover : public Lifecycle {
protected:
  /// "web", which fails over, and others, whose servers live on; `word` tells two configurations of them apart.
  static std::string with_others(unsigned others, const std::string& word = "refuse") {
    std::string text =
        fmt::format("[defaults]\nprobe = {{ type = \"tcp\", interval = \"10s\", fast_interval = \"2s\" }}\non_none = \"{}\"\n", word);
    text += fast_service({.extra = "on_none = \"refuse\"\nfailback = { penalty = \"0s\" }"}); // it fails over often
    for (unsigned number = 0; number < others; ++number)
      text +=
          fmt::format("[service.s{0}]\nlisten = \"203.0.113.{1}:{2}/tcp\"\nprimary = \"198.18.12.2:9443\"\nbackup = \"198.18.12.2:9444\"\n",
                      number, 11 + number / 1'000, 1 + number % 1'000);
    return text;
  }
  static std::size_t rounds() {
    const char* const asked = std::getenv("HANAT_RELOAD_ROUNDS"); // NOLINT(concurrency-mt-unsafe)
    return asked == nullptr ? 5 : static_cast<std::size_t>(std::atoi(asked));
  }
  static double median(std::vector<double> values) {
    std::ranges::sort(values);
    return (values.at(values.size() / 2) + values.at((values.size() - 1) / 2)) / 2;
  }
  TcpServer other_primary{lab, Host::backup, 9443, "other"}, other_backup{lab, Host::backup, 9444, "other"};

  /// Of "web" alone: the status of thousands would be work for hanatd, too.
  static void wait_for_web(const Hanatd& hanatd, const std::function<bool(const ServiceStatus&)>& wanted) {
    for (const auto end = TestClock::now() + milliseconds{20'000};; sleep_for(milliseconds{5})) {
      const Status status = call(hanatd.socket(), "Status", {{"service", "web"}}).at("status").get<Status>();
      if (wanted(service(status, "web"))) return;
      if (TestClock::now() > end) throw std::runtime_error(nlohmann::json(status).dump(2) + hanatd.log());
    }
  }
  static void wait_at_primary(const Hanatd& hanatd) {
    wait_for_web(hanatd, [](const ServiceStatus& web) {
      return web.target == "primary" && std::ranges::all_of(web.servers, [](const ServerStatus& one) { return one.health == "up"; });
    });
  }
  /// The primary dies when `meanwhile` has begun: how long, in ms, until the first client is answered by the backup.
  double first_answer(const std::function<void()>& meanwhile = {}) {
    Load load{lab, Host::client, vip(), {.per_second = 300, .duration = milliseconds{30'000}}};
    sleep_for(milliseconds{100}); // clients come
    if (meanwhile) meanwhile();
    const auto died = TestClock::now();
    primary.kill();
    while (connect_once(lab, Host::client, vip()).text != "backup" && TestClock::now() < died + milliseconds{20'000}) continue;
    const LoadResult result = load.stop();
    double first = 1e9;
    for (const Connect& connect : result.connects)
      if (connect.by == "backup")
        first = std::min(first, std::chrono::duration<double, std::milli>(connect.started + connect.ended - died).count());
    return first;
  }
  void recover(const Hanatd& hanatd) {
    primary.start();
    wait_at_primary(hanatd);
  }
};

TEST_F(ReloadBesideFailover, ThreeHundredSignalsAreTwoReloadsAndDelayNoFlip) {
  Hanatd hanatd{lab, with_others(1'000)};
  wait_at_primary(hanatd);
  hanatd.write_config(with_others(1'000, "drop"));
  const double first = first_answer([&] {
    for (int signal = 0; signal < 300; ++signal) {
      hanatd.signal(SIGHUP);
      if (signal % 30 == 0) sleep_for(milliseconds{1});
    }
  });
  std::cout << fmt::format("300 SIGHUPs with 1,000 services: first answer of the backup after {:.1f} ms\n", first);
  EXPECT_LE(first, 200);
  ASSERT_EQ(hanatd.ctl({"reload"}, milliseconds{60'000}).exit, 0);
  const std::string log = hanatd.log();
  std::size_t reloads = 0;
  for (auto at = log.find("configuration read again"); at != std::string::npos; at = log.find("configuration read again", at + 1))
    ++reloads;
  EXPECT_LE(reloads, 40U);
  std::cout << fmt::format("{} reloads for 301 requests\n", reloads);
}

TEST_F(ReloadBesideFailover, AReloadOfThreeThousandServicesDelaysAFlipByTwentyMillisecondsAtMost) {
  Hanatd hanatd{lab, with_others(0)};
  wait_at_primary(hanatd);
  std::vector<double> alone, beside;
  for (std::size_t round = 0; round < rounds(); ++round) {
    alone.push_back(first_answer());
    recover(hanatd);
    for (const unsigned others : {3'000U, 0U}) { // added, and removed
      hanatd.write_config(with_others(others));
      std::thread reload;
      beside.push_back(first_answer([&] {
        reload = std::thread{[&] { EXPECT_EQ(hanatd.ctl({"reload"}, milliseconds{60'000}).exit, 0); }};
        sleep_for(milliseconds{20 + 60 * static_cast<int>(round)}); // it reads its files, or changes services
      }));
      reload.join();
      recover(hanatd);
    }
  }
  std::cout << fmt::format(
      "first answer of the backup, medians: alone {:.1f} ms, beside a reload of 3,000 services {:.1f} ms (worst {:.1f})\n", median(alone),
      median(beside), std::ranges::max(beside));
  EXPECT_LE(median(beside), median(alone) + 20);
}

TEST_F(ReloadBesideFailover, AFifoAmongTheFilesIsRefusedAndHoldsUpNothing) {
  Hanatd hanatd{lab, with_others(0)};
  hanatd.wait_target("web", "primary");
  const auto folder = hanatd.config().parent_path() / "conf.d";
  std::filesystem::create_directory(folder);
  ASSERT_EQ(mkfifo((folder / "x.toml").c_str(), 0600), 0);
  const Output refused = hanatd.ctl({"reload"});
  EXPECT_EQ(refused.exit, 2);
  EXPECT_THAT(refused.err, HasSubstr("x.toml: this is a fifo: name a regular file"));
  primary.kill();
  hanatd.wait_target("web", "backup");
}

TEST_F(ReloadBesideFailover, ADirectoryServiceThatHangsHoldsUpNothing) {
  const std::filesystem::path hang = std::filesystem::temp_directory_path() / fmt::format("hanat-hang-{}", getpid());
  const std::string in_use = "[hanatd]\noperators = \"no-such-group\"\n" + with_others(0);
  Hanatd hanatd{lab, in_use, {.before = {"env", "LD_PRELOAD=" HANAT_HANGING_GROUPS, "HANAT_GROUPS_HANG=" + hang.string()}}};
  wait_at_primary(hanatd);
  std::ofstream{hang}.put('\n');
  Output reply;
  std::thread reload{[&] { reply = hanatd.ctl({"reload"}); }};
  EXPECT_LE(first_answer(), 300);
  recover(hanatd);
  reload.join();
  EXPECT_EQ(reply.exit, 1);
  EXPECT_THAT(reply.err, HasSubstr("waits for its files for 5 s now"));
  EXPECT_TRUE(hanatd.status().daemon.reload_hangs);
  EXPECT_THAT(hanatd.ctl({"status"}).out, HasSubstr("still waits for its files"));
  std::filesystem::remove(hang);
  hanatd.wait_for([](const Status& now) { return !now.daemon.reload_hangs; });
  EXPECT_EQ(hanatd.ctl({"reload"}).exit, 0);
  std::ofstream{hang}.put('\n');
  hanatd.signal(SIGHUP);
  hanatd.restart(); // it ends and starts, although a look-up hangs
  hanatd.wait_target("web", "primary");
  std::filesystem::remove(hang);
}

TEST_F(ReloadBesideFailover, ASignalBeforeItStandsIsRemembered) {
  Hanatd hanatd{lab, with_others(500), {.start = false}};
  const auto holds = [&] {
    std::ifstream file{fmt::format("/proc/{}/status", hanatd.pid())};
    for (std::string word; file >> word;)
      if (std::string mask; word == "SigBlk:" && file >> mask) return (std::stoull(mask, nullptr, 16) & 1) != 0;
    return false;
  };
  hanatd.launch();
  for (int wait = 0; wait < 5'000 && !holds(); ++wait) sleep_for(milliseconds{1});
  hanatd.signal(SIGHUP);
  hanatd.wait_exit(milliseconds{0});
  ASSERT_TRUE(hanatd.running());
  for (int wait = 0; wait < 500 && hanatd.log().find("configuration read again (by SIGHUP)") == std::string::npos; ++wait)
    sleep_for(milliseconds{20});
  EXPECT_THAT(hanatd.log(), HasSubstr("configuration read again (by SIGHUP): 501 services"));
}

/// Every way out of hanatd is blocked: nobody reads.
class EverythingBlocked : public ReloadBesideFailover {
protected:
  const std::filesystem::path directory = std::filesystem::temp_directory_path() / fmt::format("hanat-blocked-{}", getpid());
  Fd pipe, systemd;
  std::vector<Fd> clients;

  void SetUp() override {
    std::filesystem::create_directory(directory);
    ASSERT_EQ(mkfifo((directory / "stderr").c_str(), 0600), 0);
    pipe = Fd{open((directory / "stderr").c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC)};
    ASSERT_GE(fcntl(pipe.get(), F_SETPIPE_SZ, 4096), 4096);
    systemd = Fd{socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    const sockaddr_un address = unix_address(directory / "notify");
    ASSERT_EQ(bind(systemd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  void TearDown() override { std::filesystem::remove_all(directory); }

  HanatdOptions options() const {
    return {.before = {"env", "NOTIFY_SOCKET=" + (directory / "notify").string(), "sh", "-c",
                       fmt::format("exec 2<>{}; exec \"$@\"", (directory / "stderr").string()), "sh"}};
  }
  void fill() {
    const std::string rubbish(4096, 'x');
    while (write(pipe.get(), rubbish.data(), rubbish.size()) > 0) continue;
    const Fd sender{socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    const sockaddr_un address = unix_address(directory / "notify");
    while (sendto(sender.get(), "X=1", 3, 0, reinterpret_cast<const sockaddr*>(&address), sizeof address) > 0) continue;
  }
  void say(const Fd& fd, const std::string& text) {
    EXPECT_EQ(send(fd.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
  }
  void deaf_client(const Hanatd& hanatd, const std::string& request) {
    Fd fd{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const sockaddr_un address = unix_address(hanatd.socket());
    ASSERT_EQ(connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    say(fd, request);
    clients.push_back(std::move(fd));
  }
  void deaf_scraper(const Endpoint& at) {
    lab.in(Host::gateway, [&] {
      const SocketAddress address = to_sockaddr(at);
      Fd fd{socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
      ASSERT_EQ(connect(fd.get(), address.get(), address.length), 0);
      say(fd, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
      clients.push_back(std::move(fd));
    });
  }
};

TEST_F(EverythingBlocked, AFailoverIsAsFastAsWithout) {
  const std::string config = "[hanatd]\nmetrics = \"127.0.0.1:9717\"\n" + with_others(200);
  Hanatd hanatd{lab, config, options()};
  wait_at_primary(hanatd);
  std::vector<double> free, blocked;
  for (std::size_t round = 0; round < rounds(); ++round) {
    free.push_back(first_answer());
    recover(hanatd);
  }
  fill();
  for (int client = 0; client < 6; ++client) {
    std::string requests;
    for (int number = 0; number < 20; ++number) requests += R"({"method": "io.hanat.Control.Status"})" + std::string(1, '\0');
    deaf_client(hanatd, requests);
    deaf_client(hanatd, R"({"method": "io.hanat.Control.Follow", "more": true})" + std::string(1, '\0'));
    deaf_scraper({Address::parse("127.0.0.1").value(), 9717});
  }
  for (std::size_t round = 0; round < rounds(); ++round) {
    hanatd.write_config("[hanatd]\nmetrics = \"127.0.0.1:9717\"\n" + with_others(round % 2 == 0 ? 1'200 : 200));
    EXPECT_EQ(hanatd.ctl({"reload"}, milliseconds{60'000}).exit, 0) << "its long lines go nowhere";
    blocked.push_back(first_answer());
    recover(hanatd);
  }
  std::cout << fmt::format("first answer of the backup, medians: {:.1f} ms; with stderr and every socket blocked {:.1f} ms\n", median(free),
                           median(blocked));
  EXPECT_LE(median(blocked), median(free) + 20);
  EXPECT_EQ(hanatd.stop(), 0);
}

} // namespace
} // namespace hanat::test
