// A diagnosis as text. Not here: the examination.
#include "cli/show_doctor.hpp"

#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace hanat::cli {
namespace {

using nlohmann::json;
using testing::HasSubstr;

json reply(json found) {
  return {{"findings", std::move(found)},
          {"checked", {{{"service", "web"}, {"sent", 2}, {"answered", 2}, {"slowest_ms", 0.31}}}},
          {"interface", "hanat-c0"},
          {"failure", nullptr}};
}
json finding(const char* severity) {
  return {{"severity", severity},
          {"code", "ip-forward-off"},
          {"service", nullptr},
          {"what", "net.ipv4.ip_forward is 0: no IPv4 packet is forwarded, whatever the rest of this machine's rules may say"},
          {"remedy", "sysctl -w net.ipv4.ip_forward=1"},
          {"seen_by", nullptr}};
}
const json no_clients = {{"services", json::array()}};

TEST(ShowDoctor, IsOneLineWhereAllIsWell) {
  const DoctorText shown = show_doctor(reply(json::array()), no_clients, {});
  EXPECT_EQ(shown.exit, 0);
  EXPECT_EQ(shown.text,
            "1 service: the whole way works (0.3 ms on interface hanat-c0); forwarding, routes, rp_filter, conntrack and listen addresses "
            "are in order\n");
}

TEST(ShowDoctor, ShowsProblemsWithTheirCommandWithin80Columns) {
  json all = {finding("problem"), finding("warning")};
  all[1]["service"] = "web";
  all[1]["seen_by"] = "client 192.0.2.7 by eth0";
  View view;
  view.width = 80;
  const DoctorText shown = show_doctor(reply(all), no_clients, view);
  EXPECT_EQ(shown.exit, 2);
  EXPECT_THAT(shown.text, HasSubstr("1 problem, 1 warning\n\n!! net.ipv4.ip_forward is 0"));
  EXPECT_THAT(shown.text, HasSubstr("\n   -> sysctl -w net.ipv4.ip_forward=1\n"));
  EXPECT_THAT(shown.text, HasSubstr("\n!  web: net.ipv4"));
  EXPECT_THAT(shown.text, HasSubstr("   seen by client 192.0.2.7 on interface eth0\n"));
  EXPECT_THAT(shown.text, HasSubstr("[ip-forward-off]\n")) << "the man page explains it by this word";
  std::istringstream lines(shown.text);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80U) << line;
}

TEST(ShowDoctor, OfAStandbySaysThatItSendsNoClient) {
  json nothing_sent = reply(json::array());
  nothing_sent["checked"][0]["sent"] = nothing_sent["checked"][0]["answered"] = 0;
  json status = {{"daemon", {{"pair", {{"role", "standby"}}}}}, {"services", {{{"name", "web"}, {"target", "primary"}}}}};
  const DoctorText shown = show_doctor(nothing_sent, status, {});
  EXPECT_EQ(shown.exit, 0);
  EXPECT_THAT(shown.text, HasSubstr("web: settings were looked at, and no client is sent by a standby"));
  EXPECT_THAT(shown.text, testing::Not(HasSubstr("nothing was sent")));
  status["services"][0]["target"] = "none";
  EXPECT_EQ(show_doctor(nothing_sent, status, {}).exit, 1) << "nobody is turned away today";
  EXPECT_THAT(show_doctor(nothing_sent, status, {}).text, HasSubstr("clients would be refused if this gateway took over"));
  status["daemon"]["pair"]["role"] = "active";
  EXPECT_THAT(show_doctor(nothing_sent, status, {}).text, HasSubstr("web: nothing was sent (it listens nowhere, no server is up"));
}

TEST(ShowDoctor, OfAnObservedServiceSaysOnceThatNoClientIsSent) {
  json nothing_sent = reply(json::array());
  nothing_sent["checked"][0]["sent"] = nothing_sent["checked"][0]["answered"] = 0;
  const json status = {{"services", {{{"name", "web"}, {"target", "none"}, {"mode", "observe"}}}}};
  const std::string text = show_doctor(nothing_sent, status, {}).text;
  EXPECT_EQ(text,
            "   web: mode observe, so hanatd sent no client of its own\n\n"
            "nothing found: forwarding, routes, rp_filter, conntrack, listen addresses and the rules of other programs were examined, "
            "for 1 service\n");
  EXPECT_THAT(show_doctor(reply(json::array()), status, {}).text, testing::StartsWith("1 service: the whole way works"))
      << "its traffic is frozen, and a client was sent";
}

