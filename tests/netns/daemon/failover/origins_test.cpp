// Where clients come from, seen from their sockets: by several uplinks, many behind one address, translated for one server and not for the
// other, and past other people's rules about zones and marks. Not here: clients in the servers' network (hairpin), on the gateway
// (topology).
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/observer.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::test {
namespace {

constexpr milliseconds hopeless_wait{200}; // an answer that comes takes less than one

/// TCP 443 and UDP 53 of both servers' port 8443; the probe asks a port of its own.
std::string origins_service(const std::string& extra) {
  return fast_service({.listen = "203.0.113.10:443/tcp\", \"203.0.113.10:53/udp", .probe = "type = \"tcp\", port = 9000", .extra = extra});
}

void wait_until_both_are_up(const Hanatd& hanatd) {
  hanatd.wait_target("web", "primary");
  hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "backup").health == "up"; });
}

/// Answers a line or datagram with its name and the line.
struct EchoHost {
  EchoHost(Lab& lab, Host host)
      : probe{lab, host, 9000, std::string{to_text(host)}}, tcp{lab, host, 8443,
                                                                [name = std::string{to_text(host)}](std::string& input) {
                                                                  const auto end = input.rfind('\n');
                                                                  if (end == std::string::npos) return std::string{};
                                                                  const std::string answer = name + " " + input.substr(0, end + 1);
                                                                  input.erase(0, end + 1);
                                                                  return answer;
                                                                }},
        udp{lab, host, 8443, std::string{to_text(host)}} {}
  TcpServer probe;
  StreamServer tcp;
  UdpServer udp;
};

// ---- several uplinks

TEST(Uplinks, EachClientIsAnsweredByItsOwnOneWithStrictReversePathFilters) {
  Lab lab{{.bystander = true}};
  for (const char* scope : {"all", "default", "to-client", "to-bystander", "to-primary", "to-backup"})
    lab.sysctl(Host::gateway, fmt::format("net.ipv4.conf.{}.rp_filter", scope), "1");
  EchoHost primary{lab, Host::primary}, backup{lab, Host::backup};
  Hanatd hanatd{lab, origins_service("")};
  wait_until_both_are_up(hanatd);
  std::vector<TcpClient> idle;
  for (const Host uplink : {Host::client, Host::bystander}) {
    idle.emplace_back(lab, uplink, Lab::vip(443));
    EXPECT_EQ(idle.back().ask().text, "primary who");
    EXPECT_EQ(UdpClient(lab, uplink, Lab::vip(53)).ask().text, "primary");
  }
  lab.silent(Host::primary, true);
  hanatd.wait_target("web", "backup");
  for (TcpClient& client : idle) EXPECT_EQ(client.wait_for_end(milliseconds{1000}).result, Result::reset);
  for (const Host uplink : {Host::client, Host::bystander}) {
    EXPECT_EQ(connect_once(lab, uplink, Lab::vip(443)).text, "backup who");
    EXPECT_EQ(UdpClient(lab, uplink, Lab::vip(53)).ask().text, "backup");
  }
}

TEST(Uplinks, AClientThatComesByTheOtherOneIsAnsweredThereAsTheGatewaysOwnMarksSay) {
  // By its routes the gateway would answer 198.18.77.1 through the client's uplink; it comes by the bystander's.
  Lab lab{{.bystander = true}};
  lab.must(Host::gateway, fmt::format("ip route add 198.18.77.0/24 via {}", Lab::address(Host::client).text()));
  lab.must(Host::bystander, fmt::format("ip address add 198.18.77.1/32 dev lo && ip route add 203.0.113.10 via {} src 198.18.77.1",
                                        Lab::gateway_address(Host::bystander).text()));
  lab.sysctl(Host::bystander, "net.ipv4.conf.all.arp_announce", "2"); // the filter drops questions for neighbours, too
  lab.sysctl(Host::gateway, "net.ipv4.conf.all.rp_filter", "1");
  EchoHost primary{lab, Host::primary}, backup{lab, Host::backup};
  Hanatd hanatd{lab, origins_service("")};
  wait_until_both_are_up(hanatd);
  EXPECT_EQ(connect_once(lab, Host::bystander, Lab::vip(443), hopeless_wait).result, Result::timeout) << "the strict filter";

  lab.must(Host::gateway, "nft -f - <<'END'\ntable inet uplinks {\n  chain c {\n    type filter hook prerouting priority -150;\n"
                          "    iifname \"to-bystander\" ct state new ct mark set 2\n    meta mark set ct mark\n  }\n}\nEND");
  lab.must(Host::gateway,
           fmt::format("ip rule add fwmark 2 table 2 && ip route add 198.18.77.0/24 via {} table 2", Lab::address(Host::bystander).text()));
  lab.sysctl(Host::gateway, "net.ipv4.conf.all.src_valid_mark", "1"); // the filter asks by the mark
  lab.sysctl(Host::gateway, "net.ipv4.fwmark_reflect", "1");          // the gateway's resets go by the mark of what they answer
  TcpClient standing{lab, Host::bystander, Lab::vip(443)};
  EXPECT_EQ(standing.ask().text, "primary who");
  UdpClient datagrams{lab, Host::bystander, Lab::vip(53)};
  EXPECT_EQ(datagrams.ask().text, "primary");
  lab.silent(Host::primary, true);
  hanatd.wait_target("web", "backup");
  EXPECT_EQ(standing.ask().result, Result::reset);
  EXPECT_EQ(connect_once(lab, Host::bystander, Lab::vip(443)).text, "backup who");
  hanatd.wait_for([](const Status& now) { return service(now, "web").last_flip->cut.udp == 1; });
  EXPECT_EQ(datagrams.ask().text, "backup");
}

