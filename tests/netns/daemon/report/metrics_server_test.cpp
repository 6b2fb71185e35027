// The HTTP listener for Prometheus: its replies, malformed requests, clients that hang. Not here: the text (metrics_text_test of unit).
#include <algorithm>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/socket.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::test {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

const Endpoint listener_at{Address::parse("127.0.0.1").value(), 9717};
const std::string with_metrics = "[hanatd]\nmetrics = \"127.0.0.1:9717\"\n";

Fd connected_to_metrics(Lab& lab) {
  Fd fd = lab.socket(Host::gateway, AF_INET, SOCK_STREAM);
  const auto address = to_sockaddr(listener_at);
  checked(connect(fd.get(), address.get(), address.length), "connect to the metrics");
  return fd;
}

/// What arrives until the listener closes the connection. Throws when it stays open.
std::string response_to(Lab& lab, const std::string& request) {
  const Fd fd = connected_to_metrics(lab);
  checked(static_cast<int>(send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL)), "send");
  std::string response;
  std::string buffer(65'536, '\0');
  while (true) {
    pollfd polled{.fd = fd.get(), .events = POLLIN, .revents = 0};
    if (poll(&polled, 1, 20'000) <= 0) throw std::runtime_error(fmt::format("the listener keeps the connection; so far: {}", response));
    const ssize_t received = recv(fd.get(), buffer.data(), buffer.size(), 0);
    if (received <= 0) return response;
    response.append(buffer, 0, static_cast<std::size_t>(received));
  }
}
std::string get_metrics(Lab& lab, const std::string& path = "/metrics") {
  return response_to(lab, fmt::format("GET {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path));
}

TEST(MetricsServer, CountsFlipsCutsAndNudges) {
  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};
  Hanatd hanatd{lab, with_metrics + fast_service()};
  hanatd.wait_target("web", "primary");
  hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "backup").health == "up"; });
  const std::string before = get_metrics(lab);
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
  const std::string after = get_metrics(lab);
  for (const char* line : {"hanat_target{service=\"web\",server=\"backup\"} 1", "hanat_flips_total{service=\"web\",why=\"forced\"} 1",
                           "hanat_cut_total{service=\"web\",protocol=\"tcp\"} 3", "hanat_nudged_total{service=\"web\"} 3"})
    EXPECT_THAT(after, HasSubstr(fmt::format("\n{}\n", line)));
  const Output printed = hanatd.ctl({"metrics"});
  EXPECT_EQ(printed.exit, 0) << printed.err;
  EXPECT_THAT(printed.out, HasSubstr("\nhanat_nudged_total{service=\"web\"} 3\n"));
}

/// The kernel counts them. A flip begins a counter anew, and a look has what the look before had read.
TEST(MetricsServer, CountsNewFlowsOfEachServer) {
  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};
  Hanatd hanatd{lab, with_metrics + fast_service()};
  hanatd.wait_target("web", "primary");
  const auto flows_of = [](const Status& now, const std::string& role) { return server(service(now, "web"), role).new_flows; };
  hanatd.wait_for([&](const Status& now) { return flows_of(now, "primary") == 0U && flows_of(now, "backup") == 0U; });
  const auto connect = [&](int times, const std::string& to) {
    for (int time = 0; time < times; ++time) EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(443)).text, to);
  };
  connect(7, "primary");
  hanatd.wait_for([&](const Status& now) { return flows_of(now, "primary") == 7U; });
  ASSERT_EQ(hanatd.ctl({"force-backup", "web"}).exit, 0);
  connect(5, "backup");
  hanatd.wait_for([&](const Status& now) { return flows_of(now, "primary") == 7U && flows_of(now, "backup") == 5U; });
  EXPECT_THAT(get_metrics(lab), AllOf(HasSubstr("\nhanat_new_flows_total{service=\"web\",server=\"primary\"} 7\n"),
                                      HasSubstr("\nhanat_new_flows_total{service=\"web\",server=\"backup\"} 5\n")));
  hanatd.kill9();
  hanatd.start();
  hanatd.wait_for([&](const Status& now) { return flows_of(now, "backup") == 0U; });
  connect(3, "backup");
  hanatd.wait_for([&](const Status& now) { return flows_of(now, "backup") == 3U; }); // since the first look
}

/// The text has a good first line, the metric, and as many bytes as its head says.
void expect_metrics(const std::string& response) {
  EXPECT_TRUE(response.starts_with("HTTP/1.1 200 ")) << response;
  EXPECT_THAT(response, HasSubstr("\nhanat_services 1\n"));
  const std::string name = "Content-Length: ";
  const std::size_t length = response.find(name), body = response.find("\r\n\r\n");
  ASSERT_NE(length, std::string::npos) << response;
  ASSERT_NE(body, std::string::npos) << response;
  EXPECT_EQ(std::to_string(response.size() - body - 4),
            response.substr(length + name.size(), response.find("\r\n", length) - length - name.size()));
}

