// The listener for Prometheus: what it answers, and to what it does not let itself be driven. Not here: the text (unit).
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include "tests/netns/hanatd.hpp"
#include "tests/netns/lab.hpp"
#include "tests/netns/peers.hpp"
#include "tests/netns/scenario.hpp"

namespace hanat::test {
namespace {

using testing::HasSubstr;

const Endpoint listener_at{Address::parse("127.0.0.1").value(), 9717};
const std::string listening = "[hanatd]\nmetrics = \"127.0.0.1:9717\"\n";

Fd connected_to_metrics(Lab& lab) {
  Fd fd = lab.socket(Host::gateway, AF_INET, SOCK_STREAM);
  const auto address = to_sockaddr(listener_at);
  checked(connect(fd.get(), address.get(), address.length), "connect to the metrics");
  return fd;
}

/// Everything that comes until the other side closes, or nothing comes for a while.
std::string exchanged(Lab& lab, const std::string& request) {
  const Fd fd = connected_to_metrics(lab);
  checked(static_cast<int>(send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL)), "send");
  std::string answer;
  std::string buffer(65'536, '\0');
  for (pollfd polled{.fd = fd.get(), .events = POLLIN, .revents = 0}; poll(&polled, 1, 1'000) > 0;) {
    const ssize_t got = recv(fd.get(), buffer.data(), buffer.size(), 0);
    if (got <= 0) break;
    answer.append(buffer, 0, static_cast<std::size_t>(got));
  }
  return answer;
}
std::string got_metrics(Lab& lab, const std::string& path = "/metrics") {
  return exchanged(lab, fmt::format("GET {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path));
}

TEST(MetricsListener, CountsFlipsCutsAndNudges) {
  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};
  Hanatd hanatd{lab, listening + fast_service()};
  hanatd.wait_target("web", "primary");
  hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "backup").health == "up"; });
  const std::string before = got_metrics(lab);
  EXPECT_TRUE(before.starts_with("HTTP/1.1 200 ")) << before;
  EXPECT_THAT(before, HasSubstr("\nhanat_target{service=\"web\",server=\"primary\"} 1\n"));
  EXPECT_THAT(before, HasSubstr("\nhanat_flips_total{service=\"web\",why=\"forced\"} 0\n"));
  std::vector<TcpClient> clients;
  for (int count = 0; count < 3; ++count) {
    clients.emplace_back(lab, Host::client, Lab::vip(443));
    ASSERT_EQ(clients.back().ask().text, "primary");
  }
  ASSERT_EQ(hanatd.ctl({"force-backup", "web"}).exit, 0);
  hanatd.wait_for([](const Status& now) { return service(now, "web").last_flip->cut.tcp == 3; });
  const std::string after = got_metrics(lab);
  for (const char* line : {"hanat_target{service=\"web\",server=\"backup\"} 1", "hanat_flips_total{service=\"web\",why=\"forced\"} 1",
                           "hanat_cut_total{service=\"web\",protocol=\"tcp\"} 3", "hanat_nudged_total{service=\"web\"} 3"})
    EXPECT_THAT(after, HasSubstr(fmt::format("\n{}\n", line)));
  const Output told = hanatd.ctl({"metrics"});
  EXPECT_EQ(told.exit, 0) << told.err;
  EXPECT_THAT(told.out, HasSubstr("\nhanat_nudged_total{service=\"web\"} 3\n"));
}

TEST(MetricsListener, AnswersOneQuestionAloneAndIsNotHeldUpByAnybody) {
  Lab lab;
  Hanatd hanatd{lab, listening + fast_service()};
  EXPECT_TRUE(got_metrics(lab, "/").starts_with("HTTP/1.1 404 "));
  EXPECT_TRUE(exchanged(lab, "POST /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc")
                  .starts_with("HTTP/1.1 405 "));
  EXPECT_TRUE(exchanged(lab, "\x16\x03\x01 no HTTP\r\n\r\n").find("200 OK") == std::string::npos);
  EXPECT_TRUE(exchanged(lab, "GET /" + std::string(100'000, 'x') + " HTTP/1.1\r\n\r\n").find("200 OK") == std::string::npos);
  std::vector<Fd> silent, asking;
  for (int count = 0; count < 20; ++count) silent.push_back(connected_to_metrics(lab));
  for (int count = 0; count < 5; ++count) { // and some hang up while they wait
    asking.push_back(connected_to_metrics(lab));
    ASSERT_GT(send(asking.back().get(), "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 35, MSG_NOSIGNAL), 0);
  }
  asking.clear();
  EXPECT_TRUE(got_metrics(lab).starts_with("HTTP/1.1 200 "));
  EXPECT_EQ(hanatd.ctl({"status"}).exit, 0);
  EXPECT_EQ(hanatd.stop(), 0) << "with all of them connected";
}

TEST(MetricsListener, WaitsForAnAddressThatTheMachineHasNotYet) {
  Lab lab;
  for (const char* address : {"198.18.99.1", "2001:db8:99::1"}) {
    const bool ipv6 = Address::parse(address)->family() == Family::ipv6;
    Hanatd hanatd{lab, fmt::format("[hanatd]\nmetrics = \"{}:9717\"\n", ipv6 ? fmt::format("[{}]", address) : address) + fast_service()};
    lab.must(Host::gateway, fmt::format("ip address add {}/{} dev lo{}", address, ipv6 ? 128 : 32, ipv6 ? " nodad" : ""));
    const Fd fd = lab.socket(Host::gateway, ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM);
    const auto at = to_sockaddr({Address::parse(address).value(), 9717});
    EXPECT_EQ(connect(fd.get(), at.get(), at.length), 0) << hanatd.log();
  }
}

TEST(MetricsListener, APortThatIsTakenStopsNothingAndAReloadTriesAgain) {
  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};
  auto squatter = std::make_unique<TcpServer>(lab, Host::gateway, 9717, "squatter");
  Hanatd hanatd{lab, listening + fast_service()};
  hanatd.wait_target("web", "primary");
  EXPECT_THAT(hanatd.log(), HasSubstr("no metrics are served: listen at 127.0.0.1:9717: Address already in use"));
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(443)).text, "primary");
  squatter.reset();
  ASSERT_EQ(hanatd.ctl({"reload"}).exit, 0);
  EXPECT_TRUE(got_metrics(lab).starts_with("HTTP/1.1 200 "));
  ASSERT_EQ(hanatd.reload(fast_service()).exit, 0);
  EXPECT_THROW(connected_to_metrics(lab), std::system_error) << "not configured any more";
}

} // namespace
} // namespace hanat::test