// ---- many clients behind one address

/// A network behind the client, which gives all its hosts one address: its own. Host N of it is 198.18.200.N.
class Household {
public:
  explicit Household(Lab& lab) {
    lab.must(Host::client,
             fmt::format("ip link add home type veth peer name eth0 netns /proc/{}/fd/{} && "
                         "ip address add 198.18.200.254/24 dev home && ip link set home up && sysctl -q -w net.ipv4.ip_forward=1",
                         getpid(), place_.fd()));
    lab.must(Host::client, "nft -f - <<'END'\ntable ip home {\n  chain c {\n    type nat hook postrouting priority 100;\n"
                           "    oifname \"eth0\" masquerade\n  }\n}\nEND");
    std::string batch = "link set eth0 up\n";
    for (int number = 1; number <= members; ++number) batch += fmt::format("address add 198.18.200.{}/24 dev eth0\n", number);
    batch += "route add default via 198.18.200.254\n";
    place_.on_keeper([&] {
      const Output made = collect({"ip", "-batch", "-"}, std::chrono::seconds{10}, batch);
      if (made.exit != 0) throw std::runtime_error(made.err);
    });
  }
  /// A socket of host `number`, always with the same source port: the router cannot keep it for all.
  Fd connected(int number, int type, const Endpoint& to) const {
    Fd fd;
    place_.enter([&] {
      fd = Fd{checked(socket(AF_INET, type | SOCK_CLOEXEC, 0), "socket")};
      const int on = 1;
      setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
      const timeval patience{.tv_sec = 2, .tv_usec = 0};
      setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
      const auto here = to_sockaddr({Address::parse(fmt::format("198.18.200.{}", number)).value(), 40000});
      checked(bind(fd.get(), here.get(), here.length), "bind");
      const auto there = to_sockaddr(to);
      checked(connect(fd.get(), there.get(), there.length), fmt::format("connect of host {}", number));
    });
    return fd;
  }
  static constexpr int members = 100;

private:
  Namespace place_;
};

void say(const Fd& fd, const std::string& text) {
  checked(static_cast<int>(send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL)), "send");
}
/// What comes next; the error's text instead where there is one.
std::string next_of(const Fd& fd, int flags = 0) {
  std::array<char, 512> buffer;
  const ssize_t got = recv(fd.get(), buffer.data(), buffer.size(), flags);
  return got < 0 ? strerror(errno) : std::string(buffer.data(), static_cast<std::size_t>(got));
}

bool datagrams_are_cut(const Status& now) {
  const auto& flip = service(now, "web").last_flip;
  return flip && flip->cut.udp >= Household::members;
}

class ManyBehindOne : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(, ManyBehindOne, testing::Values("none", "masquerade"),
                         [](const auto& test) { return test.param == "none" ? "SnatNone" : "SnatMasquerade"; });

