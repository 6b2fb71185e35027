// One reload at a time, the rest coalesced; what a caller is answered; reloads that have to be confirmed. Not here: real files and services
// (netns).
#include "daemon/control/reload_requests.hpp"

#include <deque>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/control/server.hpp"
#include "daemon/report/event_text.hpp"

namespace hanat {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class ReloadRequestsTest : public testing::Test {
protected:
  uv_loop_t loop{};
  ConfigInUse in_use{.file = "/accepted/hanat.toml", .fallback = std::nullopt};
  std::deque<std::function<void(ConfigPtr)>> reads;         // under way
  std::deque<std::function<void(const Reloaded&)>> applies; // under way
  std::vector<std::string> applied, kept, trials, texts;
  std::string trial_failure;
  std::unique_ptr<ReloadRequests> requests;

  void SetUp() override {
    uv_loop_init(&loop);
    ReloadSteps steps{.read = [this](auto done) { reads.push_back(done); },
                      .begin_trial =
                          [this](const ConfigPtr& next, const auto& done) {
                            trials.push_back(next->config->operators);
                            done(ReloadSteps::Trial{.before = trial_failure.empty() ? named("before") : nullptr, .failure = trial_failure});
                          },
                      .apply =
                          [this](const ConfigPtr& next, const std::string& by, const auto& done) {
                            applied.push_back(next->config->operators + " by " + by);
                            applies.push_back(done);
                          },
                      .keep =
                          [this](const ConfigPtr& one, const auto& done) {
                            kept.push_back(one->config->operators);
                            done(std::string{});
                          },
                      .publish = [this](const Event& event) { texts.push_back(text_of(event)); }};
    requests = std::make_unique<ReloadRequests>(&loop, "/etc/hanat.toml", "before", in_use, std::move(steps));
  }
  void TearDown() override {
    requests.reset();
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
  }

