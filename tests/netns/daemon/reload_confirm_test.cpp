// A reload that has to be confirmed: kept, taken back, and what a killed daemon starts with. Not here: the order of its steps (unit
// reload_requests_test).
#include <csignal>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/netns/daemon/lifecycle.hpp"

namespace hanat::test {
namespace {

using testing::HasSubstr;

class ReloadConfirm : public Lifecycle {
protected:
  static std::string before() { return fast_service(); }
  static std::string on_trial() { return fast_service() + fast_service({.name = "other", .listen = "203.0.113.11:900/tcp"}); }
  static bool has_other(const Status& status) {
    return std::ranges::any_of(status.services, [](const ServiceStatus& one) { return one.name == "other"; });
  }
  /// Loads the configuration that has another service.
  static Output try_out(const Hanatd& hanatd, const std::string& time) {
    hanatd.write_config(on_trial());
    return hanatd.ctl({"reload", "--confirm", time});
  }
};

TEST_F(ReloadConfirm, NotConfirmedItIsTakenBackAndSaid) {
  Hanatd hanatd{lab, before()};
  hanatd.wait_target("web", "primary");
  TcpClient client{lab, Host::client, vip()};
  ASSERT_EQ(client.ask().text, "primary");
  const Output reply = try_out(hanatd, "1s");
  ASSERT_EQ(reply.exit, 0) << reply.err;
  EXPECT_THAT(reply.out, HasSubstr("hanatctl confirm"));
  const Status tried = hanatd.status();
  ASSERT_TRUE(tried.daemon.unconfirmed);
  EXPECT_LE(tried.daemon.unconfirmed->left_s, 1.0);
  EXPECT_EQ(tried.daemon.unconfirmed->by, "root");
  EXPECT_TRUE(has_other(tried));
  const Status back = hanatd.wait_for([](const Status& now) { return now.daemon.reverted && now.daemon.config_stale; });
  EXPECT_FALSE(has_other(back));
  EXPECT_FALSE(back.daemon.unconfirmed);
  EXPECT_EQ(client.ask().text, "primary") << "what both have is not touched";
  EXPECT_THAT(hanatd.ctl({"status"}).out, HasSubstr("nobody confirmed the reload by root"));
  EXPECT_EQ(hanatd.ctl({"confirm"}).exit, 1);
  EXPECT_THAT(hanatd.ctl({"history"}).out, HasSubstr("nobody confirmed the reload (by root) within 1s"));
  EXPECT_EQ(hanatd.ctl({"status", "--check"}).exit, 1);
  ASSERT_EQ(hanatd.ctl({"reload"}).exit, 0) << "the file as it is, for good";
  EXPECT_TRUE(has_other(hanatd.status()));
  EXPECT_FALSE(hanatd.status().daemon.reverted);
}

TEST_F(ReloadConfirm, AStartUsesTheConfigurationThatWasConfirmedLast) {
  Hanatd hanatd{lab, before()};
  hanatd.wait_target("web", "primary");
  for (const int end : {SIGKILL, SIGTERM}) {
    ASSERT_EQ(try_out(hanatd, "60s").exit, 0);
    hanatd.signal(end);
    ASSERT_TRUE(hanatd.wait_exit(milliseconds{10'000}));
    hanatd.start();
    const Status status = hanatd.wait_target("web", "primary");
    EXPECT_FALSE(has_other(status)) << "signal " << end;
    EXPECT_THAT(status.daemon.fallback.value_or(""), HasSubstr("was not confirmed"));
    EXPECT_THAT(hanatd.log(), HasSubstr("was loaded by reload --confirm and was not confirmed"));
  }
  ASSERT_EQ(try_out(hanatd, "60s").exit, 0);
  ASSERT_EQ(hanatd.ctl({"confirm"}).exit, 0);
  hanatd.kill9();
  hanatd.start();
  EXPECT_TRUE(has_other(hanatd.wait_target("web", "primary"))) << "it was confirmed";
  EXPECT_FALSE(hanatd.status().daemon.fallback);
}

TEST_F(ReloadConfirm, AFileThatWasChangedSinceIsNoLongerTheOneOnTrial) {
  Hanatd hanatd{lab, before()};
  ASSERT_EQ(try_out(hanatd, "60s").exit, 0);
  hanatd.kill9();
  hanatd.write_config(on_trial() + "# corrected\n");
  hanatd.start();
  EXPECT_TRUE(has_other(hanatd.status()));
  EXPECT_FALSE(hanatd.status().daemon.fallback);
}

TEST_F(ReloadConfirm, WithoutRoomForACopyItIsRefused) {
  Hanatd hanatd{lab, before()};
  hanatd.wait_target("web", "primary");
  const auto accepted = hanatd.state() / "accepted";
  for (int wait = 0; wait < 500 && !std::filesystem::exists(accepted / "hanat.toml"); ++wait) std::this_thread::sleep_for(milliseconds{10});
  std::filesystem::remove_all(accepted);
  const Output refused = try_out(hanatd, "60s");
  EXPECT_EQ(refused.exit, 2);
  EXPECT_THAT(refused.err, HasSubstr("no copy of the configuration in use"));
  EXPECT_FALSE(has_other(hanatd.status()));
}

} // namespace
} // namespace hanat::test
