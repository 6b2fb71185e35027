// hanatctl doctor on a real gateway: traps in which every probe passes and clients hang, each named with its remedy within 5 s; and a
// gateway without any. Not here: traps by rules of nftables (the trace's own tests), the client alone (synthetic_client_test).
#include <atomic>
#include <thread>

#include <unistd.h>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

std::string web_of_both(const std::string& extra = {}) {
  return fmt::format("[service.web]\nlisten = [\"203.0.113.10:443/tcp\", \"[2001:db8::10]:443/tcp\"]\n"
                     "primary = [\"{}\", \"{}\"]\nprobe = {{ type = \"tcp\", interval = \"50ms\", timeout = \"200ms\" }}\n"
                     "up = {{ passes = 2, stable_for = \"100ms\" }}\n{}\n",
                     to_text(Lab::endpoint(Host::primary, 8443)), to_text(Lab::endpoint(Host::primary, 8443, Family::ipv6)), extra);
}

struct Examined {
  int status = -1;
  json reply;
  std::chrono::milliseconds took{};

  const json* find(const std::string& code) const {
    for (const json& finding : reply.at("findings"))
      if (finding.at("code") == code) return &finding;
    return nullptr;
  }
  std::string remedy(const std::string& code) const {
    const json* const found = find(code);
    return found == nullptr ? "no " + code + " in " + reply.dump(1) : found->at("remedy").get<std::string>();
  }
};

Examined doctor(const Hanatd& daemon) {
  const auto start = TestClock::now();
  const Output output = daemon.ctl({"doctor", "--json"});
  Examined examined{.status = output.exit, .reply = {}, .took = {}};
  examined.took = std::chrono::duration_cast<std::chrono::milliseconds>(TestClock::now() - start);
  EXPECT_NO_THROW(examined.reply = json::parse(output.out)) << output.out << output.err;
  return examined;
}

std::string links_of_gateway(Lab& lab) { return lab.must(Host::gateway, "ip -o link show"); }

class DoctorTest : public testing::Test {
protected:
  Lab& lab() {
    if (!lab_) lab_.emplace(options);
    return *lab_;
  }
  Hanatd& start(const std::string& config = web_of_both()) {
    server_.emplace(lab(), Host::primary, 8443, "primary");
    daemon_.emplace(lab(), config);
    daemon_->wait_target("web", "primary");
    return *daemon_;
  }
  // While the probes pass.
  void expect_trap(const std::string& code, const testing::Matcher<std::string>& remedy, const std::string& severity = "problem") {
    const Examined examined = doctor(*daemon_);
    EXPECT_EQ(examined.status, severity == "problem" ? 2 : 1) << examined.reply.dump(1);
    EXPECT_THAT(examined.remedy(code), remedy);
    if (const json* const found = examined.find(code)) {
      EXPECT_EQ(found->at("severity"), severity) << examined.reply.dump(1);
    }
    EXPECT_LT(examined.took, 5s);
    EXPECT_EQ(service(daemon_->status(), "web").target, "primary");
    EXPECT_THAT(links_of_gateway(lab()), testing::Not(HasSubstr("hanat-c")));
  }
  void kill_while_it_examines() {
    options.return_routes = false; // the examination takes its time
    Hanatd& daemon = start();
    std::thread examination([&] { static_cast<void>(daemon.ctl({"doctor"})); });
    for (const auto end = TestClock::now() + 5s; links_of_gateway(lab()).find("hanat-c0") == std::string::npos && TestClock::now() < end;) {
    }
    daemon.kill9();
    examination.join();
    EXPECT_THAT(links_of_gateway(lab()), HasSubstr("hanat-c0"));
  }
  void on_server(const std::string& rule) {
    lab().must(Host::primary,
               "nft add table inet t && nft 'add chain inet t in { type filter hook input priority 0; }' && nft 'add rule inet t in " +
                   rule + "'");
  }

  LabOptions options;
  std::optional<Lab> lab_;
  std::optional<TcpServer> server_;
  std::optional<Hanatd> daemon_;
};

