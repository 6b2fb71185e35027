// What is said of flapping servers, doubted outages and warnings.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/daemon/report/event_values.hpp"

namespace hanat::events {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

const ServerName the_primary{.role = "primary", .address = {.address = *Address::parse("10.0.0.11"), .port = 8443}};

TEST(DoubtText, OfAFlappingServerNamesTheWaitAndItsEnd) {
  const Flapping flapping{.server = the_primary, .times = 2, .wait = 20s};
  EXPECT_EQ(text(flapping),
            "primary (10.0.0.11:8443) is flapping: it has lost the traffic soon after it got it, 2 times by now; while another "
            "server works, it gets the traffic again when it has been up for 20 s");
  EXPECT_EQ(level(flapping), Level::warning);
  EXPECT_EQ(kind(flapping), "flapping");
  EXPECT_THAT(fields(flapping), ElementsAre(Pair("HANAT_SERVICE", "web"), Pair("HANAT_FLAPPING", "primary"),
                                            Pair("HANAT_SERVER", "primary"), Pair("HANAT_ADDRESS", testing::_)));
  const FlappingEnded ended{.server = the_primary};
  EXPECT_EQ(text(ended), "primary (10.0.0.11:8443) is no longer flapping: it gets the traffic back as usual");
  EXPECT_EQ(level(ended), Level::notice);
  EXPECT_EQ(kind(ended), "flapping");
}

TEST(DoubtText, OfAnOutageSaysWhatStaysAndForHowLong) {
  OutageDoubted doubt{.target = the_primary, .lasts = 3s, .common = true, .refuses_new = false};
  EXPECT_EQ(text(doubt),
            "no server answers, and they fell silent together: that may be this gateway's own way to them; connections stay at "
            "primary (10.0.0.11:8443) for up to 3 s (none_after)");
  EXPECT_EQ(level(doubt), Level::warning);
  EXPECT_EQ(kind(doubt), "outage");
  doubt.lasts.reset();
  doubt.refuses_new = true;
  EXPECT_THAT(text(doubt), HasSubstr("until the witness answers, which is silent, too; new ones are refused"));
  doubt.common = false;
  EXPECT_THAT(text(doubt), HasSubstr("no server answers: that may be this gateway's own way to the servers"));
}

TEST(DoubtText, OfItsEndSaysWhichItIs) {
  using End = OutageDoubtEnded::End;
  OutageDoubtEnded ended{.target = the_primary, .end = End::answered, .lasted = 1'340ms};
  EXPECT_EQ(text(ended), "primary (10.0.0.11:8443) answers again after 1.3 s: it has kept the traffic, and its connections");
  EXPECT_EQ(level(ended), Level::notice);
  EXPECT_EQ(kind(ended), "outage");
  ended.end = End::dead;
  EXPECT_EQ(text(ended), "the way to the servers works, and primary (10.0.0.11:8443) is down all the same");
  ended.end = End::confirmed;
  EXPECT_EQ(text(ended), "no server has answered for 1.3 s: they are taken for dead");
  ended.end = End::ended;
  ended.target = {};
  EXPECT_EQ(text(ended), "the doubt about an outage is over after 1.3 s: a command or a reload has changed where the traffic goes");
}

TEST(DoubtText, InModeObserveNothingIsSaidToBeDone) {
  const Flapping flapping{.server = the_primary, .times = 2, .wait = 20s, .observed = true};
  EXPECT_THAT(text(flapping), HasSubstr("observe: primary (10.0.0.11:8443) is flapping: it would have lost the traffic soon"));
  const OutageDoubted doubt{.target = the_primary, .lasts = 3s, .common = false, .refuses_new = true, .observed = true};
  EXPECT_EQ(text(doubt), "observe: no server answers: that may be this gateway's own way to the servers; connections would stay at primary "
                         "(10.0.0.11:8443) for up to 3 s (none_after); new ones would be refused");
  const OutageDoubtEnded ended{.target = the_primary, .end = OutageDoubtEnded::End::answered, .lasted = 1'340ms, .observed = true};
  EXPECT_EQ(text(ended),
            "observe: primary (10.0.0.11:8443) answers again after 1.3 s: it would have kept the traffic, and its connections");
}

TEST(DoubtText, OfAWarningNamesTheReasonAndWhatWasWanted) {
  ProbeWarning warning{.server = the_primary,
                       .result = {.outcome = probes::Outcome::pass,
                                  .reason = probes::Reason::certificate_expires,
                                  .latency = 2ms,
                                  .detail = "expires in 9 days"},
                       .probe = "tls 10.0.0.11:8443",
                       .wanted = "valid for more than 14 days"};
  EXPECT_EQ(text(warning),
            "primary (10.0.0.11:8443) passes with a warning (tls 10.0.0.11:8443): certificate-expires (expires in 9 days), wanted: "
            "valid for more than 14 days; nothing moves because of it, unless its probe is critical");
  EXPECT_EQ(level(warning), Level::warning);
  EXPECT_EQ(kind(warning), "");
  warning = {.server = the_primary,
             .result = {.outcome = probes::Outcome::pass, .reason = probes::Reason::slow, .latency = 230ms, .detail = {}},
             .probe = {},
             .wanted = "within 200ms"};
  EXPECT_THAT(text(warning), HasSubstr("passes with a warning: slow (230.0 ms), wanted: within 200ms"));
}

TEST(ReloadText, OfNewProbesSaysWhatFailsAndWhatDecides) {
  const NewProbeFails failing{
      .server = the_primary,
      .result = {.outcome = probes::Outcome::fail, .reason = probes::Reason::wrong_answer, .latency = 2ms, .detail = "no match"},
      .probe = "http 10.0.0.11:8443 GET /",
      .wanted = "body with \"okay\""};
  EXPECT_EQ(text(failing),
            "primary (10.0.0.11:8443): its new probe (http 10.0.0.11:8443 GET /) has not passed since the reload: wrong-answer (no match), "
            "wanted: body with \"okay\"; its old probes decide until it does. If the configuration is wrong, correct it and reload");
  EXPECT_EQ(level(failing), Level::warning);
  EXPECT_EQ(kind(failing), "configuration");
  const NewProbesPassed passed{.server = the_primary};
  EXPECT_EQ(text(passed), "primary (10.0.0.11:8443): its new probes have passed, and decide from now on");
  EXPECT_EQ(level(passed), Level::notice);
  EXPECT_EQ(kind(passed), "configuration");
}

TEST(ReloadText, OfAFormerTargetSaysHowLongItServes) {
  const FormerServes serves{.former = {.role = "former", .address = the_primary.address}, .next = the_primary};
  EXPECT_EQ(text(serves), "its target 10.0.0.11:8443 is no server of the configuration any more, and serves on until primary "
                          "(10.0.0.11:8443) is up, probed as before");
  EXPECT_EQ(level(serves), Level::notice);
  EXPECT_EQ(kind(serves), "configuration");
  const FormerKept kept{.former = serves.former};
  EXPECT_THAT(text(kept), HasSubstr("10.0.0.11:8443, the target of before, keeps it as long as its old probes pass. Correct the"));
  EXPECT_EQ(level(kept), Level::warning);
  EXPECT_EQ(kind(kept), "configuration");
}

} // namespace
} // namespace hanat::events
