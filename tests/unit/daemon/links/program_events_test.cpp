// What is told of the programs of a pair: each trouble once, and its end.
#include "daemon/links/program_events.hpp"

#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hanat {
namespace {

using events::ConntrackdChanged;
using events::KeepalivedChanged;
using events::Payload;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(ProgramEvents, TellEachTroubleOnceAndItsEnd) {
  std::vector<Payload> told;
  ProgramEvents events{"198.18.9.2:9718", [&told](Payload what) { told.push_back(std::move(what)); }};
  events.take({}, true);
  events.take({.conntrackd = FlowSync::ok, .keepalived = Vrrp::ok}, true);
  EXPECT_THAT(told, IsEmpty());
  events.take({.conntrackd = FlowSync::ok, .keepalived = Vrrp::absent}, true);
  events.take({.conntrackd = FlowSync::ok, .keepalived = Vrrp::absent}, true);
  events.take({}, true); // its hanatd has restarted
  events.take({.conntrackd = FlowSync::absent, .keepalived = Vrrp::absent}, true);
  events.take({.conntrackd = FlowSync::absent, .keepalived = Vrrp::ok}, false);
  const std::string peer = "198.18.9.2:9718";
  EXPECT_THAT(told, ElementsAre(Payload{KeepalivedChanged{.state = Vrrp::absent, .peer = peer, .standby = true}},
                                Payload{ConntrackdChanged{.state = FlowSync::absent, .peer = peer, .standby = true}},
                                Payload{KeepalivedChanged{.state = Vrrp::ok, .peer = peer}}));
}

TEST(ProgramEvents, UnderstandWhatTheOtherGatewaySays) {
  EXPECT_EQ(programs_of("behind", "absent"), (PairPrograms{.conntrackd = FlowSync::behind, .keepalived = Vrrp::absent}));
  EXPECT_EQ(programs_of("ok", "ok"), (PairPrograms{.conntrackd = FlowSync::ok, .keepalived = Vrrp::ok}));
  EXPECT_EQ(programs_of("something new", ""), PairPrograms{});
}

} // namespace
} // namespace hanat