TEST_F(DoctorTest, FindsNothingOnACleanGateway) {
  start();
  const Examined examined = doctor(*daemon_);
  EXPECT_EQ(examined.status, 0) << examined.reply.dump(1);
  EXPECT_EQ(examined.reply.at("findings"), json::array());
  EXPECT_EQ(examined.reply.at("checked").at(0).at("sent"), 2);
  EXPECT_EQ(examined.reply.at("checked").at(0).at("answered"), 2);
  EXPECT_EQ(examined.reply.at("interface"), "hanat-c0");
  const Output text = daemon_->ctl({"doctor", "web"});
  EXPECT_EQ(text.exit, 0);
  EXPECT_THAT(text.out, HasSubstr("1 service: the whole way works"));
  EXPECT_THAT(links_of_gateway(lab()), testing::Not(HasSubstr("hanat-c")));
  EXPECT_EQ(daemon_->ctl({"doctor", "wbe"}).exit, 1);
}

TEST_F(DoctorTest, FindsNothingWithLocalVipsAndEverySnat) {
  options.vip_local = true;
  start();
  EXPECT_EQ(doctor(*daemon_).status, 0);
  for (const char* snat : {"masquerade", "hairpin"}) {
    EXPECT_EQ(daemon_->reload(web_of_both(fmt::format("snat = \"{}\"", snat))).exit, 0);
    const Examined examined = doctor(*daemon_);
    EXPECT_EQ(examined.status, 0) << snat << examined.reply.dump(1);
    EXPECT_EQ(examined.reply.at("checked").at(0).at("answered"), 2) << snat;
  }
}

TEST_F(DoctorTest, SendsTheProbesPayloadToUdp) {
  UdpServer udp(lab(), Host::primary, 5353, "primary");
  daemon_.emplace(lab(), fmt::format("[service.web]\nlisten = \"203.0.113.10:53/udp\"\nprimary = \"{}\"\n"
                                     "probe = {{ type = \"udp\", send = \"hello\", interval = \"50ms\", timeout = \"200ms\" }}\n",
                                     to_text(Lab::endpoint(Host::primary, 5353))));
  daemon_->wait_target("web", "primary");
  const Examined examined = doctor(*daemon_);
  EXPECT_EQ(examined.status, 0) << examined.reply.dump(1);
  EXPECT_EQ(examined.reply.at("checked").at(0).at("answered"), 1);
}

TEST_F(DoctorTest, NamesForwardingThatIsOff) {
  start();
  lab().sysctl(Host::gateway, "net.ipv4.ip_forward", "0");
  expect_trap("ip-forward-off", HasSubstr("sysctl -w net.ipv4.ip_forward=1"));
}

// No probe notices: they come from the gateway itself.
TEST_F(DoctorTest, TheStatusSaysThatNothingIsForwardedBeforeAClientComes) {
  Hanatd& daemon = start();
  EXPECT_EQ(daemon.ctl({"status", "--check"}).exit, 0);
  lab().sysctl(Host::gateway, "net.ipv4.ip_forward", "0");
  daemon.wait_for([](const Status& status) { return !status.daemon.findings.empty(); });
  const Output check = daemon.ctl({"status", "--check"});
  EXPECT_EQ(check.exit, 2) << check.out;
  EXPECT_THAT(check.out, HasSubstr("CRITICAL: net.ipv4.ip_forward is 0"));
  EXPECT_THAT(daemon.ctl({"status"}).out,
              AllOf(HasSubstr("no client reaches any service"), HasSubstr("-> sysctl -w net.ipv4.ip_forward=1")));
  EXPECT_THAT(daemon.log(), HasSubstr("net.ipv4.ip_forward is 0: no IPv4 packet is forwarded, and no client reaches any service"));
  lab().sysctl(Host::gateway, "net.ipv4.ip_forward", "1");
  daemon.wait_for([](const Status& status) { return status.daemon.findings.empty(); });
  EXPECT_THAT(daemon.log(), HasSubstr("mended: net.ipv4.ip_forward is 0"));
  EXPECT_EQ(daemon.ctl({"status", "--check"}).exit, 0);
}

