// The journal's sentences about flows that stay a while, word for word.
#include "daemon/words.hpp"

#include <stdexcept>

#include <gtest/gtest.h>

namespace hanat {
namespace {

using namespace std::chrono_literals;

constexpr Time drain_moment{1'000s};

Departure departure_at(Protocol protocol, std::optional<Time> until) {
  const auto vip = Address::parse("203.0.113.10"), server = Address::parse("198.18.11.2");
  if (!vip || !server) throw std::invalid_argument("an address");
  Departure departure{.mappings = {{{*vip, protocol, 443}, {*server, 8443}}}, .comment = "web primary"};
  departure.drain = Drain{.until = until, .since = drain_moment, .left = 3U, .most = 10};
  return departure;
}

TEST(DrainWords, SayWhatHappensToOldFlows) {
  RunningService service;
  service.config.name = "web";
  const Departure streams = departure_at(Protocol::tcp, drain_moment + 60s);
  const Departure datagrams = departure_at(Protocol::udp, std::nullopt);
  EXPECT_EQ(words::drain_begun(service, streams).text, "old TCP flows of web primary drain: what is left of them in 60 s is cut");
  EXPECT_EQ(words::drain_begun(service, datagrams).text, "old UDP and SCTP flows of web primary are kept where they are until they end");
  EXPECT_EQ(words::drain_void(service, streams).text, "web primary has the traffic again: its old TCP flows stay");
  EXPECT_EQ(words::drained(service, streams, drain_moment + 12345ms).text,
            "web primary has drained: no old TCP flow is left after 12.3 s, 7 ended by themselves");
  EXPECT_EQ(words::drain_ended(service, streams, DrainEnd::time, drain_moment + 60s).text,
            "3 flows of web primary, drained over 60 s, are cut now: their time is over");
  const auto end_of = [&](DrainEnd end) { return words::drain_ended(service, datagrams, end, drain_moment + 1s).text; };
  const std::string what = "3 flows of web primary, kept over 1 s, are cut now: ";
  EXPECT_EQ(end_of(DrainEnd::silent), what + "the server answers nothing, and clients would wait for ever");
  EXPECT_EQ(end_of(DrainEnd::dead), what + "the server is down, and its datagrams would be lost");
  EXPECT_EQ(end_of(DrainEnd::no_target), what + "no server is fit, and nobody is to be served");
  EXPECT_EQ(end_of(DrainEnd::given_up), what + "the service or this listener is no longer configured");
}

TEST(DrainWords, SayWhatWasFoundAstray) {
  RunningService service;
  service.config.name = "web";
  Departure found = departure_at(Protocol::tcp, std::nullopt);
  found.drain.reset();
  EXPECT_EQ(words::strays(service, found, 1).text, "found 1 flow that should not be (to 198.18.11.2:8443): it is cut now");
  found.mappings.push_back(found.mappings.front());
  EXPECT_EQ(words::strays(service, found, 2).text, "found 2 flows that should not be (to 198.18.11.2:8443): they are cut now");
  found.mappings.back().server.port = 1;
  EXPECT_EQ(words::strays(service, found, 2).text, "found 2 flows that should not be (to 198.18.11.2:8443 and others): they are cut now");
  found.untranslated = true;
  EXPECT_EQ(words::strays(service, found, 2).text, "found 2 flows that should not be (past the table, to no server): they are cut now");
}

} // namespace
} // namespace hanat
