// Refusals of a UDP or SCTP server that dies, seen from the client's socket: an ICMP port unreachable, or an ABORT, is held once per flow,
// and the client's next packet is answered by the backup. Not here: TCP (hold_test).
#include <chrono>
#include <csignal>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"
#include "tests/netns/lab/sctp.hpp"

namespace hanat::test {
namespace {

using std::this_thread::sleep_for;

constexpr milliseconds a_moment{200};
/// A verdict that takes longer than the test.
constexpr const char* no_verdict = "fails = 1000, within = \"300s\"";

struct UdpService {
  Family family = Family::ipv4;
  bool range = false; // the endpoint is one
  std::string extra = {};
  std::string down = "fails = 3, within = \"2s\"";
};
std::string udp_service(const UdpService& service) {
  const Endpoint vip = Lab::vip(service.range ? 8440 : 53, service.family);
  return fast_service({.name = "dns",
                       .listen = to_text(vip) + (service.range ? "-9600/udp" : "/udp"), // too many ports for exact endpoints
                       .port = service.range ? std::uint16_t{0} : std::uint16_t{8443},
                       .family = service.family,
                       .probe = "type = \"udp\", send = \"1\", port = 8443",
                       .down = service.down,
                       .extra = service.extra});
}
Endpoint endpoint_of(const UdpService& service) { return Lab::vip(service.range ? 8443 : 53, service.family); }

void wait_hold(Lab& lab, const Hanatd& hanatd, const UdpService& service) {
  hanatd.wait_for([](const Status& now) {
    const ServiceStatus& dns = hanat::test::service(now, "dns");
    return dns.target == "primary" && server(dns, "primary").health == "up" && server(dns, "backup").health == "up";
  });
  const std::string set = fmt::format("hold{}{}", service.family == Family::ipv4 ? 4 : 6, service.range ? "_range1" : "");
  for (int tries = 0; tries < 100; ++tries, sleep_for(milliseconds{10}))
    if (lab.must(Host::gateway, "nft list set inet hanat " + set).find("udp") != std::string::npos) return;
  ADD_FAILURE() << "nothing in " << set;
}

using HoldUdpParameters = std::tuple<Family, bool, std::string, Host>; // and range, snat, the client
class HoldUdp : public testing::TestWithParam<HoldUdpParameters> {
protected:
  UdpService service() const {
    const auto& [family, range, snat, from] = GetParam();
    return {.family = family, .range = range, .extra = fmt::format("snat = \"{}\"", snat)};
  }
  Host from() const { return std::get<3>(GetParam()); }
  Lab lab{{.vip_local = true, .return_routes = std::get<2>(GetParam()) == "none"}};
  UdpServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};
};
std::string name_of_hold_udp(const testing::TestParamInfo<HoldUdpParameters>& info) {
  const auto& [family, range, snat, from] = info.param;
  return fmt::format("{}{}{}{}", family == Family::ipv4 ? "IPv4" : "IPv6", range ? "Range" : "",
                     snat == "none" ? "SourceKept" : "Masquerade", from == Host::client ? "" : "OnTheGateway");
}
INSTANTIATE_TEST_SUITE_P(, HoldUdp,
                         testing::Values(HoldUdpParameters{Family::ipv4, false, "none", Host::client},
                                         HoldUdpParameters{Family::ipv4, true, "masquerade", Host::client},
                                         HoldUdpParameters{Family::ipv4, false, "none", Host::gateway},
                                         HoldUdpParameters{Family::ipv6, false, "masquerade", Host::client},
                                         HoldUdpParameters{Family::ipv6, true, "none", Host::client}),
                         name_of_hold_udp);

TEST_P(HoldUdp, AQuestionThatADyingServerRefusesIsAnsweredByTheBackupWhenItIsAskedAgain) {
  Hanatd hanatd{lab, udp_service(service())};
  wait_hold(lab, hanatd, service());
  UdpClient known{lab, from(), endpoint_of(service())};
  ASSERT_EQ(known.ask().text, "primary");
  UdpClient fresh{lab, from(), endpoint_of(service())};
  primary.kill();
  for (UdpClient* client : {&known, &fresh}) {
    const Attempt first = client->ask(a_moment);
    EXPECT_NE(first.result, Result::refused) << first;
    if (first.result == Result::timeout) {
      EXPECT_EQ(client->ask().text, "backup");
    }
  }
}

TEST_P(HoldUdp, NoFlowIsHeldTwice) {
  UdpService slow = service();
  slow.down = no_verdict;
  Hanatd hanatd{lab, udp_service(slow)};
  wait_hold(lab, hanatd, slow);
  // Probes and clients whose source is the gateway's would share the refusals that a machine allows one address.
  lab.sysctl(Host::primary, service().family == Family::ipv4 ? "net.ipv4.icmp_ratelimit" : "net.ipv6.icmp.ratelimit", "0");
  primary.kill();
  UdpClient client{lab, from(), endpoint_of(slow)};
  const Attempt first = client.ask(a_moment);
  EXPECT_EQ(first.result, Result::timeout) << first;
  const Attempt second = client.ask(a_moment);
  EXPECT_EQ(second.result, Result::refused) << second;
  EXPECT_GE(server(hanat::test::service(hanatd.status(), "dns"), "primary").fails.count, 1U) << "probed at once";
}

TEST(HoldUdpOnce, WithoutAnotherServerTheRefusalArrivesAtOnce) {
  Lab lab;
  UdpServer primary{lab, Host::primary, 8443, "primary"};
  const UdpService alone{.down = no_verdict};
  Hanatd hanatd{lab, udp_service({})};
  hanatd.wait_for(
      [](const Status& now) { return service(now, "dns").target == "primary" && server(service(now, "dns"), "backup").health == "down"; });
  ASSERT_EQ(hanatd.reload(udp_service(alone)).exit, 0);
  primary.kill();
  EXPECT_EQ(UdpClient(lab, Host::client, endpoint_of(alone)).ask().result, Result::refused);
}

TEST(HoldUdpOnce, AHungHanatdHoldsNothing) {
  Lab lab;
  UdpServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};
  const UdpService slow{.down = no_verdict};
  Hanatd hanatd{lab, udp_service(slow)};
  wait_hold(lab, hanatd, slow);
  sleep_for(milliseconds{3500}); // longer than one heartbeat lasts
  primary.kill();
  EXPECT_EQ(UdpClient(lab, Host::client, endpoint_of(slow)).ask(a_moment).result, Result::timeout) << "held";
  hanatd.signal(SIGSTOP);
  sleep_for(milliseconds{3200});
  EXPECT_EQ(UdpClient(lab, Host::client, endpoint_of(slow)).ask(a_moment).result, Result::refused);
  hanatd.signal(SIGCONT);
}