TEST_F(DoctorTest, NamesTheInterfaceOfAServerThatIsOff) {
  start(fast_service());
  lab().must(Host::gateway, "ip link set to-backup down");
  const Examined examined = doctor(*daemon_);
  EXPECT_EQ(examined.status, 1) << examined.reply.dump(1);
  EXPECT_EQ(examined.remedy("link-down"), "ip link set to-backup up");
  lab().must(Host::gateway, "ip link set to-backup up");
  lab().must(Host::backup, "ip link set eth0 down");
  EXPECT_THAT(doctor(*daemon_).remedy("link-down"), HasSubstr("ip -s link show to-backup"));
}

TEST_F(DoctorTest, TriesTheRulesForServersThatAreToTakeOver) {
  start(fast_service());
  lab().must(Host::gateway, "nft 'add table ip f; add chain ip f forward { type filter hook forward priority 0; }; "
                            "add rule ip f forward oifname to-backup drop; add rule ip f forward ip daddr 198.18.12.0/24 drop'");
  const Examined examined = doctor(*daemon_);
  EXPECT_EQ(examined.status, 1) << examined.reply.dump(1);
  const json* const found = examined.find("forward-drop");
  ASSERT_NE(found, nullptr) << examined.reply.dump(1);
  EXPECT_THAT(found->at("what").get<std::string>(), AllOf(HasSubstr("ip f forward rule 2 (handle "), HasSubstr("backup 198.18.12.2:8443")));
}

class DoctorOfReplies : public DoctorTest, public testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(, DoctorOfReplies,
                         testing::Values("tcp sport 8443", "ct direction reply", "iifname to-primary tcp sport 8443",
                                         "ip saddr 198.18.11.2", "ct state established",
                                         "ct state established,related ip saddr 198.18.11.0/24", "tcp flags & (syn | ack) == syn | ack",
                                         "ip protocol tcp tcp sport { 80, 8443 }"));

// It names no client: all of them hang.
TEST_P(DoctorOfReplies, ARuleThatDropsThemAllIsAProblem) {
  start();
  lab().must(Host::gateway, fmt::format("nft 'add table ip f; add chain ip f forward {{ type filter hook forward priority 0; }}; "
                                        "add rule ip f forward {} drop'",
                                        GetParam()));
  const Examined examined = doctor(*daemon_);
  EXPECT_EQ(examined.status, 2) << examined.reply.dump(1);
  ASSERT_NE(examined.find("forward-drop"), nullptr) << examined.reply.dump(1);
  EXPECT_EQ(examined.find("forward-drop")->at("severity"), "problem") << examined.reply.dump(1);
}

TEST_F(DoctorTest, NamesForwardingThatIsOffOnOneInterface) {
  start();
  lab().sysctl(Host::gateway, "net.ipv4.conf.to-primary.forwarding", "0");
  expect_trap("interface-forward-off", HasSubstr("sysctl -w net.ipv4.conf.to-primary.forwarding=1"));
}

TEST_F(DoctorTest, WarnsOfForwardingThatIsOffWhereClientsMayCome) {
  start();
  lab().sysctl(Host::gateway, "net.ipv4.conf.to-client.forwarding", "0");
  expect_trap("interface-forward-off", HasSubstr("sysctl -w net.ipv4.conf.to-client.forwarding=1"), "warning");
}

TEST_F(DoctorTest, NamesIpv6ForwardingThatIsOff) {
  start();
  lab().sysctl(Host::gateway, "net.ipv6.conf.all.forwarding", "0");
  expect_trap("ipv6-forward-off", HasSubstr("sysctl -w net.ipv6.conf.all.forwarding=1"));
}

