// The guard logs packets of clients in trouble: a reader of its nfnetlink_log group on the gateway gets a packet of each kind.
// Not here: what hanatd does with them (probes/passive).
#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libmnl/libmnl.h>

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>

#include "nat/netlink.hpp"
#include "nat/nftables/layout.hpp"
#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::test {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

/// Bound to the group in the gateway's namespace.
class LogReader {
public:
  LogReader() {
    configure([](nlmsghdr* header) {
      const nfulnl_msg_config_cmd bind{.command = NFULNL_CFG_CMD_BIND};
      mnl_attr_put(header, NFULA_CFG_CMD, sizeof bind, &bind);
    });
  }
  /// The prefixes of the packets logged since the last call, without the sample of clients in no trouble.
  std::vector<std::string> prefixes() {
    std::vector<std::string> all = every_prefix();
    std::erase(all, nat::log_sample);
    return all;
  }
  std::vector<std::string> every_prefix() {
    std::vector<std::string> result;
    netlink_.drain([&](const nlmsghdr& message) {
      mnl_attr_parse(
          &message, sizeof(nfgenmsg),
          [](const nlattr* attribute, void* data) {
            if (mnl_attr_get_type(attribute) == NFULA_PREFIX)
              static_cast<std::vector<std::string>*>(data)->emplace_back(mnl_attr_get_str(attribute));
            return MNL_CB_OK;
          },
          &result);
    });
    return result;
  }

private:
  template <typename Fill> void configure(const Fill& fill) {
    std::array<std::uint8_t, 256> request{};
    nlmsghdr* header = mnl_nlmsg_put_header(request.data());
    header->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
    header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    header->nlmsg_seq = netlink_.next_sequence();
    auto* extra = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
    extra->res_id = htons(nat::log_group);
    fill(header);
    netlink_.exchange({request.data(), header->nlmsg_len}, header->nlmsg_seq, header->nlmsg_seq, "bind the log group");
  }
  nat::Netlink netlink_;
};

class GuardLog : public testing::TestWithParam<Family> {
protected:
  void begin(const std::string& extra = {}) {
    log.emplace(lab.in(Host::gateway, [] { return LogReader{}; })); // before hanatd, which then runs without the log
    hanatd.emplace(lab, fast_service({.listen = to_text(vip) + "/tcp\", \"" + to_text(vip) + "/udp",
                                      .family = family,
                                      .probe = "type = \"tcp\", port = 8443",
                                      .down = "fails = 1000, within = \"900s\"", // the server stays up
                                      .extra = extra}));
    hanatd->wait_target("web", "primary");
    EXPECT_NE(hanatd->log().find("the table's log of refused clients cannot be read"), std::string::npos) << hanatd->log();
    EXPECT_EQ(connect_once(lab, Host::client, vip).text, "primary");
    EXPECT_THAT(log->prefixes(), IsEmpty()) << "nothing is logged without trouble";
  }
  Family family = GetParam();
  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
  Endpoint vip = Lab::vip(443, family);
  std::optional<Hanatd> hanatd;
  std::optional<LogReader> log;
};
INSTANTIATE_TEST_SUITE_P(, GuardLog, testing::Values(Family::ipv4, Family::ipv6),
                         [](const auto& one) { return one.param == Family::ipv4 ? "IPv4" : "IPv6"; });

TEST_P(GuardLog, ARefusedConnectionAndAnUnreachablePort) {
  begin("hold = false");
  primary.kill();
  EXPECT_EQ(connect_once(lab, Host::client, vip).result, Result::refused);
  EXPECT_THAT(log->prefixes(), Contains(nat::log_refused));
  UdpClient client{lab, Host::client, vip};
  EXPECT_EQ(client.ask().result, Result::refused) << "no process listens on the server's UDP port";
  EXPECT_THAT(log->prefixes(), Contains(nat::log_unreachable));
}

TEST_P(GuardLog, SomeOfAllClientsAsASample) {
  begin();
  for (int client = 0; client < 5; ++client) EXPECT_EQ(connect_once(lab, Host::client, vip).text, "primary");
  EXPECT_THAT(log->every_prefix(), testing::Each(nat::log_sample));
  EXPECT_EQ(connect_once(lab, Host::client, vip).text, "primary");
  EXPECT_THAT(log->every_prefix(), ElementsAre(nat::log_sample));
}

TEST_P(GuardLog, ARepeatedSynWithoutAReplyToTheFirst) {
  begin();
  lab.silent(Host::primary, true);
  EXPECT_EQ(connect_once(lab, Host::client, vip, milliseconds{1300}).result, Result::timeout);
  EXPECT_THAT(log->prefixes(), Contains(nat::log_unanswered));
  lab.silent(Host::primary, false);
  EXPECT_EQ(connect_once(lab, Host::client, vip).text, "primary");
  EXPECT_THAT(log->prefixes(), Contains(nat::log_answered)) << "the client had waited";
  EXPECT_EQ(connect_once(lab, Host::client, vip).text, "primary");
  EXPECT_THAT(log->prefixes(), IsEmpty()) << "the answer is logged once";
}

TEST_P(GuardLog, ARepeatedSynWhoseFirstHasNotLeftTheGateway) {
  begin();
  const char* const forwarding = family == Family::ipv4 ? "net.ipv4.ip_forward" : "net.ipv6.conf.all.forwarding";
  lab.sysctl(Host::gateway, forwarding, "0");
  EXPECT_EQ(connect_once(lab, Host::client, vip, milliseconds{1300}).result, Result::timeout);
  EXPECT_THAT(log->prefixes(), ElementsAre(nat::log_undelivered));
  lab.sysctl(Host::gateway, forwarding, "1");
  EXPECT_EQ(connect_once(lab, Host::client, vip).text, "primary");
  EXPECT_THAT(log->prefixes(), ElementsAre(nat::log_answered));
}

TEST_P(GuardLog, ARepeatedSynThatAServerHasAccepted) {
  begin();
  lab.must(Host::gateway, "nft 'add table inet fw; add chain inet fw forward { type filter hook forward priority 0; }; "
                          "add rule inet fw forward iifname to-primary drop'");
  EXPECT_EQ(connect_once(lab, Host::client, vip, milliseconds{1300}).result, Result::timeout);
  EXPECT_THAT(log->prefixes(), ElementsAre(nat::log_unacknowledged));
  lab.must(Host::gateway, "nft 'delete table inet fw'");
  EXPECT_EQ(connect_once(lab, Host::client, vip).text, "primary");
  EXPECT_THAT(log->prefixes(), IsEmpty()) << "nothing waits for its answer";
}

} // namespace
} // namespace hanat::test