/// Asks from a socket of its own each, and once more from the same socket when there is no answer.
struct Questions {
  std::size_t answered = 0, again = 0, refused = 0, unanswered = 0;
};
Questions ask_many(Lab& lab, const Endpoint& to, std::size_t number, milliseconds spacing, const std::function<void(std::size_t)>& before) {
  Questions seen;
  std::mutex mutex;
  std::vector<std::thread> clients;
  clients.reserve(number);
  const auto began = TestClock::now();
  for (std::size_t index = 0; index < number; ++index) {
    std::this_thread::sleep_until(began + index * spacing);
    before(index);
    clients.emplace_back([&seen, &mutex, client = std::make_unique<UdpClient>(lab, Host::client, to)] {
      Attempt attempt = client->ask(a_moment);
      const bool again = attempt.result == Result::timeout;
      if (again) attempt = client->ask(milliseconds{1000});
      const std::lock_guard lock{mutex};
      seen.again += again ? 1 : 0;
      seen.answered += attempt.result == Result::answered ? 1 : 0;
      seen.refused += attempt.result == Result::refused ? 1 : 0;
      seen.unanswered += attempt.result == Result::timeout ? 1 : 0;
    });
  }
  for (std::thread& client : clients) client.join();
  return seen;
}

class HoldUdpLoad : public testing::TestWithParam<Family> {};
INSTANTIATE_TEST_SUITE_P(, HoldUdpLoad, testing::Values(Family::ipv4, Family::ipv6),
                         [](const auto& test) { return test.param == Family::ipv4 ? "IPv4" : "IPv6"; });