TEST_P(ManyBehindOne, GetsEachItsOwnAnswerBeforeAndAfterAFailover) {
  Lab lab;
  const Household home{lab};
  EchoHost primary{lab, Host::primary}, backup{lab, Host::backup};
  Hanatd hanatd{lab, origins_service(fmt::format("snat = \"{}\"", GetParam()))};
  wait_until_both_are_up(hanatd);
  std::vector<Fd> streams, datagrams;
  for (int number = 1; number <= Household::members; ++number) {
    streams.push_back(home.connected(number, SOCK_STREAM, Lab::vip(443)));
    datagrams.push_back(home.connected(number, SOCK_DGRAM, Lab::vip(53)));
  }
  const auto ask_all = [](const std::vector<Fd>& sockets, const std::string& end, const std::string& by) {
    for (std::size_t who = 0; who < sockets.size(); ++who) say(sockets[who], fmt::format("host {}{}", who, end));
    for (std::size_t who = 0; who < sockets.size(); ++who) ASSERT_EQ(next_of(sockets[who]), fmt::format("{} host {}{}", by, who, end));
  };
  ask_all(streams, "\n", "primary");
  ask_all(datagrams, "", "primary");
  lab.silent(Host::primary, true);
  for (std::size_t who = 0; who < datagrams.size(); ++who) say(datagrams[who], fmt::format("lost {}", who));
  hanatd.wait_target("web", "backup");
  hanatd.wait_for(datagrams_are_cut);
  // Its router takes a nudge, which is out of the window, for no packet of the connection; a reset that answers is one.
  for (const Fd& stream : streams)
    if (send(stream.get(), "another\n", 8, MSG_NOSIGNAL) > 0) // else it was told already: one nudge in many is in the window
      ASSERT_STREQ(next_of(stream).c_str(), strerror(ECONNRESET));
    else
      ASSERT_EQ(errno, ECONNRESET);
  streams.clear();
  for (int number = 1; number <= Household::members; ++number) streams.push_back(home.connected(number, SOCK_STREAM, Lab::vip(443)));
  ask_all(streams, "\n", "backup");
  ask_all(datagrams, "", "backup");
  lab.silent(Host::primary, false); // and what it still has to say is said to nobody
  hanatd.wait_target("web", "primary");
  hanatd.wait_for(datagrams_are_cut);
  ask_all(datagrams, "", "primary");
  for (const Fd& datagram : datagrams) ASSERT_EQ(next_of(datagram, MSG_DONTWAIT), strerror(EAGAIN)) << "nothing beside its own answers";
}

TEST_P(ManyBehindOne, HearsNothingOfWhatTheOldServerAnswersLate) {
  Lab lab;
  const Household home{lab};
  TcpServer primary_probe{lab, Host::primary, 9000, "primary"};
  Observer primary{lab, Host::primary, SOCK_DGRAM, 8443};
  EchoHost backup{lab, Host::backup};
  Hanatd hanatd{lab, origins_service(fmt::format("snat = \"{}\"", GetParam()))};
  wait_until_both_are_up(hanatd);
  std::vector<Fd> datagrams;
  std::vector<Endpoint> asked;
  for (int number = 1; number <= Household::members; ++number) {
    datagrams.push_back(home.connected(number, SOCK_DGRAM, Lab::vip(53)));
    say(datagrams.back(), "early");
    const auto from = primary.hear();
    ASSERT_TRUE(from);
    asked.push_back(*from);
  }
  ASSERT_EQ(hanatd.ctl({"force-backup", "web"}).exit, 0);
  hanatd.wait_for(datagrams_are_cut); // one that is sent before belongs to its old flow
  // Half of them are asked again by the new server's flows, and others open new ones, which may get a port that was free again.
  for (std::size_t who = 0; who < datagrams.size(); who += 2) say(datagrams[who], fmt::format("host {}", who));
  for (std::size_t who = 0; who < datagrams.size(); who += 2) ASSERT_EQ(next_of(datagrams[who]), fmt::format("backup host {}", who));
  for (const Endpoint& from : asked) primary.say(from, "late");
  say(datagrams[0], "the last");
  EXPECT_EQ(next_of(datagrams[0]), "backup the last") << "the late answers were before it";
  for (const Fd& datagram : datagrams) ASSERT_EQ(next_of(datagram, MSG_DONTWAIT), strerror(EAGAIN));
}

// ---- a source of its own for each server