TEST(ShowDoctor, HasAnExitStatusForEachSeverity) {
  EXPECT_EQ(show_doctor(reply(json::array({finding("note")})), no_clients, {}).exit, 0);
  EXPECT_EQ(show_doctor(reply(json::array({finding("warning")})), no_clients, {}).exit, 1);
  EXPECT_EQ(show_doctor(reply(json::array({finding("warning"), finding("problem")})), no_clients, {}).exit, 2);
  json failed = reply(json::array());
  failed["failure"] = "make a veth pair: Operation not permitted";
  EXPECT_EQ(show_doctor(failed, no_clients, {}).exit, 1);
  EXPECT_THAT(show_doctor(failed, no_clients, {}).text, HasSubstr("not permitted"));
}

TEST(ShowDoctor, SaysWhatRealClientsSee) {
  const json seen = json::parse(R"({"services": [{"name": "web", "path": {"unanswered_clients": 37, "refused_clients": 1}}]})");
  const DoctorText shown = show_doctor(reply(json::array()), seen, {});
  EXPECT_EQ(shown.exit, 2);
  EXPECT_THAT(shown.text, HasSubstr("!! web: 37 clients got no answer in the last minute\n"));
  EXPECT_THAT(shown.text, HasSubstr("!  web: 1 client refused in the last minute\n"));
}

// What clients see is a problem of its own only where no finding explains it; the head counts what is marked.
TEST(ShowDoctor, CountsEveryMarkedLineAndNoTroubleTwice) {
  const json seen = json::parse(R"({"services": [{"name": "web", "path": {"unanswered_clients": 1, "refused_clients": 0}},
                                                 {"name": "mail", "target": "none"}]})");
  json dropped = finding("problem");
  dropped["service"] = "web";
  const DoctorText shown = show_doctor(reply(json::array({dropped})), seen, {});
  EXPECT_THAT(shown.text, testing::StartsWith("2 problems\n\n!! web: net.ipv4"));
  EXPECT_THAT(shown.text, HasSubstr("\n   web: 1 client got no answer in the last minute\n"));
  EXPECT_THAT(shown.text, HasSubstr("\n!! mail: no server is up, and clients are refused\n   -> hanatctl why mail\n"));
}

TEST(ShowDoctor, AnObservedServiceWithoutATargetIsNoProblem) {
  json nothing_sent = reply(json::array());
  nothing_sent["checked"][0]["sent"] = nothing_sent["checked"][0]["answered"] = 0;
  const json seen = json::parse(R"({"services": [{"name": "web", "target": "none", "mode": "observe"}]})");
  const DoctorText shown = show_doctor(nothing_sent, seen, {});
  EXPECT_EQ(shown.exit, 0);
  EXPECT_THAT(shown.text, HasSubstr("web: mode observe, so hanatd sent no client of its own"));
}

// A client on a list of blocked addresses is a fact, and no fault of the way.
TEST(ShowDoctor, ShowsWhatStoppedSingleClientsApart) {
  json blocked = finding("warning");
  blocked["service"] = "web";
  blocked["seen_by"] = "client 192.0.2.7 by eth0";
  blocked["at"] = "2026-01-31T13:48:02.000Z";
  json answer = reply(json::array());
  answer["clients"] = json::array({blocked});
  setenv("TZ", "UTC", 1);
  tzset();
  const DoctorText shown = show_doctor(answer, no_clients, {.now = *parse_wall_time("2026-01-31T14:00:02.000Z")});
  EXPECT_EQ(shown.exit, 0);
  EXPECT_THAT(shown.text, testing::StartsWith("clients that were stopped in the last hour by a rule about their addresses:\n"
                                              "!  web: net.ipv4.ip_forward is 0"));
  EXPECT_THAT(shown.text, HasSubstr("   client 192.0.2.7 on interface eth0, 13:48:02 (12 min ago)\n   -> sysctl"));
  EXPECT_THAT(shown.text, HasSubstr("\n\n1 service: the whole way works"));
}

TEST(ShowDoctor, EscapesWhatCameFromOutside) {
  json bad = finding("problem");
  bad["what"] = "a\x1b[31mb";
  EXPECT_EQ(show_doctor(reply(json::array({bad})), no_clients, {}).text.find('\x1b'), std::string::npos);
}

} // namespace
} // namespace hanat::cli
