// Reports sorted into packets, and when a trace has seen enough. Not here: what the reports mean (culprit_test).
#include "daemon/doctor/traced_packet.hpp"

#include <gtest/gtest.h>

#include "daemon/doctor/trace_session.hpp"
#include "tests/unit/daemon/doctor/trace_kit.hpp"

namespace hanat {
namespace {

using std::chrono::milliseconds;

class Collecting : public testing::Test {
protected:
  void report(const TracedPacket& packet, std::uint32_t number, Clock::time_point when) {
    for (nat::TraceStep step : packet.steps) {
      step.packet = number;
      collector.add(step, when);
    }
  }
  Clock::time_point end() const { return end_of(session, packets_of(session, collector), "hanat_trace"); }

  const Clock::time_point start{std::chrono::hours{1}};
  PacketCollector collector{"hanat_trace"};
  TraceSession session{.traced = {traced_client, traced_web}, .begun = start, .deadline = start + milliseconds{3000}};
};

TEST_F(Collecting, ANumberThatComesBackIsAnotherPacket) {
  report(Story::request(), 7, start);
  report(Story::request().reaches(nat::trace_to_routing), 7, start);
  ASSERT_EQ(collector.packets().size(), 2U);
  EXPECT_EQ(collector.packets()[0].packet.steps.size(), 1U);
  EXPECT_EQ(collector.packets()[1].packet.steps.size(), 2U);
}

TEST_F(Collecting, ReportsOfSomebodyElsesTracesAreLeftOut) {
  TracedPacket other = Story::request().reaches(nat::trace_to_routing);
  other.steps.erase(other.steps.begin());
  report(other, 8, start);
  EXPECT_TRUE(collector.packets().empty());
}

TEST_F(Collecting, PacketsAreOfTheirClientAndEndpoint) {
  const TracedPacket packet = Story::request();
  EXPECT_TRUE(belongs_to(packet, session.traced));
  EXPECT_FALSE(belongs_to(packet, {Address::parse("198.18.0.8").value(), traced_web}));
  EXPECT_FALSE(belongs_to(packet, {traced_client, {traced_web.address, Protocol::udp, 443, 0}}));
  EXPECT_FALSE(belongs_to(packet, {traced_client, {traced_web.address, Protocol::tcp, 444, 0}}));
  EXPECT_TRUE(belongs_to(packet, {traced_client, {traced_web.address, Protocol::tcp, 400, 500}}));
  EXPECT_TRUE(belongs_to(Story::reply(), session.traced));
  EXPECT_FALSE(belongs_to(Story::reply(), {Address::parse("198.18.0.8").value(), traced_web}));
}

TEST_F(Collecting, HowFarAPacketCame) {
  EXPECT_EQ(reached_by({}, "hanat_trace"), Reached::nothing);
  EXPECT_EQ(reached_by(Story::request(), "hanat_trace"), Reached::begin);
  EXPECT_EQ(reached_by(Story::request().reaches(nat::trace_to_routing).reaches(nat::trace_delivers), "hanat_trace"), Reached::input);
  EXPECT_EQ(reached_by(Story::request().reaches(nat::trace_leaves), "hanat_trace"), Reached::left);
  EXPECT_EQ(reached_by(Story::request().reaches(nat::trace_leaves), "other_trace"), Reached::begin);
}

TEST_F(Collecting, ASessionEndsWithADropAtOnce) {
  EXPECT_EQ(end(), session.deadline) << "nothing came yet";
  report(Story::request().at(nat::TableFamily::ip, "filter", "FORWARD").policy(nat::TraceVerdict::drop), 1, start + milliseconds{10});
  EXPECT_EQ(end(), start + milliseconds{10});
}

TEST_F(Collecting, ASessionWaitsForTheReply) {
  report(Story::request().reaches(nat::trace_leaves), 1, start + milliseconds{10});
  EXPECT_EQ(end(), start + milliseconds{10} + reply_wait);
  report(Story::reply(), 2, start + milliseconds{20});
  EXPECT_EQ(end(), start + milliseconds{20} + quiet_wait) << "it is lost";
  report(Story::reply().reaches(nat::trace_leaves), 3, start + milliseconds{30});
  EXPECT_EQ(end(), start + milliseconds{30});
}

TEST_F(Collecting, PacketsFromBeforeASessionAreNotIts) {
  report(Story::request(), 1, start - milliseconds{1});
  EXPECT_TRUE(packets_of(session, collector).empty());
}

TEST_F(Collecting, AFloodIsBounded) {
  for (std::uint32_t number = 0; number < 2'000; ++number) report(Story::request(), number, start);
  EXPECT_EQ(collector.packets().size(), PacketCollector::packets_at_most);
}

} // namespace
} // namespace hanat
