// The control socket: permissions by the caller's credentials, deadlines, and that abuse of it costs the loop nothing. Needs root to call
// as another user; needs no network. Not here: calls, errors and framing (the server_test of unit).
#include "daemon/control/server.hpp"

#include <algorithm>
#include <atomic>
#include <future>

#include <fcntl.h>
#include <grp.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <gmock/gmock.h>

#include "daemon/api/client.hpp"
#include "tests/unit/daemon/served.hpp"

namespace hanat {
namespace {

using nlohmann::json;
using test::RawClient;
using test::Served;
using testing::HasSubstr;
using namespace std::chrono_literals;

constexpr const char* status_call = R"({"method": "io.hanat.Control.Status"})";
constexpr gid_t group_daemon = 1; // of every Debian
constexpr uid_t nobody = 65534;

/// Runs `body` on a thread with these credentials: the raw system calls change only the calling thread.
template <typename Body> auto as(uid_t uid, gid_t gid, std::vector<gid_t> groups, const Body& body) {
  decltype(body()) result{};
  std::thread worker([&] {
    ASSERT_EQ(syscall(SYS_setgroups, groups.size(), groups.data()), 0);
    ASSERT_EQ(syscall(SYS_setresgid, gid, gid, gid), 0);
    ASSERT_EQ(syscall(SYS_setresuid, uid, uid, uid), 0);
    result = body();
  });
  worker.join();
  return result;
}

/// "" on success, otherwise the name and text of the error.
std::string attempt(const std::string& path, const char* method) {
  try {
    call(path, method);
    return "";
  } catch (const Refusal& refusal) {
    return refusal.name + ": " + refusal.what();
  } catch (const NoDaemon& error) {
    return std::string{"NoDaemon: "} + error.what();
  }
}

/// Anyone may open it: what remains is the daemon's own check.
void open_to_everybody(const Served& served) {
  ASSERT_EQ(chmod(std::filesystem::path{served.path()}.parent_path().c_str(), 0755), 0);
  ASSERT_EQ(chmod(served.path().c_str(), 0666), 0);
}

TEST(ControlPermissions, LetRootCallEverything) {
  const Served served;
  EXPECT_EQ(attempt(served.path(), "Reload"), "");
  EXPECT_EQ(call(served.path(), "Reload")["by"], "root");
}

TEST(ControlPermissions, LetOthersOnlyReadWhereNoGroupIsNamed) {
  const Served served;
  open_to_everybody(served);
  for (const auto* method : {"Status", "Version"})
    EXPECT_EQ(as(nobody, nobody, {group_daemon}, [&] { return attempt(served.path(), method); }), "") << method;
  for (const auto* method : {"Reload", "Auto", "Force"})
    EXPECT_THAT(as(nobody, nobody, {0, group_daemon}, [&] { return attempt(served.path(), method); }),
                AllOf(HasSubstr("NotPermitted: "), HasSubstr("nobody"), HasSubstr("be root (sudo), or name a group")))
        << method;
}

TEST(ControlPermissions, LetTheOperatorsGroupCallEverything) {
  Served served{Served::echo, "daemon"};
  open_to_everybody(served);
  const auto reload = [&] { return attempt(served.path(), "Reload"); };
  EXPECT_EQ(as(nobody, nobody, {4, group_daemon, 5}, reload), "") << "a supplementary group";
  EXPECT_EQ(as(nobody, group_daemon, {}, reload), "") << "the primary group";
  EXPECT_THAT(as(nobody, nobody, {4, 5}, reload), HasSubstr("join the group daemon"));
  const auto by = as(nobody, group_daemon, {}, [&] { return call(served.path(), "Reload")["by"].get<std::string>(); });
  EXPECT_EQ(by, "nobody");
  EXPECT_EQ(as(4'000'000, group_daemon, {}, [&] { return call(served.path(), "Reload")["by"].get<std::string>(); }), "uid 4000000");
}

TEST(ControlPermissions, AreFoundAmongManyGroups) {
  const Served served{Served::echo, "daemon"};
  open_to_everybody(served);
  std::vector<gid_t> many(1000);
  for (std::size_t i = 0; i < many.size(); ++i) many[i] = static_cast<gid_t>(100'000 + i);
  const auto reload = [&] { return attempt(served.path(), "Reload"); };
  EXPECT_THAT(as(nobody, nobody, many, reload), HasSubstr("NotPermitted"));
  many.push_back(group_daemon);
  EXPECT_EQ(as(nobody, nobody, many, reload), "");
}

TEST(ControlPermissions, FollowANewGroupForConnectedClientsToo) {
  Served served;
  open_to_everybody(served);
  auto client = as(nobody, group_daemon, {}, [&] { return std::make_unique<RawClient>(served.path()); });
  client->say(R"({"method": "io.hanat.Control.Reload"})");
  EXPECT_THAT(client->hear(), HasSubstr("NotPermitted"));
  std::promise<void> applied;
  served.on_loop([&] {
    served.server().set_operators({.name = "daemon", .gid = find_group("daemon")});
    applied.set_value();
  });
  applied.get_future().wait();
  client->say(R"({"method": "io.hanat.Control.Reload"})");
  EXPECT_THAT(client->hear(), HasSubstr("\"by\":\"nobody\""));
}

TEST(ControlPermissions, AreFirstThoseOfTheSocketFile) {
  const Served served;
  ASSERT_EQ(chmod(std::filesystem::path{served.path()}.parent_path().c_str(), 0755), 0);
  EXPECT_THAT(as(nobody, nobody, {}, [&] { return attempt(served.path(), "Status"); }),
              AllOf(HasSubstr("NoDaemon: no permission"), HasSubstr("join the group")));
}

TEST(ControlPermissions, KeepConnectionsForOperators) {
  const Served served;
  open_to_everybody(served);
  std::vector<std::unique_ptr<RawClient>> hogs;
  for (int i = 0; i < 32; ++i) hogs.push_back(as(nobody, nobody, {}, [&] { return std::make_unique<RawClient>(served.path()); }));
  EXPECT_THAT(as(nobody, nobody, {}, [&] { return attempt(served.path(), "Status"); }), HasSubstr("28 clients are connected"));
  EXPECT_EQ(attempt(served.path(), "Reload"), "");
}

TEST(ControlDeadline, ClosesAClientThatNeverCompletesItsRequest) {
  const Served served;
  RawClient silent{served.path()}, half{served.path()}, dripping{served.path()}, idle{served.path()};
  half.send("{\"method\"");
  idle.say(status_call);
  EXPECT_THAT(idle.hear(), HasSubstr("Status"));
  const auto start = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - start < 6s && dripping.send(" ")) std::this_thread::sleep_for(100ms);
  const auto lived = std::chrono::steady_clock::now() - start;
  EXPECT_GT(lived, 4500ms);
  EXPECT_LT(lived, 5900ms);
  EXPECT_EQ(silent.hear(100ms), "");
  EXPECT_EQ(half.hear(100ms), "");
  idle.say(status_call); // between requests there is more time
  EXPECT_THAT(idle.hear(), HasSubstr("Status"));
}

TEST(ControlDeadline, ClosesAClientThatDoesNotReadItsReply) {
  const Served served{[](const Call&) { return json{{"text", std::string(4'000'000, 'x')}}; }};
  RawClient slow{served.path()};
  slow.say(status_call);
  std::this_thread::sleep_for(5500ms);
  EXPECT_EQ(slow.hear(), "") << "the connection ended in the middle of the reply";
}

TEST(ControlAbuse, OfMemoryIsRefusedWithAHint) {
  const Served served{[](const Call&) { return json{{"text", std::string(40'000'000, 'x')}}; }};
  try {
    call(served.path(), "Status", json::object(), 60s);
    FAIL();
  } catch (const Refusal& refusal) {
    EXPECT_THAT(refusal.what(), HasSubstr("ask for one service"));
  }
}

/// In place of the probes: a timer of the loop every 5 ms. It records the CPU time of the loop's thread between two ticks: only that makes
/// the timer late, whatever else the machine does.
struct Cadence {
  uv_timer_t timer{};
  double last_ms = 0, worst_ms = 0;
  unsigned ticks = 0;
  std::atomic<bool> started = false, closed = false;

