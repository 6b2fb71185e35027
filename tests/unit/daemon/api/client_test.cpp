// How long the client's end of the control socket waits. Not here: what it says of servers that reply nothing, or nonsense (server_test).
#include "daemon/api/client.hpp"

#include <chrono>
#include <string_view>
#include <thread>

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include "daemon/util/unix_socket.hpp"
#include "nat/fd.hpp"
#include "tests/unit/temp_dir.hpp"

namespace hanat {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds deadline{500};
constexpr std::string_view reply{"{\"parameters\":{}}\0", 18};

/// Sends a reply: so many bytes at once, and the others one by one, `pause` apart.
class SlowServer {
public:
  SlowServer(const std::string& path, std::size_t at_once, milliseconds pause)
      : listener_{path, std::nullopt}, thread_{[this, at_once, pause] {
          pollfd waiting{.fd = listener_.fd(), .events = POLLIN, .revents = 0};
          ::poll(&waiting, 1, 3'000);
          const Fd client{accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC)};
          ::send(client.get(), reply.data(), at_once, MSG_NOSIGNAL);
          for (const char byte : reply.substr(at_once)) {
            std::this_thread::sleep_for(pause);
            if (::send(client.get(), &byte, 1, MSG_NOSIGNAL) != 1) return;
          }
        }} {}
  ~SlowServer() { thread_.join(); }
  SlowServer(const SlowServer&) = delete;
  SlowServer& operator=(const SlowServer&) = delete;

private:
  ListeningSocket listener_;
  std::thread thread_;
};

TEST(ClientDeadline, IsOfEachPauseOfALongReply) {
  const test::TempDir dir;
  const SlowServer server{dir / "s", 0, milliseconds{60}}; // a second for all of it
  EXPECT_EQ(call(dir / "s", "Status", nlohmann::json::object(), deadline), nlohmann::json::object());
}

TEST(ClientDeadline, EndsTheWaitForAReplyThatStops) {
  const test::TempDir dir;
  const SlowServer server{dir / "s", 5, milliseconds{1'500}};
  EXPECT_THROW(call(dir / "s", "Status", nlohmann::json::object(), deadline), NoDaemon);
}

} // namespace
} // namespace hanat