TEST(MetricsServer, ServesTheStatusPageAndItsData) {
  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  Hanatd hanatd{lab, with_metrics + fast_service()};
  hanatd.wait_target("web", "primary");
  const std::string page = get_metrics(lab, "/");
  EXPECT_THAT(page, AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("\r\nContent-Security-Policy: default-src 'none'; script-src 'sha256-"),
                          HasSubstr("\r\nX-Content-Type-Options: nosniff\r\n"), HasSubstr("\r\nCache-Control: no-store\r\n")));
  const std::string data = get_metrics(lab, "/status.json");
  EXPECT_THAT(data, AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("\r\nContent-Type: application/json\r\n")));
  const auto body = [](const std::string& response) { return nlohmann::json::parse(response.substr(response.find("\r\n\r\n") + 4)); };
  EXPECT_EQ(body(data).at("services").at(0).at("target"), "primary");
  EXPECT_EQ(body(data).at("history").back().at("service"), "web");
  // Many viewers cost what one does: within a second they get the same.
  EXPECT_EQ(body(get_metrics(lab, "/status.json")).at("daemon").at("uptime_s"), body(data).at("daemon").at("uptime_s"));
}

TEST(MetricsServer, ServesOnlyGetMetrics) {
  Lab lab;
  Hanatd hanatd{lab, with_metrics + fast_service()};
  expect_metrics(get_metrics(lab));
  EXPECT_THAT(get_metrics(lab, "/other"), AllOf(StartsWith("HTTP/1.1 404 "), HasSubstr("at /metrics")));
  EXPECT_THAT(response_to(lab, "POST /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc"),
              AllOf(StartsWith("HTTP/1.1 405 "), HasSubstr("only GET")));
  // What is no request, or longer than a connection's memory, gets an error or a closed connection: never the metrics.
  for (const std::string& bad : {std::string{"\x16\x03\x01 no HTTP\r\n\r\n"}, "GET /" + std::string(100'000, 'x') + " HTTP/1.1\r\n\r\n"}) {
    const std::string response = response_to(lab, bad);
    EXPECT_THAT(response, AnyOf(IsEmpty(), ContainsRegex("^HTTP/1.[01] [45]")));
    EXPECT_THAT(response, Not(HasSubstr("hanat_services")));
  }
  expect_metrics(get_metrics(lab));
}

TEST(MetricsServer, IsNotBlockedByClientsThatHang) {
  Lab lab;
  Hanatd hanatd{lab, with_metrics + fast_service()};
  std::vector<Fd> silent, pending;
  for (int count = 0; count < 20; ++count) silent.push_back(connected_to_metrics(lab));
  for (int count = 0; count < 5; ++count) { // and some disconnect while they wait
    pending.push_back(connected_to_metrics(lab));
    ASSERT_GT(send(pending.back().get(), "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 35, MSG_NOSIGNAL), 0);
  }
  pending.clear();
  expect_metrics(get_metrics(lab));
  EXPECT_EQ(hanatd.ctl({"status"}).exit, 0);
  EXPECT_EQ(hanatd.stop(), 0) << "with all of them connected";
}

TEST(MetricsServer, ListensAtAnAddressThatComesLater) {
  Lab lab;
  for (const char* address : {"198.18.99.1", "2001:db8:99::1"}) {
    const bool ipv6 = Address::parse(address)->family() == Family::ipv6;
    Hanatd hanatd{lab, fmt::format("[hanatd]\nmetrics = \"{}:9717\"\n", ipv6 ? fmt::format("[{}]", address) : address) + fast_service()};
    lab.must(Host::gateway, fmt::format("ip address add {}/{} dev lo{}", address, ipv6 ? 128 : 32, ipv6 ? " nodad" : ""));
    const auto at = to_sockaddr({Address::parse(address).value(), 9717});
    // The kernel adds the route to an IPv6 address in a worker of its own, some time after ip has returned.
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{5};
    bool connected = false;
    while (!connected && std::chrono::steady_clock::now() < end) {
      const Fd fd = lab.socket(Host::gateway, ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM);
      connected = connect(fd.get(), at.get(), at.length) == 0;
      if (!connected) std::this_thread::sleep_for(std::chrono::milliseconds{10});
    }
    EXPECT_TRUE(connected) << hanatd.log();
  }
}

TEST(MetricsServer, OnATakenPortIsTriedAgainByAReload) {
  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};
  auto squatter = std::make_unique<TcpServer>(lab, Host::gateway, 9717, "squatter");
  Hanatd hanatd{lab, with_metrics + fast_service()};
  hanatd.wait_target("web", "primary");
  EXPECT_THAT(hanatd.log(), HasSubstr("no metrics are served: listen at 127.0.0.1:9717: Address already in use"));
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(443)).text, "primary");
  squatter.reset();
  ASSERT_EQ(hanatd.ctl({"reload"}).exit, 0);
  expect_metrics(get_metrics(lab));
  ASSERT_EQ(hanatd.reload(fast_service()).exit, 0);
  EXPECT_THROW(connected_to_metrics(lab), std::system_error) << "no longer configured";
}

} // namespace
} // namespace hanat::test