TEST_P(HoldUdpLoad, OfTwoThousandQuestionsNoneFailsThatIsAskedTwice) {
  Lab lab;
  UdpServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};
  const UdpService service{.family = GetParam()};
  Hanatd hanatd{lab, udp_service(service)};
  wait_hold(lab, hanatd, service);
  const Questions seen = ask_many(lab, endpoint_of(service), 2000, milliseconds{1}, [&](std::size_t index) {
    if (index == 700) primary.kill();
  });
  fmt::print("2,000 questions: {} answered, {} of them at the second try, {} refused, {} unanswered\n", seen.answered, seen.again,
             seen.refused, seen.unanswered);
  EXPECT_EQ(seen.answered, 2000U);
}

// ---- SCTP

class HoldSctp : public testing::TestWithParam<Family> {
protected:
  std::string service(const std::string& down) const {
    return fast_service({.name = "sig",
                         .listen = to_text(Lab::vip(3868, GetParam())) + "/sctp",
                         .family = GetParam(),
                         .probe = "type = \"tcp\", port = 9000",
                         .down = down});
  }
  void wait_hold(const Hanatd& hanatd) {
    hanatd.wait_for([](const Status& now) {
      const ServiceStatus& sig = hanat::test::service(now, "sig");
      return sig.target == "primary" && server(sig, "primary").health == "up" && server(sig, "backup").health == "up";
    });
    const std::string set = GetParam() == Family::ipv4 ? "hold4" : "hold6";
    for (int tries = 0; tries < 100; ++tries, sleep_for(milliseconds{10}))
      if (lab.must(Host::gateway, "nft list set inet hanat " + set).find("sctp") != std::string::npos) return;
    ADD_FAILURE() << "nothing in " << set;
  }
  Lab lab;
  TcpServer primary_probe{lab, Host::primary, 9000, "primary"}, backup_probe{lab, Host::backup, 9000, "backup"};
  SctpServer primary{lab, Host::primary, "primary"}, backup{lab, Host::backup, "backup"};
};
INSTANTIATE_TEST_SUITE_P(, HoldSctp, testing::Values(Family::ipv4, Family::ipv6),
                         [](const auto& test) { return test.param == Family::ipv4 ? "IPv4" : "IPv6"; });

TEST_P(HoldSctp, AnAbortedAssociationIsHeldOnceAndItsNextInitMeetsTheBackup) {
  Hanatd hanatd{lab, service("fails = 3, within = \"2s\"")};
  wait_hold(hanatd);
  SctpClient client{lab, Host::client, Lab::vip(3868, GetParam()), 40000};
  primary.refuse(true);
  const Attempt held = client.connect(a_moment);
  EXPECT_EQ(held.result, Result::timeout) << held;
  primary_probe.kill();
  hanatd.wait_for([](const Status& now) {
    const ServiceStatus& sig = hanat::test::service(now, "sig");
    return sig.target == "backup" && sig.last_flip && sig.last_flip->cut_ms.has_value();
  });
  const Attempt again = client.connect();
  EXPECT_EQ(again.text, "backup") << again;
}

TEST_P(HoldSctp, NoFlowIsHeldTwice) {
  Hanatd hanatd{lab, service(no_verdict)};
  wait_hold(hanatd);
  primary.refuse(true);
  SctpClient client{lab, Host::client, Lab::vip(3868, GetParam()), 40000};
  EXPECT_EQ(client.connect(a_moment).result, Result::timeout) << "held";
  EXPECT_EQ(client.connect(a_moment).result, Result::refused);
}

} // namespace
} // namespace hanat::test
