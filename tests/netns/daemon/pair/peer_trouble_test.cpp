// A peer that dies, hangs, is not the peer, or talks nonsense: failover goes on, and the status says what is wrong. Not here: how it goes
// when all is well (peer_link_test).
#include <chrono>
#include <csignal>
#include <string>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/netns/daemon/pair/two_gateways.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class PeerLinkTrouble : public TwoGateways {
protected:
  /// A second gateway whose peer is not hanatd.
  void with_false_peer(const StreamServer::Answer& answer) {
    false_peer.emplace(lab, Host::gateway, port, answer);
    begin_second();
  }
  std::string failure(const std::function<bool(const Status&)>& and_also = [](const Status&) { return true; }) const {
    const Status now = second->wait_for(
        [&](const Status& status) {
          return status.daemon.pair && status.daemon.pair->peer && status.daemon.pair->peer->failure && and_also(status);
        },
        15s);
    return *now.daemon.pair->peer->failure;
  }
  static std::string ok(const std::string& body) {
    return fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", body.size(), body);
  }
  /// Answers each request, whatever it is, with this.
  static StreamServer::Answer always(const std::string& answer) {
    return [answer](std::string& input) {
      if (input.find("\r\n\r\n") == std::string::npos) return std::string{};
      input.clear();
      return answer;
    };
  }

  std::optional<StreamServer> false_peer;
};

TEST_F(PeerLinkTrouble, TheOtherGatewaysFileIsToldWithTheRemedy) {
  second.emplace(lab, pair_of(Host::gateway) + fast_service(), on(Host::bystander));
  const std::string wrong = fmt::format("listen in [pair], {}, is no address of this machine, and peer, {}, is", first_at(), second_at());
  EXPECT_THAT(failure(), AllOf(HasSubstr(wrong), HasSubstr("swap the two, then hanatctl reload")));
  EXPECT_THAT(second->ctl({"plan"}).out, HasSubstr("is no address of this machine"));
  EXPECT_THAT(second->log(), HasSubstr(wrong));
}

TEST_F(PeerLinkTrouble, OneThatIsKilledIsMissedAndFoundAgain) {
  begin();
  first->kill9();
  second->wait_for([](const Status& now) { return !seen(now); }, 10s);
  const double age = second->status().daemon.pair->peer->seen_s.value_or(0);
  second->wait_for([age](const Status& now) { return now.daemon.pair->peer->seen_s > age + 2; }); // and it has asked once more
  EXPECT_EQ(service(second->status(), "web").target, "primary");                                  // it keeps to what it was told
  EXPECT_THAT(second->log(), HasSubstr("does not answer"));
  EXPECT_EQ(second->ctl({"status", "--check"}).exit, 1);
  first->start();
  second->wait_for(settled, 10s);
  EXPECT_THAT(second->log(), HasSubstr("answers again after"));
  ASSERT_EQ(first->ctl({"force-backup", "web"}).exit, 0); // its serials begin anew
  second->wait_target("web", "backup");
}

TEST_F(PeerLinkTrouble, OneThatHangsHoldsUpNothing) {
  begin();
  first->signal(SIGSTOP);
  second->wait_for([](const Status& now) { return !seen(now) && now.daemon.pair->peer->failure; }, 15s);
  give(Host::bystander);
  second->wait_for([](const Status& now) { return role(now) == "active"; });
  const auto died = TestClock::now();
  primary.kill();
  const Status now = second->wait_target("web", "backup");
  EXPECT_LE(moment_of(service(now, "web").since) - died, 1s);
  first->signal(SIGCONT);
  first->wait_for(seen, 10s);
}

TEST_F(PeerLinkTrouble, OnlyThePeerIsHeard) {
  begin();
  const Output answer = lab.run(Host::client,
                                {"bash", "-c",
                                 fmt::format("exec 3<>/dev/tcp/{}/{} && printf 'GET /pair?after=0 HTTP/1.1\\r\\nHost: "
                                             "x\\r\\n\\r\\n' >&3 && timeout 5 cat <&3",
                                             Lab::gateway_address(Host::bystander).text(), port)},
                                "");
  EXPECT_THAT(answer.out, Not(HasSubstr("services")));
  EXPECT_THAT(first->log(), HasSubstr("which is not the peer's address"));
}

TEST_F(PeerLinkTrouble, GarbageIsToldAndNothingFollows) {
  with_false_peer(always(ok("{\"version\": 1, \"serial\": -3}")));
  EXPECT_THAT(failure(), HasSubstr("its page cannot be read"));
  EXPECT_EQ(service(second->wait_target("web", "primary"), "web").why, "primary-up");
}

TEST_F(PeerLinkTrouble, AnotherVersionIsNamed) {
  with_false_peer(always(ok("{\"version\": 2, \"hanatd\": \"9.0\"}")));
  EXPECT_THAT(failure(), AllOf(HasSubstr("version 2"), HasSubstr("9.0"), HasSubstr("install the same hanatd on both gateways")));
}

TEST_F(PeerLinkTrouble, ATooLongAnswerIsCutOff) {
  // Python writes as fast as it is read; the answer has no end.
  const Process endless = lab.spawn(Host::gateway, {"python3", "-c",
                                                    fmt::format("import socket\n"
                                                                "s = socket.create_server(('{}', {}))\n"
                                                                "while True:\n"
                                                                "  c, _ = s.accept()\n"
                                                                "  try:\n"
                                                                "    c.recv(4096)\n"
                                                                "    c.sendall(b'HTTP/1.1 200 OK\\r\\n\\r\\n')\n"
                                                                "    while True: c.sendall(b' ' * 65536)\n"
                                                                "  except OSError: c.close()\n",
                                                                Lab::gateway_address(Host::bystander).text(), port)});
  begin_second();
  const std::string why =
      failure([](const Status& now) { return now.daemon.pair->peer->failure->find("longer than") != std::string::npos; });
  EXPECT_THAT(why, HasSubstr("its answer is longer than 4194304 bytes"));
}

TEST_F(PeerLinkTrouble, OneThatAcceptsAndSaysNothingTimesOut) {
  with_false_peer([](std::string& input) {
    input.clear();
    return std::string{};
  });
  EXPECT_THAT(failure(), HasSubstr("timed out"));
  primary.kill();
  second->wait_target("web", "backup");
}

TEST_F(PeerLinkTrouble, NewerKeysAreIgnored) {
  const std::string page = R"({"version": 1, "hanatd": "9", "instance": "x", "serial": 1, "role": "standby", "role_age_ms": 1,
    "change_age_ms": 1, "clock": "2026-01-31T10:00:00.123Z", "services": [], "fresh": {"a": [1]}})";
  with_false_peer(always(ok(page)));
  const Status now = second->wait_for(seen);
  EXPECT_EQ(now.daemon.pair->peer->version, "9");
  bool clocks = false;
  for (const std::string& text : now.daemon.pair->peer->differs) clocks |= text.find("NTP") != std::string::npos;
  EXPECT_TRUE(clocks);
}

} // namespace
} // namespace hanat::test
