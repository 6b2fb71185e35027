// Replies that come later, and events for followers, over a real socket: in their order, at once, and at no cost when nobody reads. Not
// here: which events there are (tests/netns/daemon/control/followers_test).
#include "daemon/control/pending_reply.hpp"

#include <atomic>
#include <future>
#include <memory>

#include <gmock/gmock.h>

#include "daemon/api/client.hpp"
#include "daemon/control/followers.hpp"
#include "tests/unit/daemon/served.hpp"

namespace hanat {
namespace {

using nlohmann::json;
using test::RawClient;
using test::Served;

constexpr const char* follow_call = R"({"method": "io.hanat.Control.Follow", "more": true})";

/// A server whose Follow and Probe reply later, when the test says so.
class LaterReplies : public testing::Test {
protected:
  std::shared_ptr<PendingReply> reply; // the loop's
  Served served{[this](const Call& call) -> Reply {
    if (call.method != "Follow" && call.method != "ProbeServers") return json{{"method", call.method}};
    reply = std::make_shared<PendingReply>();
    return reply;
  }};

  /// Runs on the loop's thread, and waits for it.
  template <typename Work> auto on_loop(Work work) {
    std::promise<decltype(work())> result;
    served.on_loop([&] { result.set_value(work()); });
    return result.get_future().get();
  }
  void wait_for_reply() {
    while (!on_loop([this] { return reply != nullptr; })) std::this_thread::yield();
  }
  bool send(const json& parameters) {
    return on_loop([&] {
      reply->send(parameters);
      return true;
    });
  }
};

TEST_F(LaterReplies, ReachAClientThatWaits) {
  auto waiting = std::async(std::launch::async, [this] { return call(served.path(), "ProbeServers"); });
  wait_for_reply();
  on_loop([this] {
    reply->finish({{"answers", 5}});
    return true;
  });
  EXPECT_EQ(waiting.get(), (json{{"answers", 5}}));
}

TEST_F(LaterReplies, MayBeErrors) {
  auto waiting = std::async(std::launch::async, [this] { return call(served.path(), "ProbeServers"); });
  wait_for_reply();
  on_loop([this] {
    reply->fail("Failed", "no luck");
    return true;
  });
  try {
    waiting.get();
    FAIL();
  } catch (const Refusal& refusal) {
    EXPECT_EQ(refusal.name, "Failed");
    EXPECT_STREQ(refusal.what(), "no luck");
  }
}

TEST_F(LaterReplies, ComeOneAfterTheOtherAndTheConnectionGoesOn) {
  RawClient client{served.path()};
  client.say(follow_call);
  wait_for_reply();
  for (int number = 0; number < 3; ++number) {
    send({{"number", number}});
    const json message = json::parse(client.hear());
    EXPECT_EQ(message.at("parameters").at("number"), number);
    EXPECT_EQ(message.at("continues"), true);
  }
  on_loop([this] {
    reply->finish({{"last", true}});
    return true;
  });
  EXPECT_FALSE(json::parse(client.hear()).contains("continues"));
  client.say(R"({"method": "io.hanat.Control.Status"})");
  EXPECT_EQ(json::parse(client.hear()).at("parameters").at("method"), "Status");
}

TEST_F(LaterReplies, AreForWhoAskedForMore) {
  RawClient client{served.path()};
  client.say(R"({"method": "io.hanat.Control.Follow"})");
  EXPECT_EQ(json::parse(client.hear()).at("error"), "org.varlink.service.ExpectedMore");
}

TEST_F(LaterReplies, EndWithTheirClient) {
  auto client = std::make_unique<RawClient>(served.path());
  client->say(follow_call);
  wait_for_reply();
  EXPECT_FALSE(on_loop([this] { return reply->is_over(); }));
  client.reset();
  while (!on_loop([this] { return reply->is_over(); })) std::this_thread::yield();
  send({{"number", 1}}); // to nobody
}

TEST_F(LaterReplies, ThatAreNotReadAreSkippedAndCounted) {
  RawClient client{served.path()};
  client.say(follow_call);
  wait_for_reply();
  constexpr int events = 20'000;
  const std::string text(500, 'x');
  on_loop([&] { // a socket holds some hundred kilobytes, the queue 128 replies
    for (int number = 0; number < events; ++number) reply->send({{"number", number}, {"text", text}});
    return true;
  });
  int heard = 0, skipped = 0;
  while (heard + skipped < events) {
    const std::string message = client.hear();
    ASSERT_FALSE(message.empty() || message == "(nothing)") << heard << " and " << skipped;
    const json parameters = json::parse(message).at("parameters");
    if (parameters.contains("skipped"))
      skipped += parameters.at("skipped").get<int>();
    else
      EXPECT_EQ(parameters.at("number"), heard++) << "those that come are in order";
  }
  EXPECT_GE(heard, static_cast<int>(PendingReply::longest_queue));
  EXPECT_GT(skipped, 0);
}

TEST(Followers, GetTheEventsOfTheirServiceAndTheReloads) {
  Followers followers;
  const auto all = followers.add("", 7), web = followers.add("web", 7);
  HistoryEntry entry;
  entry.at = "2026-01-31T14:00:00.000Z";
  for (const auto& [kind, service] : {std::pair{"flip", "web"}, std::pair{"flip", "mail"}, std::pair{"reload", ""}}) {
    entry.kind = kind;
    entry.service = service;
    followers.publish(entry, 8);
  }
  const auto messages = [](const std::shared_ptr<PendingReply>& reply) {
    const std::string bytes = reply->take();
    return std::count(bytes.begin(), bytes.end(), '\0');
  };
  EXPECT_EQ(messages(all), 4) << "with the first one, which has no event";
  EXPECT_EQ(messages(web), 3);
  web->abandon();
  followers.publish(entry, 9);
  EXPECT_EQ(followers.size(), 1U);
}

} // namespace
} // namespace hanat