  void start(Served& served) {
    timer.data = this;
    served.on_loop([&] {
      uv_timer_init(served.loop(), &timer);
      uv_timer_start(
          &timer, [](uv_timer_t* due) { static_cast<Cadence*>(due->data)->tick(); }, 5, 5);
      started = true;
    });
    while (!started) std::this_thread::sleep_for(1ms);
  }
  void tick() {
    timespec worked{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &worked);
    const double now_ms = static_cast<double>(worked.tv_sec) * 1e3 + static_cast<double>(worked.tv_nsec) / 1e6;
    if (ticks++ > 0) worst_ms = std::max(worst_ms, now_ms - last_ms);
    last_ms = now_ms;
  }
  void stop(Served& served) {
    served.on_loop([&] {
      uv_close(reinterpret_cast<uv_handle_t*>(&timer), [](uv_handle_t* handle) { static_cast<Cadence*>(handle->data)->closed = true; });
    });
    while (!closed) std::this_thread::sleep_for(1ms);
  }
};

TEST(ControlAbuse, OfEveryKindAtOnceDelaysNoTimer) {
  Served served{[](const Call&) { return json{{"text", std::string(20'000, 'x')}}; }};
  Cadence cadence;
  cadence.start(served);

  const auto end = std::chrono::steady_clock::now() + 2s;
  const auto keep = [&](const auto& attack) {
    return std::thread([&served, end, attack] {
      while (std::chrono::steady_clock::now() < end) {
        try {
          RawClient client{served.path()};
          attack(client);
        } catch (const std::system_error&) {
          std::this_thread::sleep_for(1ms);
        }
      }
    });
  };
  std::vector<std::thread> attackers;
  attackers.push_back(keep([](RawClient&) {}));                                                 // thousands of connections
  attackers.push_back(keep([](RawClient& client) { client.send(std::string(1 << 20, '[')); })); // a message without end
  attackers.push_back(keep([](RawClient& client) {                                              // many requests, no reply read
    std::string many;
    for (int i = 0; i < 2000; ++i) many += std::string(status_call) + '\0';
    const timeval timeout{.tv_sec = 0, .tv_usec = 50'000};
    setsockopt(client.fd(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    client.send(many);
  }));
  for (auto& attacker : attackers) attacker.join();

  cadence.stop(served);
  RecordProperty("worst_work_between_ticks_ms", std::to_string(cadence.worst_ms));
  EXPECT_GT(cadence.ticks, 100U);
  EXPECT_LT(cadence.worst_ms, 5 + 10) << "late by more than 10 ms";
  EXPECT_NO_THROW(call(served.path(), "Status"));
}

TEST(ControlAbuse, OfAllDescriptorsDoesNotSpinTheLoop) {
  const Served served;
  RawClient before{served.path()};
  before.say(status_call);
  ASSERT_THAT(before.hear(), HasSubstr("Status")) << "it is accepted";
  rlimit old{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
  const Fd waiting{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  const Fd next{open("/dev/null", O_RDONLY | O_CLOEXEC)}; // the lowest free number, now the limit
  rlimit tight = old;
  tight.rlim_cur = static_cast<rlim_t>(next.get()) + 1;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &tight), 0);
  const auto address = unix_address(served.path());
  ASSERT_EQ(connect(waiting.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  timespec cpu_before{}, cpu_after{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu_before);
  std::this_thread::sleep_for(500ms);
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu_after);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
  const double used_s =
      static_cast<double>(cpu_after.tv_sec - cpu_before.tv_sec) + static_cast<double>(cpu_after.tv_nsec - cpu_before.tv_nsec) / 1e9;
  EXPECT_LT(used_s, 0.1);
  EXPECT_NO_THROW(call(served.path(), "Status")) << "it accepts again";
}

} // namespace
} // namespace hanat