TEST(Origins, TheSourceIsTranslatedForTheServerThatWantsItAlone) {
  Lab lab;
  TcpServer primary_probe{lab, Host::primary, 9000, "primary"}, backup_probe{lab, Host::backup, 9000, "backup"};
  Observer primary{lab, Host::primary, SOCK_STREAM, 8443}, backup{lab, Host::backup, SOCK_STREAM, 8443};
  Observer primary_udp{lab, Host::primary, SOCK_DGRAM, 8443}, backup_udp{lab, Host::backup, SOCK_DGRAM, 8443};
  lab.must(Host::backup, "ip route del default"); // its way back leads elsewhere: it needs what the primary does not
  Hanatd hanatd{lab, "[service.web]\nlisten = [\"203.0.113.10:443/tcp\", \"203.0.113.10:53/udp\"]\n"
                     "primary = { address = \"198.18.11.2:8443\", snat = \"none\" }\n"
                     "probe = { type = \"tcp\", port = 9000, interval = \"50ms\", fast_interval = \"10ms\", timeout = \"200ms\" }\n"
                     "up = { passes = 2, stable_for = \"100ms\" }\non_forced = \"reset\"\n"
                     "[[service.web.backup]]\naddress = \"198.18.12.2:8443\"\nsnat = \"masquerade\"\n"};
  wait_until_both_are_up(hanatd);
  for (const bool failed_over : {false, true, false}) {
    ASSERT_EQ(hanatd.ctl({failed_over ? "force-backup" : "force-primary", "web"}).exit, 0);
    hanatd.wait_target("web", failed_over ? "backup" : "primary");
    hanatd.wait_for([](const Status& now) { return !service(now, "web").last_flip || service(now, "web").last_flip->cut.udp == 1; });
    const Address seen = failed_over ? Lab::gateway_address(Host::backup) : Lab::address(Host::client);
    const TcpClient client{lab, Host::client, Lab::vip(443)};
    const auto met = (failed_over ? backup : primary).meet();
    ASSERT_TRUE(met);
    EXPECT_EQ(met->address, seen);
    Sender sender{lab, Host::client, Lab::vip(53), 40000}; // the same port each time: the old flow's entry is cut
    sender.send();
    const auto heard = (failed_over ? backup_udp : primary_udp).hear();
    ASSERT_TRUE(heard) << failed_over;
    EXPECT_EQ(heard->address, seen);
  }
}

// ---- other people's zones and marks

class ForeignRules : public testing::TestWithParam<std::pair<const char*, const char*>> {};
INSTANTIATE_TEST_SUITE_P(, ForeignRules,
                         testing::Values(std::pair{"Zone", "type filter hook prerouting priority -300; iifname \"to-*\" ct zone set 5"},
                                         std::pair{"Marks", "type filter hook postrouting priority 300; ct mark set 0x68616e61"}),
                         [](const auto& test) { return std::string{test.param.first}; });

TEST_P(ForeignRules, DoNotHideTheFlowsThatAreCut) {
  Lab lab;
  EchoHost primary{lab, Host::primary}, backup{lab, Host::backup};
  lab.must(Host::gateway, std::string{"nft -f - <<'END'\ntable inet others {\n  chain c {\n    "} + GetParam().second + "\n  }\n}\nEND");
  Hanatd hanatd{lab, origins_service("")};
  wait_until_both_are_up(hanatd);
  std::vector<TcpClient> idle;
  for (int count = 0; count < 5; ++count) {
    idle.emplace_back(lab, Host::client, Lab::vip(443));
    ASSERT_EQ(idle.back().ask().text, "primary who");
  }
  UdpClient datagrams{lab, Host::client, Lab::vip(53)};
  ASSERT_EQ(datagrams.ask().text, "primary");
  lab.silent(Host::primary, true);
  hanatd.wait_target("web", "backup");
  const Status status = hanatd.wait_for([](const Status& now) { return service(now, "web").last_flip->nudged == 5; });
  EXPECT_EQ(service(status, "web").last_flip->cut.udp, 1U);
  EXPECT_EQ(datagrams.ask().text, "backup");
  for (TcpClient& client : idle) EXPECT_EQ(client.wait_for_end(milliseconds{1000}).result, Result::reset);
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(443)).text, "backup who");
  hanatd.wait_for([](const Status& now) { return service(now, "web").last_flip->cut.tcp == 5; });
  EXPECT_EQ(lab.must(Host::gateway, "conntrack -L --orig-dst 203.0.113.10 --reply-src 198.18.11.2 2>/dev/null | wc -l"), "0\n");
}

} // namespace
} // namespace hanat::test