TEST_F(DoctorTest, NamesAStrictReversePathFilter) {
  start();
  lab().must(Host::gateway,
             fmt::format("ip link add alt type veth peer name eth1 netns /proc/{}/fd/{} && ip address add 198.18.99.1/24 dev alt "
                         "&& ip link set alt up",
                         getpid(), lab().place(Host::primary).fd()));
  lab().must(Host::primary, "ip address add 198.18.99.2/24 dev eth1 && ip link set eth1 up && ip route replace default via 198.18.99.1");
  // It knows the gateway's hardware address from other traffic: the strict filter would keep it from asking for a client's reply.
  const std::string hardware = lab().must(Host::gateway, "ip -o link show alt | sed 's/.*ether \\([^ ]*\\).*/\\1/'");
  lab().must(Host::primary, "ip neighbour replace 198.18.99.1 dev eth1 nud permanent lladdr " + hardware);
  lab().sysctl(Host::gateway, "net.ipv4.conf.alt.rp_filter", "1");
  expect_trap("rp-filter", HasSubstr("sysctl -w net.ipv4.conf.alt.rp_filter=2"));
}

TEST_F(DoctorTest, NamesAServerWithoutAReturnRoute) {
  options.return_routes = false;
  start();
  expect_trap("no-return-route", HasSubstr(fmt::format("ip route add CLIENTS_NET via {} ", Lab::gateway_address(Host::primary).text())));
  EXPECT_EQ(daemon_->reload(web_of_both("snat = \"masquerade\"")).exit, 0);
  EXPECT_EQ(doctor(*daemon_).status, 0) << "with masquerade the server needs no route";
}

TEST_F(DoctorTest, NamesAServerThatDropsClients) {
  start();
  on_server(fmt::format("tcp dport 8443 ip saddr != {} drop", Lab::gateway_address(Host::primary).text()));
  expect_trap("server-drops-clients", HasSubstr("on the server"));
}

TEST_F(DoctorTest, NamesAServerThatRefusesClients) {
  start();
  on_server(fmt::format("tcp dport 8443 ip saddr != {} reject with tcp reset", Lab::gateway_address(Host::primary).text()));
  expect_trap("clients-refused", HasSubstr("on the server"));
}

TEST_F(DoctorTest, NamesAListenAddressThatNobodyOwns) {
  const std::string own = Lab::gateway_address(Host::client).text();
  const std::string address = own.substr(0, own.rfind('.')) + ".77";
  start(fast_service({.listen = address + ":443/tcp"}));
  // A machine that had it a while ago is no owner.
  lab().must(Host::gateway, fmt::format("ip neigh replace {} lladdr 02:00:00:00:00:01 dev to-client nud stale", address));
  expect_trap("listen-address-unowned", HasSubstr(fmt::format("ip address add {}/32 dev to-client", address)), "warning");
  lab().must(Host::client, fmt::format("ip address add {}/32 dev eth0", address));
  const Examined elsewhere = doctor(*daemon_);
  EXPECT_EQ(elsewhere.status, 0) << elsewhere.reply.dump(1);
  EXPECT_THAT(elsewhere.remedy("listen-address-elsewhere"), HasSubstr(address)) << "nobody had asked for it before";
}

TEST_F(DoctorTest, NamesASourceAddressThatNobodyOwns) {
  const std::string own = Lab::gateway_address(Host::primary).text();
  const std::string address = own.substr(0, own.rfind('.')) + ".99";
  start(fast_service({.extra = fmt::format("snat = \"{}\"", address)}));
  expect_trap("snat-address-unowned", HasSubstr(fmt::format("ip address add {}/32 dev to-primary", address)));
}

TEST_F(DoctorTest, NamesAForwardChainThatDrops) {
  start();
  lab().must(Host::gateway, "nft add table ip f && nft 'add chain ip f forward { type filter hook forward priority 0; policy drop; }'");
  expect_trap("forward-drop", HasSubstr("nft insert rule ip f forward"));
}

TEST_F(DoctorTest, OnlyWarnsOfRulesThatNameInterfaces) {
  start();
  lab().must(Host::gateway, "nft add table ip f && nft 'add chain ip f forward { type filter hook forward priority 0; policy drop; }' && "
                            "nft add rule ip f forward iifname { \"to-client\", \"to-backup\" } accept && "
                            "nft add rule ip f forward ct state established accept");
  expect_trap("forward-drop", HasSubstr("ct original proto-dst 443 accept"), "warning");
  EXPECT_EQ(doctor(*daemon_).find("forward-drop")->at("seen_by"), "hanatd's own client by hanat-c0");
}

