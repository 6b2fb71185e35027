// Which flows show that real clients are served. Not here: listing flows (nat/conntrack).
#include "daemon/doctor/served_clients.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hanat {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const Vip web_port{.address = Address::parse("203.0.113.10").value(), .protocol = Protocol::tcp, .port = 443};
const Endpoint server{Address::parse("10.0.0.11").value(), 8443};

nat::ListedFlow flow(const char* client, nat::FlowState state) {
  return {.mapping = {.vip = web_port, .server = server},
          .vip = {web_port.address, web_port.port},
          .client = {Address::parse(client).value(), 40'000},
          .state = state};
}

TEST(ServedClients, AreThoseOfNewFlowsThatGoBothWays) {
  const nat::FlowList before{.counts = {}, .flows = {flow("192.0.2.1", nat::FlowState::established)}};
  nat::FlowList after = before;
  EXPECT_THAT(served_between(before, after), IsEmpty()) << "a flow of before: others may be dropped since";
  after.flows.push_back(flow("192.0.2.2", nat::FlowState::opening));
  after.flows.push_back(flow("198.19.255.253", nat::FlowState::established));
  after.flows.push_back(flow("192.0.2.3", nat::FlowState::established));
  after.flows.back().opened_by_server = true;
  EXPECT_THAT(served_between(before, after), IsEmpty()) << "unanswered, hanatd's own, the server's";
  after.flows.push_back(flow("192.0.2.4", nat::FlowState::closing));
  EXPECT_THAT(served_between(before, after), ElementsAre(web_port));
}

} // namespace
} // namespace hanat
