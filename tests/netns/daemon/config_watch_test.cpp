// What the daemon says of a configuration that is not in use: refused at a reload, or changed on disk. Not here: one that is refused at the
// start (lifecycle_test).
#include <csignal>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/netns/daemon/lifecycle.hpp"

namespace hanat::test {
namespace {

using testing::HasSubstr;
using ConfigWatch = Lifecycle;

TEST_F(ConfigWatch, ARefusedReloadAndAFileThatWasNotLoadedAreShown) {
  Hanatd hanatd{lab, fast_service()};
  hanatd.wait_target("web", "primary");
  const auto metric = [&](const std::string& line) { return hanatd.ctl({"metrics"}).out.find(line + "\n") != std::string::npos; };
  const auto stale_is = [](bool stale) { return [=](const Status& now) { return now.daemon.config_stale == stale; }; };
  EXPECT_TRUE(hanatd.status().daemon.config_loaded_at);
  EXPECT_TRUE(metric("hanat_config_refused 0"));

  hanatd.write_config(fast_service({.extra = "on_none = \"drop\""}));
  hanatd.wait_for(stale_is(true), milliseconds{10'000});
  EXPECT_TRUE(metric("hanat_config_stale 1"));
  EXPECT_THAT(hanatd.ctl({"status"}).out, HasSubstr("the configuration on disk is not the one in use"));
  ASSERT_EQ(hanatd.ctl({"reload"}).exit, 0);
  EXPECT_FALSE(hanatd.status().daemon.config_stale);
  hanatd.write_config(fast_service({.extra = "on_none = \"refuse\""}));
  hanatd.wait_for(stale_is(true), milliseconds{10'000});
  hanatd.write_config(fast_service({.extra = "on_none = \"drop\""}));
  hanatd.wait_for(stale_is(false), milliseconds{10'000}); // it is what is in use again

  EXPECT_EQ(hanatd.reload("[service.web]\nlisten = 5\n").exit, 2);
  const auto refused = hanatd.status().daemon.reload_refused;
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->by, "root");
  EXPECT_GE(refused->errors, 1U);
  EXPECT_THAT(refused->first, HasSubstr("hanat.toml:1:1: "));
  EXPECT_TRUE(metric("hanat_config_refused 1"));
  EXPECT_THAT(hanatd.ctl({"status"}).out, HasSubstr("!! the last reload was refused ("));
  hanatd.signal(SIGHUP);
  hanatd.wait_for([](const Status& now) { return now.daemon.reload_refused->by == "SIGHUP"; });
  EXPECT_EQ(hanatd.reload(fast_service()).exit, 0);
  EXPECT_FALSE(hanatd.status().daemon.reload_refused);
}

} // namespace
} // namespace hanat::test