  /// Configurations are told apart by the group that they name.
  static ConfigPtr named(const std::string& name) {
    ReadConfig read;
    Config config;
    config.operators = name;
    read.config = std::make_shared<const Config>(std::move(config));
    return std::make_shared<const ReadConfig>(std::move(read));
  }
  std::shared_ptr<PendingReply> ask(const std::string& by, std::optional<std::chrono::milliseconds> confirm = {}) {
    auto reply = std::make_shared<PendingReply>();
    requests->add({.by = by, .confirm_within = confirm, .reply = reply});
    return reply;
  }
  void finish_read(const ConfigPtr& read) {
    const auto done = reads.front();
    reads.pop_front();
    done(read);
  }
  void finish_apply(std::vector<std::string> changed = {}) {
    const auto done = applies.front();
    applies.pop_front();
    Reloaded reloaded;
    reloaded.changed = std::move(changed);
    reloaded.plan = std::make_shared<const ReloadPlan>();
    done(reloaded);
  }
  void load(const std::string& name, std::optional<std::chrono::milliseconds> confirm = {}) {
    ask("root", confirm);
    finish_read(named(name));
    finish_apply();
  }
  static json answer(const std::shared_ptr<PendingReply>& reply) {
    std::string bytes = reply->take();
    if (!bytes.empty()) bytes.pop_back();
    return bytes.empty() ? json() : json::parse(bytes);
  }
  /// The loop's time goes by.
  void wait_until(const std::function<bool()>& wanted) {
    for (int turn = 0; turn < 5'000 && !wanted(); ++turn) {
      uv_run(&loop, UV_RUN_NOWAIT);
      uv_sleep(1);
    }
    ASSERT_TRUE(wanted());
  }
  std::string refusal_of_confirm() {
    try {
      requests->confirm("root");
      return "";
    } catch (const ControlError& error) {
      return error.message;
    }
  }
};

TEST_F(ReloadRequestsTest, WhoeverAsksMeanwhileGetsTheAnswerOfTheNextOne) {
  const auto first = ask("ann");
  const auto second = ask("bob"), third = ask("cid");
  for (int signal = 0; signal < 300; ++signal) requests->add({.by = "SIGHUP"});
  ASSERT_EQ(reads.size(), 1U) << "one at a time";
  finish_read(named("a"));
  EXPECT_TRUE(reads.empty());
  finish_apply({"one"});
  EXPECT_THAT(answer(first)["parameters"]["changed"], ElementsAre("one"));
  EXPECT_TRUE(answer(second).is_null()) << "its files were not read yet";
  ASSERT_EQ(reads.size(), 1U);
  finish_read(named("b"));
  finish_apply({"two"});
  EXPECT_THAT(answer(second)["parameters"]["changed"], ElementsAre("two"));
  EXPECT_THAT(answer(third)["parameters"]["changed"], ElementsAre("two"));
  EXPECT_TRUE(reads.empty()) << "two reloads for 303 requests";
  EXPECT_THAT(applied, ElementsAre("a by ann", "b by bob, cid, SIGHUP"));
  EXPECT_THAT(kept, ElementsAre("a", "b"));
  EXPECT_EQ(in_use.file, "/etc/hanat.toml");
}

TEST_F(ReloadRequestsTest, AFileWithErrorsIsRefusedForAllThatAsked) {
  const auto reply = ask("ann");
  ReadConfig bad;
  bad.errors = {{.file = "f", .line = 1, .column = 2, .message = "no"}, {.file = "f", .line = 3, .column = 4, .message = "nor this"}};
  finish_read(std::make_shared<const ReadConfig>(bad));
  const json refused = answer(reply);
  EXPECT_EQ(refused["error"], "io.hanat.Control.BadConfiguration");
  EXPECT_THAT(refused["parameters"]["errors"], ElementsAre("f:1:2: no", "f:3:4: nor this"));
  EXPECT_THAT(refused["parameters"]["message"].get<std::string>(), AllOf(HasSubstr("has 2 errors;"), Not(HasSubstr("f:1:2"))))
      << "the list has them";
  EXPECT_THAT(texts, ElementsAre(HasSubstr("has 2 errors, the first: f:1:2: no;"), "f:3:4: nor this")) << "each once in the journal, too";
  ASSERT_TRUE(in_use.refused);
  EXPECT_EQ(in_use.refused->errors, 2U);
  EXPECT_TRUE(applied.empty());
  load("b");
  EXPECT_FALSE(in_use.refused);
}

TEST_F(ReloadRequestsTest, AGroupThatIsGoneIsRefusedOnlyWhereItIsNew) {
  ReadConfig read = *named("nobody");
  read.operators_error = "no group";
  const auto reply = ask("root");
  finish_read(std::make_shared<const ReadConfig>(read));
  EXPECT_THAT(answer(reply).dump(), HasSubstr("no group"));
  read = *named("before");
  read.operators_error = "no group";
  ask("root");
  finish_read(std::make_shared<const ReadConfig>(read));
  EXPECT_THAT(applied, ElementsAre("before by root"));
  finish_apply();
}

TEST_F(ReloadRequestsTest, ConfirmedInTimeItStays) {
  EXPECT_THAT(refusal_of_confirm(), HasSubstr("nothing to confirm"));
  const auto reply = ask("ann", std::chrono::hours{1});
  finish_read(named("new"));
  EXPECT_THAT(refusal_of_confirm(), HasSubstr("a reload is under way"));
  finish_apply();
  EXPECT_EQ(answer(reply)["parameters"]["unconfirmed"]["by"], "ann");
  EXPECT_THAT(trials, ElementsAre("new")) << "noted before it was applied";
  EXPECT_TRUE(kept.empty());
  ASSERT_TRUE(in_use.unconfirmed);
  EXPECT_GT(in_use.reverts_at, Clock::now() + std::chrono::minutes{59});
  EXPECT_EQ(answer(requests->confirm("bob"))["parameters"]["services"], 0);
  EXPECT_FALSE(in_use.unconfirmed);
  EXPECT_THAT(kept, ElementsAre("new"));
  EXPECT_EQ(texts.back(), "the configuration is confirmed (by bob)");
  EXPECT_THAT(refusal_of_confirm(), HasSubstr("nothing to confirm"));
}

TEST_F(ReloadRequestsTest, NotConfirmedItIsTakenBack) {
  load("new", std::chrono::milliseconds{1});
  wait_until([&] { return !applies.empty(); });
  EXPECT_THAT(applied, ElementsAre("new by root", "before by hanatd"));
  EXPECT_THAT(refusal_of_confirm(), HasSubstr("a reload is under way"));
  finish_apply();
  EXPECT_FALSE(in_use.unconfirmed);
  ASSERT_TRUE(in_use.reverted);
  EXPECT_EQ(in_use.reverted->by, "root");
  EXPECT_EQ(in_use.file, "/accepted/hanat.toml") << "where that one came from";
  EXPECT_TRUE(kept.empty()) << "its copy is still there";
  EXPECT_THAT(refusal_of_confirm(), HasSubstr("too late"));
  load("next");
  EXPECT_FALSE(in_use.reverted);
  EXPECT_THAT(kept, ElementsAre("next"));
}

TEST_F(ReloadRequestsTest, AReloadMeanwhileKeepsTheDeadlineAndWhatIsGoneBackTo) {
  load("new", std::chrono::hours{1});
  const Time deadline = in_use.reverts_at;
  const auto plain = ask("bob");
  finish_read(named("newer"));
  finish_apply();
  EXPECT_EQ(in_use.reverts_at, deadline);
  EXPECT_EQ(answer(plain)["parameters"]["unconfirmed"]["by"], "root") << "its caller is told";
  EXPECT_THAT(trials, ElementsAre("new", "newer"));
  load("newest", std::chrono::milliseconds{1}); // another time: from now on
  wait_until([&] { return !applies.empty(); });
  EXPECT_EQ(applied.back(), "before by hanatd");
  finish_apply();
}

TEST_F(ReloadRequestsTest, ADeadlineDuringAReloadWaitsForItAndAHungReadHoldsUpNeither) {
  load("new", std::chrono::milliseconds{1});
  ask("bob"); // its files cannot be read
  wait_until([&] { return !applies.empty(); });
  EXPECT_EQ(applied.back(), "before by hanatd");
  finish_read(named("late"));
  EXPECT_EQ(applied.back(), "before by hanatd") << "one after the other";
  finish_apply();
  EXPECT_EQ(applied.back(), "late by bob");
  EXPECT_THAT(kept, ElementsAre()) << "not before it is in use";
  finish_apply();
  EXPECT_THAT(kept, ElementsAre("late"));
  EXPECT_FALSE(in_use.unconfirmed);
}

TEST_F(ReloadRequestsTest, WithoutACopyToGoBackToItIsRefused) {
  trial_failure = "no copy";
  const auto reply = ask("ann", std::chrono::seconds{60});
  finish_read(named("new"));
  EXPECT_THAT(answer(reply).dump(), HasSubstr("no copy"));
  EXPECT_TRUE(applied.empty());
  EXPECT_FALSE(in_use.unconfirmed);
}

} // namespace
} // namespace hanat
