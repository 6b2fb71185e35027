// offload = true on the kernel at hand: where it has no flowtables hanatd says so once, and the service works as without the key. Not here:
// transitions with offloaded connections (tests/package/offload_scenes.sh, on a kernel that has them), the table (table_flowtable_test).
#include <cstdint>
#include <optional>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"

namespace hanat::test {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* web_offloaded = R"([service.web]
listen = "203.0.113.10:443/tcp"
primary = "198.18.11.2:8443"
backup = "198.18.12.2:8443"
offload = true
)";

TEST(Offload, AServiceWorksWhateverTheKernelHas) {
  Lab lab;
  std::optional<TcpServer> primary{std::in_place, lab, Host::primary, std::uint16_t{8443}, "primary"};
  const TcpServer backup{lab, Host::backup, 8443, "backup"};
  Hanatd hanatd{lab, web_offloaded};
  wait_both_up(hanatd);
  const bool unknown = hanatd.log().find("service web: offload = true, but this kernel has no flowtables") != std::string::npos;
  hanatd.wait_for([&](const Status& status) { return service(status, "web").offload == !unknown; });
  EXPECT_EQ(lab.run(Host::gateway, "nft list flowtable inet hanat flows").exit == 0, !unknown);
  EXPECT_EQ(hanatd.ctl({"status", "web"}).out.find("offload = true has no effect") != std::string::npos, unknown);
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(443), milliseconds{1'000}).text, "primary");
  hanatd.restart();
  wait_both_up(hanatd);
  EXPECT_THAT(hanatd.log(), Not(HasSubstr("replaced")));
  primary.reset();
  hanatd.wait_target("web", "backup");
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(443), milliseconds{1'000}).text, "backup");
  EXPECT_EQ(hanatd.reload(std::string{web_offloaded}.replace(std::string{web_offloaded}.find("true"), 4, "false")).exit, 0);
  hanatd.wait_for([](const Status& status) { return !service(status, "web").offload; });
}

} // namespace
} // namespace hanat::test
