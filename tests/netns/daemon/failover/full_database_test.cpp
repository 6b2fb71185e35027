// Real servers that have as many clients as they take: PostgreSQL with a small max_connections, Redis with a small maxclients. What their
// clients get through hanat is never less than through a bare DNAT rule. Not here: full servers in general (full_server_test).
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"
#include "tests/netns/lab/scripted.hpp"

namespace hanat::test {
namespace {

using std::chrono::seconds;

/// Waits until a client's answer on the server's own address has this in it.
testing::AssertionResult answers(const std::function<std::string()>& ask, const std::string& wanted) {
  std::string last;
  for (const auto end = TestClock::now() + seconds{60}; TestClock::now() < end; std::this_thread::sleep_for(milliseconds{20}))
    if (last = ask(); last.find(wanted) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << last;
}

// ---- Redis: the line of the kit's clients is a command of the primary alone

class FullRedis : public testing::Test {
protected:
  Process start(Host host, const std::string& options) {
    return lab.spawn(host, {"sh", "-c",
                            fmt::format("exec redis-server --port 6379 --bind 0.0.0.0 --protected-mode no --dir {} --save '' {}",
                                        folder.path().string(), options)});
  }
  static constexpr const char* by_primary = "*2"; // of TIME
  static constexpr const char* by_backup = "-ERR unknown command";
  static bool is(const Attempt& attempt, const char* answer) {
    return attempt.result == Result::answered && attempt.text.starts_with(answer);
  }

  TempFolder folder;
  Lab lab;
  Process primary = start(Host::primary, "--maxclients 8 --rename-command TIME who");
  Process backup = start(Host::backup, "");
};

TEST_F(FullRedis, KeepsItsSessionsWhileNewOnesGoToTheBackup) {
  ASSERT_TRUE(answers([&] { return connect_once(lab, Host::client, Lab::endpoint(Host::primary, 6379)).text; }, by_primary));
  ASSERT_TRUE(answers([&] { return connect_once(lab, Host::client, Lab::endpoint(Host::backup, 6379)).text; }, by_backup));
  Hanatd hanatd{lab, fast_service({.port = 6379, .probe = "type = \"redis\"", .extra = "on_failback = \"keep\"\n"})};
  wait_both_up(hanatd);
  std::vector<TcpClient> sessions;
  while (sessions.size() < 8 && service(hanatd.status(), "web").target == "primary") { // hanat's probe takes a place for a moment, too
    TcpClient next{lab, Host::client, Lab::vip(443)};
    if (is(next.ask(), by_primary)) sessions.push_back(std::move(next));
  }
  const Status full = hanatd.wait_target("web", "backup");
  EXPECT_EQ(service(full, "web").why, "full");
  EXPECT_EQ(server(service(full, "web"), "primary").last->detail, "ERR max number of clients reached");
  const auto survivors = [&] { return std::ranges::count_if(sessions, [](TcpClient& session) { return is(session.ask(), by_primary); }); };
  EXPECT_EQ(survivors(), static_cast<std::ptrdiff_t>(sessions.size()));
  TcpClient on_backup{lab, Host::client, Lab::vip(443)};
  EXPECT_TRUE(is(on_backup.ask(), by_backup));
  std::this_thread::sleep_for(milliseconds{2500}); // a cut would have swept by now
  EXPECT_EQ(survivors(), static_cast<std::ptrdiff_t>(sessions.size())) << "of " << sessions.size();
  fmt::print("{} sessions of a full Redis, all alive\n", sessions.size());

  sessions.erase(sessions.begin() + 3, sessions.end());
  hanatd.wait_target("web", "primary");
  EXPECT_TRUE(is(connect_once(lab, Host::client, Lab::vip(443)), by_primary));
  EXPECT_EQ(survivors(), 3);
  EXPECT_TRUE(is(on_backup.ask(), by_backup)) << "on_failback is keep";
}

// ---- PostgreSQL: its protocol as far as a query

class PgClient {
public:
  PgClient(Lab& lab, Host host, const Endpoint& to) : socket_(lab.socket(host, AF_INET, SOCK_STREAM)) {
    const auto address = to_sockaddr(to);
    if (connect(socket_.get(), address.get(), address.length) != 0) {
      error_ = fmt::format("connect: {}", result_of(errno) == Result::refused ? "refused" : std::strerror(errno));
      return;
    }
    using namespace std::string_literals;
    const std::string body = "\0\3\0\0user\0boss\0database\0postgres\0\0"s;
    exchange("\0\0\0"s + static_cast<char>(body.size() + 4) + body);
  }
  /// Empty: it was answered.
  std::string query() {
    using namespace std::string_literals;
    if (error_.empty()) exchange("Q\0\0\0\xdSELECT 1\0"s);
    return error_;
  }
  const std::string& error() const { return error_; }

private:
  /// Until the server is ready for the next query.
  void exchange(const std::string& bytes) {
    if (send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) return fail(std::strerror(errno));
    std::string read;
    while (true) {
      pollfd polled{.fd = socket_.get(), .events = POLLIN, .revents = 0};
      if (poll(&polled, 1, 5000) == 0) return fail("timeout");
      std::array<char, 4096> buffer;
      const ssize_t got = recv(socket_.get(), buffer.data(), buffer.size(), 0);
      if (got <= 0) return fail(got == 0 ? "closed" : std::strerror(errno));
      read.append(buffer.data(), static_cast<std::size_t>(got));
      for (std::size_t at = 0; at + 5 <= read.size();) {
        const auto byte = [&](std::size_t i) { return static_cast<std::size_t>(static_cast<unsigned char>(read[at + i])); };
        const std::size_t length = byte(1) << 24 | byte(2) << 16 | byte(3) << 8 | byte(4);
        if (read[at] == 'E') return fail(read.find("C53300", at) == std::string::npos ? "another error" : "53300");
        if (read[at] == 'Z') return;
        at += 1 + length;
      }
    }
  }
  void fail(std::string error) { error_ = std::move(error); }

  Fd socket_;
  std::string error_;
};

class FullPostgres : public testing::Test {
protected:
  FullPostgres() {
    shell("chown nobody:nogroup " + folder.path().string());
    shell(fmt::format("cd / && {0}{1}/initdb -D {2}/a --no-sync --wal-segsize=1 -A trust -U boss -E SQL_ASCII --locale=C >/dev/null && "
                      "echo 'host all all all trust' > {2}/a/pg_hba.conf && cp -a {2}/a {2}/b",
                      as_nobody, pg_bin, folder.path().string()));
    servers.push_back(start(Host::primary, "a", most));
    servers.push_back(start(Host::backup, "b", 100));
  }
  Process start(Host host, const char* data, unsigned connections) {
    return lab.spawn(host, {"sh", "-c",
                            fmt::format("cd / && exec {}{}/postgres -F -D {}/{} -c unix_socket_directories= -c listen_addresses=0.0.0.0 -c "
                                        "max_connections={} -c superuser_reserved_connections=0 -c autovacuum=off",
                                        as_nobody, pg_bin, folder.path().string(), data, connections)});
  }
  void wait_started() {
    for (const Host host : {Host::primary, Host::backup})
      ASSERT_TRUE(answers([&] { return "<" + PgClient{lab, Host::client, Lab::endpoint(host, 5432)}.query() + ">"; }, "<>"));
  }
  static std::string config(const std::string& backup = "backup = \"198.18.12.2:5432\"\n") {
    return "[service.web]\nlisten = \"203.0.113.10:443/tcp\"\nprimary = \"198.18.11.2:5432\"\n" + backup +
           "probe = { type = \"postgres\", user = \"boss\", interval = \"50ms\", fast_interval = \"20ms\", timeout = \"2s\" }\n"
           "down = { fails = 3, within = \"5s\" }\nup = { passes = 2, stable_for = \"100ms\" }\n";
  }
  /// Sessions until the server takes no more, and hanatd knows it.
  std::vector<PgClient> fill(const Hanatd& hanatd) {
    std::vector<PgClient> sessions;
    const auto is_full = [&] { return server(service(hanatd.status(), "web"), "primary").health == "full"; };
    for (const auto end = TestClock::now() + seconds{20}; !is_full() && TestClock::now() < end;) {
      PgClient next{lab, Host::client, Lab::endpoint(Host::primary, 5432)};
      if (next.query().empty()) sessions.push_back(std::move(next));
    }
    return sessions;
  }
  static constexpr unsigned most = 6;
  static constexpr const char* pg_bin = "/usr/lib/postgresql/15/bin";
  static constexpr const char* as_nobody = "setpriv --reuid=nobody --regid=nogroup --clear-groups ";

  TempFolder folder;
  Lab lab;
  std::vector<Process> servers;
};

TEST_F(FullPostgres, KeepsItsSessionsWhileNewOnesGoToTheBackup) {
  ASSERT_NO_FATAL_FAILURE(wait_started());
  Hanatd hanatd{lab, config()};
  wait_both_up(hanatd);
  std::vector<PgClient> live;
  for (unsigned count = 0; count < most - 2; ++count) live.emplace_back(lab, Host::client, Lab::vip(443));
  const auto alive = [&] { return std::ranges::count_if(live, [](PgClient& session) { return session.query().empty(); }); };
  ASSERT_EQ(alive(), most - 2);
  const std::vector<PgClient> others = fill(hanatd);
  const Status full = hanatd.wait_target("web", "backup");
  EXPECT_EQ(service(full, "web").why, "full");
  EXPECT_EQ(server(service(full, "web"), "primary").last->detail.find("53300 "), 0U);
  EXPECT_EQ(alive(), most - 2);
  EXPECT_EQ(PgClient(lab, Host::client, Lab::vip(443)).query(), "") << "the backup has room";
  std::this_thread::sleep_for(milliseconds{2500}); // a cut would have swept by now
  EXPECT_EQ(alive(), most - 2);
  fmt::print("{} sessions of a full PostgreSQL through hanat, {} survived\n", live.size(), alive());
}

TEST_F(FullPostgres, AloneItAnswersAsManyQueriesAsBehindABareRule) {
  ASSERT_NO_FATAL_FAILURE(wait_started());
  lab.must(Host::gateway, "nft 'add table ip bare; add chain ip bare pre { type nat hook prerouting priority -100; }; "
                          "add rule ip bare pre ip daddr 203.0.113.11 tcp dport 443 dnat to 198.18.11.2:5432'");
  const Endpoint bare{.address = Address::parse("203.0.113.11").value(), .port = 443};
  Hanatd hanatd{lab, config("")};
  hanatd.wait_target("web", "primary", seconds{20});
  fill(hanatd);
  struct Count {
    std::atomic<unsigned> done = 0, turned_away = 0, other = 0;
  };
  const auto pool_of_8 = [&](const Endpoint& to, Count& count) { // each connects, asks once, and closes
    std::vector<std::thread> clients;
    for (unsigned client = 0; client < 8; ++client)
      clients.emplace_back([&] {
        for (const auto end = TestClock::now() + milliseconds{700}; TestClock::now() < end;) {
          const std::string error = PgClient{lab, Host::client, to}.query();
          ++(error.empty() ? count.done : error == "53300" ? count.turned_away : count.other);
        }
      });
    for (std::thread& client : clients) client.join();
  };
  Count through_hanat, by_rule;
  for (int round = 0; round < 3; ++round) {
    pool_of_8(bare, by_rule);
    pool_of_8(Lab::vip(443), through_hanat);
    EXPECT_EQ(service(hanatd.status(), "web").target, "primary");
  }
  fmt::print("a pool of 8 at a server for {}: bare rule {} done, {} turned away by the server, {} otherwise; hanat {}, {}, {}\n", most,
             by_rule.done, by_rule.turned_away, by_rule.other, through_hanat.done, through_hanat.turned_away, through_hanat.other);
  EXPECT_EQ(through_hanat.other, 0U) << "nobody is refused or reset by the gateway";
  EXPECT_GT(through_hanat.done * 10, by_rule.done * 7) << "the rest is noise";
  EXPECT_EQ(service(hanatd.status(), "web").flips, 0U);
}

} // namespace
} // namespace hanat::test