TEST_F(DoctorTest, RealClientsThatAreServedOutweighHanatdsOwn) {
  start();
  on_server("tcp dport 8443 ip saddr 198.19.0.0/16 drop");
  std::jthread clients([this](const std::stop_token& stop) {
    while (!stop.stop_requested()) static_cast<void>(connect_once(lab(), Host::client, Lab::vip(443)));
  });
  const Examined examined = doctor(*daemon_);
  clients.request_stop();
  EXPECT_EQ(examined.status, 1) << examined.reply.dump(1);
  EXPECT_EQ(examined.reply.at("checked").at(0).at("served"), true);
}

TEST_F(DoctorTest, WarnsOfBridgesWhosePacketsPassIptables) {
  start();
  lab().must(Host::gateway, "ip link add br0 type bridge && ip link set to-backup master br0 && ip link set br0 up && ip address flush dev "
                            "to-backup && ip address add 198.18.12.1/24 dev br0");
  lab().sysctl(Host::gateway, "net.bridge.bridge-nf-call-iptables", "1");
  EXPECT_EQ(
      daemon_
          ->reload(fmt::format("[service.web]\nlisten = \"203.0.113.10:443/tcp\"\nprimary = \"{}\"\nsnat = \"hairpin\"\nprobe = {{ "
                               "type = \"icmp\", interval = \"50ms\", timeout = \"200ms\" }}\nup = {{ passes = 1, stable_for = \"0s\" }}\n",
                               to_text(Lab::endpoint(Host::backup, 8443))))
          .exit,
      0);
  TcpServer backup(lab(), Host::backup, 8443, "backup");
  daemon_->wait_for([](const Status& status) { return server(service(status, "web"), "primary").health == "up"; });
  expect_trap("bridge-nf", HasSubstr("net.bridge.bridge-nf-call-iptables=0"), "warning");
  lab().must(Host::gateway, "bridge link set dev to-backup hairpin on");
  EXPECT_EQ(doctor(*daemon_).status, 0) << "the other remedy";
}

TEST_F(DoctorTest, LeavesNoConnectionAtTheServer) {
  server_.emplace(lab(), Host::primary, 8443, "primary");
  daemon_.emplace(lab(), fmt::format("[service.web]\nlisten = \"203.0.113.10:443/tcp\"\nprimary = \"{}\"\n"
                                     "probe = {{ type = \"icmp\", interval = \"50ms\", timeout = \"200ms\" }}\n",
                                     to_text(Lab::endpoint(Host::primary, 8443))));
  daemon_->wait_target("web", "primary");
  EXPECT_EQ(doctor(*daemon_).status, 0);
  EXPECT_EQ(lab().must(Host::primary, "ss -Hntan state all '( sport = :8443 )' | grep -v LISTEN || true"), "");
  EXPECT_EQ(server_->accepted(), 0U);
}

TEST_F(DoctorTest, RemovesTheLinkThatAKilledDaemonLeft) {
  kill_while_it_examines();
  daemon_->start();
  EXPECT_THAT(links_of_gateway(lab()), testing::Not(HasSubstr("hanat-c")));
}

TEST_F(DoctorTest, TheLinkThatAKilledDaemonLeftGoesWithItsTable) {
  kill_while_it_examines();
  lab().must(Host::gateway, hanatd_program() + " --remove");
  EXPECT_THAT(links_of_gateway(lab()), testing::Not(HasSubstr("hanat-c")));
}

TEST_F(DoctorTest, OthersAreServedMeanwhile) {
  options.return_routes = false;
  Hanatd& daemon = start();
  std::atomic<bool> over = false;
  std::thread examination([&] {
    static_cast<void>(daemon.ctl({"doctor"}));
    over = true;
  });
  std::size_t served = 0;
  while (!over) {
    static_cast<void>(daemon.status());
    ++served;
  }
  examination.join();
  EXPECT_GT(served, 20U);
}

} // namespace
} // namespace hanat::test
