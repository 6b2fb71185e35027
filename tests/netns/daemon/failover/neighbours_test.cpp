// Others use nf_tables on the gateway while a server dies: somebody who commits all day long, and somebody who loads a huge set. The
// kernel takes one change after the other; the flip waits for its turn and nothing else comes of it.
// Not here: nat::Kernel beside another user (kernel_test), somebody who changes hanat's own table (topology, resilience).
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/neighbour.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::test {
namespace {

using std::this_thread::sleep_for;

constexpr int deaths = 3;

/// Loads a set of 150,000 elements into a table of its own and deletes it, again and again.
class BigLoads {
public:
  explicit BigLoads(Lab& lab) {
    std::ofstream script(directory_.path / "big.nft");
    script << "table inet big {\n set s {\n type ipv4_addr\n elements = {\n";
    for (unsigned number = 0; number < 150'000; ++number)
      script << fmt::format("10.{}.{}.{},\n", number >> 16 & 255, number >> 8 & 255, number & 255);
    script << "}\n }\n}\n";
    script.close();
    // Each line of the file: how long a load took, in milliseconds.
    const std::string loop =
        "began=$(date +%s%3N); nft -f big.nft || exit; echo $(($(date +%s%3N) - began)) >>loads; nft delete table inet big";
    process_ = std::make_unique<Process>(
        lab.spawn(Host::gateway, {"sh", "-c", fmt::format("cd {} && while :; do {}; done", directory_.path.string(), loop)}));
  }
  std::vector<long> loads() const {
    std::ifstream file(directory_.path / "loads");
    return {std::istream_iterator<long>{file}, {}};
  }

private:
  struct Directory {
    Directory() : path(std::filesystem::temp_directory_path() / "hanat-big-XXXXXX") {
      std::string pattern = path.string();
      if (mkdtemp(pattern.data()) == nullptr) throw std::system_error(errno, std::generic_category(), "mkdtemp");
      path = pattern;
    }
    ~Directory() {
      std::error_code ignored;
      std::filesystem::remove_all(path, ignored);
    }
    std::filesystem::path path;
  };
  Directory directory_;
  std::unique_ptr<Process> process_;
};

/// Looks at the status all the time: servers that live, and how old their last answers are.
class Watcher {
public:
  explicit Watcher(const Hanatd& hanatd) : thread_([this, &hanatd] { watch(hanatd); }) {}
  ~Watcher() { stop(); }
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;
  void stop() {
    ending_ = true;
    if (thread_.joinable()) thread_.join();
  }
  /// After stop().
  const std::set<std::string>& wrong() const { return wrong_; }
  double oldest_answer_s() const { return oldest_s_; }

private:
  void watch(const Hanatd& hanatd) {
    while (!ending_) {
      try {
        look(hanatd.status());
      } catch (const std::exception& error) {
        wrong_.insert(error.what());
      }
      sleep_for(milliseconds{20});
    }
  }
  void look(const Status& status) {
    for (const auto& [name, role] : {std::pair{"web", "backup"}, {"other", "primary"}, {"other", "backup"}}) {
      const ServerStatus& one = server(service(status, name), role);
      if (one.health != "up") wrong_.insert(fmt::format("{} {} is {}", name, role, one.health));
      if (one.last) oldest_s_ = std::max(oldest_s_, one.last->age_s);
    }
    if (status.daemon.inconclusive) wrong_.insert("inconclusive: " + *status.daemon.inconclusive);
    if (service(status, "other").flips != 0) wrong_.insert("other has flipped");
  }

  std::atomic<bool> ending_ = false;
  std::set<std::string> wrong_;
  double oldest_s_ = 0;
  std::thread thread_;
};

class Neighbours : public testing::TestWithParam<bool> {
protected:
  std::vector<std::string> arguments() const {
    return GetParam() ? std::vector<std::string>{"--shared-table"} : std::vector<std::string>{};
  }
  void wait_up() {
    hanatd.wait_target("web", "primary", milliseconds{10'000});
    hanatd.wait_for(
        [](const Status& status) {
          for (const char* name : {"web", "other"})
            for (const char* role : {"primary", "backup"})
              if (server(service(status, name), role).health != "up") return false;
          return true;
        },
        milliseconds{10'000});
  }

  /// Kills web's primary a few times; nothing else may come of it, and probes go on while a flip waits for its turn. Returns how many
  /// milliseconds it took at worst from a death to the backup's first answer.
  long let_servers_die() {
    Watcher watcher{hanatd};
    std::vector<long> took;
    for (int death = 0; death < deaths; ++death) {
      sleep_for(milliseconds{150 + 370 * death}); // at different moments of what the neighbour does
      const auto began = TestClock::now();
      web_primary.kill();
      while (connect_once(lab, Host::client, Lab::vip(443), milliseconds{500}).text != "backup") {
        if (TestClock::now() - began > milliseconds{20'000}) throw std::runtime_error("no failover\n" + hanatd.log());
        sleep_for(milliseconds{1});
      }
      took.push_back(std::chrono::duration_cast<milliseconds>(TestClock::now() - began).count());
      hanatd.wait_target("web", "backup", milliseconds{10'000});
      web_primary.start();
      wait_up();
    }
    watcher.stop();
    EXPECT_TRUE(watcher.wrong().empty()) << fmt::format("{}\n", fmt::join(watcher.wrong(), "\n")) << hanatd.log();
    const Status status = hanatd.status();
    EXPECT_EQ(service(status, "web").flips, 2U * deaths);
    EXPECT_EQ(service(status, "other").flips, 0U);
    EXPECT_EQ(status.daemon.kernel, "in-step");
    EXPECT_EQ(connect_once(lab, Host::client, {Address::parse("203.0.113.11").value(), 444}).text, "primary");
    EXPECT_EQ(hanatd.log().find("find out who else"), std::string::npos) << "nobody touched hanat's table\n" << hanatd.log();
    fmt::print("from the death to the backup's first answer: {} ms; oldest answer of a living server {:.0f} ms\n", fmt::join(took, ", "),
               watcher.oldest_answer_s() * 1000);
    EXPECT_LT(watcher.oldest_answer_s(), 0.5) << "ten times the pace of the probes: the loop stood still";
    return std::ranges::max(took);
  }

  Lab lab;
  TcpServer web_primary{lab, Host::primary, 8443, "primary"}, web_backup{lab, Host::backup, 8443, "backup"};
  TcpServer other_primary{lab, Host::primary, 8080, "primary"}, other_backup{lab, Host::backup, 8080, "backup"};
  Hanatd hanatd{
      lab, fast_service() + fast_service({.name = "other", .listen = "203.0.113.11:444/tcp", .port = 8080}), {.arguments = arguments()}};
};
INSTANTIATE_TEST_SUITE_P(, Neighbours, testing::Bool(),
                         [](const auto& shared) { return std::string{shared.param ? "SharedTable" : "OwnedTable"}; });

TEST_P(Neighbours, WhoCommitAHundredTimesASecondDisturbNothing) {
  wait_up();
  std::unique_ptr<Neighbour> neighbour = lab.in(Host::gateway, [] { return std::make_unique<Neighbour>(std::chrono::milliseconds{10}); });
  const auto commits = [&] { return lab.in(Host::gateway, [] { return Neighbour::commits(); }); };
  const std::size_t before = commits();
  const auto began = TestClock::now();
  EXPECT_LT(let_servers_die(), 2000);
  neighbour->stop();
  const std::size_t during = commits() - before;
  fmt::print("{:.0f} commits a second beside it\n",
             static_cast<double>(during) / std::chrono::duration<double>(TestClock::now() - began).count());
  EXPECT_GT(during, 20U) << "it was not alone";
}

TEST_P(Neighbours, WhoLoadAHugeSetDelayAFlipByLessThanThreeSeconds) {
  wait_up();
  const BigLoads neighbour{lab};
  const long worst = let_servers_die();
  const std::vector<long> loads = neighbour.loads();
  ASSERT_FALSE(loads.empty()) << "it was not alone";
  fmt::print("beside loads of {} ms\n", fmt::join(loads, ", "));
  // On a machine that is busy with other things the load itself takes longer, and the kernel keeps everybody waiting until it is through.
  EXPECT_LT(worst, std::max(3000L, std::ranges::max(loads) + 1000));
}

} // namespace
} // namespace hanat::test
