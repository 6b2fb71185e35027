// Services of a group: a TCP and a UDP service on the same two hosts, which are never on different ones. Not here: what a group decides
// (group_test of the unit tests), its errors (config_group_errors_test).
#include <cerrno>
#include <chrono>
#include <functional>
#include <new>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/netfilter/nfnetlink.h>

#include "tests/netns/lab/fd.hpp"
#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"
#include "tests/netns/lab/synth.hpp"
#include "tests/shim/netlink_faults.hpp"

namespace hanat::test {
namespace {

using std::this_thread::sleep_for;
using testing::HasSubstr;
using testing::Not;

const std::string voice_group = "[group.voice]\nservices = [\"sip\", \"rtp\"]\n";

std::string sip_service(const std::string& extra = {}) {
  return fast_service({.name = "sip", .listen = "203.0.113.10:5060/tcp", .extra = extra});
}
std::string rtp_service(const std::string& extra = {}) {
  return fast_service(
      {.name = "rtp", .listen = "203.0.113.10:7078/udp", .port = 7078, .probe = R"(type = "udp", send = "?")", .extra = extra});
}
std::string voice(const std::string& extra = {}) { return sip_service(extra) + rtp_service(extra) + voice_group; }

class Group : public testing::Test {
protected:
  static auto both_on(const std::string& target) {
    return [=](const Status& now) {
      return service(now, "sip").target == target && service(now, "rtp").target == target && now.daemon.kernel == "in-step";
    };
  }
  static bool all_up(const Status& now) {
    for (const char* name : {"sip", "rtp"})
      for (const ServerStatus& each : service(now, name).servers)
        if (each.health != "up") return false;
    return true;
  }
  static void start_in_peace(const Hanatd& hanatd) {
    hanatd.wait_for(both_on("primary"));
    hanatd.wait_for(all_up);
  }
  Attempt call(milliseconds deadline = milliseconds{3000}) { return connect_once(lab, Host::client, Lab::vip(5060), deadline); }
  Attempt media(milliseconds deadline = milliseconds{1000}) { return UdpClient{lab, Host::client, Lab::vip(7078)}.ask(deadline); }
  void expect_both_answer(const std::string& name) {
    EXPECT_EQ(call().text, name);
    EXPECT_EQ(media().text, name);
  }

  Lab lab;
  TcpServer sip_primary{lab, Host::primary, 8443, "primary"}, sip_backup{lab, Host::backup, 8443, "backup"};
  UdpServer rtp_primary{lab, Host::primary, 7078, "primary"}, rtp_backup{lab, Host::backup, 7078, "backup"};
};

/// What `nft monitor` tells, one piece a transaction.
class Transactions {
public:
  explicit Transactions(Lab& lab)
      : lab_{lab}, file_{memfd_create("nft-monitor", MFD_CLOEXEC)},
        monitor_{lab.spawn(Host::gateway, {"nft", "monitor"}, file_.get(), file_.get())} {
    mark("begin");
  }
  /// How many transactions since the start gave a target to both services; none gave it to one of them.
  int flips_of_both() {
    int flips = 0;
    for (const std::string& each : all()) {
      const bool sip = each.find("add element inet hanat dnat4 { 203.0.113.10 . tcp . 5060") != std::string::npos;
      const bool rtp = each.find("add element inet hanat dnat4 { 203.0.113.10 . udp . 7078") != std::string::npos;
      EXPECT_EQ(sip, rtp) << each;
      flips += sip && rtp ? 1 : 0;
    }
    return flips;
  }

private:
  std::vector<std::string> all() {
    mark("end");
    const std::string text = read();
    std::vector<std::string> pieces;
    for (std::size_t from = 0, at = text.find("# new generation"); at != std::string::npos; at = text.find("# new generation", from)) {
      pieces.push_back(text.substr(from, at - from));
      from = text.find('\n', at) + 1;
    }
    return pieces;
  }
  std::string read() const {
    std::string text(1 << 20, '\0');
    const auto length = pread(file_.get(), text.data(), text.size(), 0);
    text.resize(length < 0 ? 0 : static_cast<std::size_t>(length));
    return text;
  }
  /// A table of its own tells that the monitor has come so far.
  void mark(const std::string& name) {
    for (int tries = 0; tries < 500; ++tries) {
      lab_.must(Host::gateway, fmt::format("nft add table ip {0}; nft delete table ip {0}", name));
      if (read().find("delete table ip " + name) != std::string::npos) return;
      sleep_for(milliseconds{5});
    }
    ADD_FAILURE() << "nft monitor is silent";
  }

  Lab& lab_;
  Fd file_;
  Process monitor_;
};

TEST_F(Group, OneServiceDiesAndBothMoveInOneTransactionAndBackAgain) {
  Hanatd hanatd{lab, voice()};
  start_in_peace(hanatd);
  expect_both_answer("primary");
  TcpClient talking{lab, Host::client, Lab::vip(5060)};
  UdpClient speaking{lab, Host::client, Lab::vip(7078), 40000};
  ASSERT_EQ(talking.ask().text, "primary");
  ASSERT_EQ(speaking.ask().text, "primary");
  Transactions transactions{lab};
  rtp_primary.kill(); // sip's primary lives on
  const Status moved = hanatd.wait_for(both_on("backup"));
  expect_both_answer("backup");
  EXPECT_EQ(talking.ask().result, Result::reset) << "its server lives, and is left all the same";
  hanatd.wait_for([](const Status& now) { return service(now, "rtp").last_flip->cut.udp > 0; });
  EXPECT_EQ(speaking.ask().text, "backup") << "the same socket";
  EXPECT_EQ(server(service(moved, "sip"), "primary").health, "up");
  EXPECT_EQ(server(service(moved, "sip"), "primary").group_health, "down");
  EXPECT_EQ(service(moved, "sip").group, "voice");
  EXPECT_THAT(hanatd.log(), HasSubstr("sip: new connections go from primary (198.18.11.2:8443) to backup (198.18.12.2:8443): failover"));
  EXPECT_THAT(hanatd.log(), HasSubstr("; group voice moves together"));
  const std::string shown = hanatd.ctl({}).out;
  EXPECT_THAT(shown, HasSubstr("(group voice)"));
  EXPECT_THAT(shown, HasSubstr("primary is up here, but down in the group; nothing to fail over to"));

  rtp_primary.start();
  hanatd.wait_for(both_on("primary"));
  expect_both_answer("primary");
  for (const char* name : {"sip", "rtp"}) EXPECT_EQ(service(hanatd.status(), name).last_flip->why, "failback");
  EXPECT_EQ(transactions.flips_of_both(), 2);
}

TEST_F(Group, NoServerThatIsUpForAllIsNoServerForAny) {
  Hanatd hanatd{lab, voice()};
  start_in_peace(hanatd);
  sip_backup.kill();
  hanatd.wait_for([](const Status& now) { return server(service(now, "sip"), "backup").health == "down"; });
  rtp_primary.kill();
  const Status none = hanatd.wait_for(both_on("none"));
  EXPECT_EQ(service(none, "sip").why, "no-server-up");
  EXPECT_EQ(call().result, Result::refused);
  EXPECT_EQ(media().result, Result::refused);
  EXPECT_THAT(hanatd.ctl({}).out, HasSubstr("no server is up for all of group voice"));
  const auto began = TestClock::now();
  sip_backup.start(); // with no target, passes are enough
  hanatd.wait_for(both_on("backup"));
  EXPECT_LT(TestClock::now() - began, milliseconds{400});
  expect_both_answer("backup");
}

TEST_F(Group, WhatIsForcedIsForcedForAll) {
  Hanatd hanatd{lab, voice()};
  start_in_peace(hanatd);
  const Output forced = hanatd.ctl({"force-backup", "rtp", "--reason", "new cards"});
  EXPECT_EQ(forced.exit, 0) << forced.err;
  EXPECT_THAT(forced.out, HasSubstr("rtp (group voice): traffic goes to backup (198.18.12.2:7078)"));
  EXPECT_THAT(forced.out, HasSubstr("sip (group voice): traffic goes to backup (198.18.12.2:8443)"));
  expect_both_answer("backup");
  for (const char* name : {"sip", "rtp"}) EXPECT_EQ(service(hanatd.status(), name).forced->reason, "new cards");
  hanatd.restart();
  hanatd.wait_for(both_on("backup"));
  for (const char* name : {"sip", "rtp"}) EXPECT_EQ(service(hanatd.status(), name).why, "forced");
  ASSERT_EQ(hanatd.reload(voice("nudge = false")).exit, 0);
  EXPECT_THAT(hanatd.log(), Not(HasSubstr("applies to both"))) << "it is one override, after the restart too";
  hanatd.wait_for(all_up);
  sip_primary.kill();
  hanatd.wait_for([](const Status& now) { return server(service(now, "sip"), "primary").health == "down"; });
  const Output refused = hanatd.ctl({"force-primary", "rtp"});
  EXPECT_EQ(refused.exit, 1);
  EXPECT_THAT(refused.err, HasSubstr("sip: primary (198.18.11.2:8443) is down"));
  EXPECT_EQ(hanatd.ctl({"auto", "sip"}).exit, 0);
  for (const char* name : {"sip", "rtp"}) EXPECT_FALSE(service(hanatd.status(), name).forced) << name;
  expect_both_answer("backup");
  sip_primary.start();
  hanatd.wait_for(both_on("primary"));

  ASSERT_EQ(hanatd.ctl({"force-backup", "--all", "--for", "1s"}).exit, 0);
  hanatd.wait_for(both_on("backup"));
  hanatd.wait_for(both_on("primary")); // both have expired
  for (const char* name : {"sip", "rtp"}) EXPECT_FALSE(service(hanatd.status(), name).forced) << name;
}

TEST_F(Group, ARestartAdoptsAndServicesFoundApartComeTogether) {
  Hanatd hanatd{lab, sip_service("failback = \"manual\"") + rtp_service("failback = \"manual\"")};
  start_in_peace(hanatd);
  rtp_primary.kill();
  hanatd.wait_target("rtp", "backup");
  EXPECT_EQ(service(hanatd.status(), "sip").target, "primary") << "no group yet";
  rtp_primary.start();
  hanatd.wait_for(all_up); // what is known to be down when it stops would be so behind the start, too
  hanatd.stop();
  hanatd.write_config(voice("failback = \"manual\""));
  hanatd.start();
  const Status merge_health = hanatd.wait_for(both_on("primary"));
  EXPECT_EQ(service(merge_health, "sip").flips, 0U);
  EXPECT_EQ(service(merge_health, "rtp").flips, 1U);
  expect_both_answer("primary");

  TcpClient talking{lab, Host::client, Lab::vip(5060)};
  ASSERT_EQ(talking.ask().text, "primary");
  hanatd.restart();
  hanatd.wait_for(all_up);
  for (const char* name : {"sip", "rtp"}) EXPECT_EQ(service(hanatd.status(), name).flips, 0U) << name;
  EXPECT_EQ(talking.ask().text, "primary") << "adopted, nothing was cut";
}

TEST_F(Group, AReloadMakesGroupsAndSplitsThem) {
  const std::string manual = "failback = \"manual\"";
  Hanatd hanatd{lab, sip_service(manual)};
  hanatd.wait_target("sip", "primary");
  sip_primary.kill();
  hanatd.wait_target("sip", "backup");
  sip_primary.start();
  ASSERT_EQ(hanatd.reload(voice(manual)).exit, 0);
  hanatd.wait_for(both_on("backup")); // rtp is new, and follows
  hanatd.wait_for(all_up);
  expect_both_answer("backup");
  ASSERT_EQ(hanatd.ctl({"force-primary", "sip"}).exit, 0);
  hanatd.wait_for(both_on("primary"));

  ASSERT_EQ(hanatd.reload(sip_service(manual) + rtp_service(manual)).exit, 0);
  const Status apart = hanatd.status();
  for (const char* name : {"sip", "rtp"}) {
    EXPECT_FALSE(service(apart, name).group);
    EXPECT_EQ(service(apart, name).forced->target, "primary") << "each keeps the override";
  }
  ASSERT_EQ(hanatd.ctl({"auto", "rtp"}).exit, 0);
  rtp_primary.kill();
  hanatd.wait_target("rtp", "backup");
  EXPECT_EQ(service(hanatd.status(), "sip").target, "primary");
  EXPECT_EQ(call().text, "primary");
  EXPECT_EQ(media().text, "backup");

  ASSERT_EQ(hanatd.reload(voice(manual)).exit, 0); // sip's override, the only one, rules both
  hanatd.wait_for(both_on("primary"));
  EXPECT_THAT(hanatd.log(), HasSubstr("rtp: moves together with sip (group voice): the override of sip applies to both"));
  EXPECT_EQ(service(hanatd.status(), "rtp").forced->target, "primary");
}

TEST_F(Group, OneObservedGroupTellsOneStory) {
  Hanatd hanatd{lab, voice("mode = \"observe\"")};
  const auto both_would = [](const std::string& target) {
    return [=](const Status& now) { return service(now, "sip").would_target == target && service(now, "rtp").would_target == target; };
  };
  hanatd.wait_for(both_would("primary"));
  hanatd.wait_for(all_up);
  rtp_primary.kill();
  hanatd.wait_for(both_would("backup"));
  EXPECT_THAT(hanatd.log(),
              HasSubstr("sip: observe: would fail over from primary (198.18.11.2:8443) to backup (198.18.12.2:8443): failover"));
  const Output refused = hanatd.ctl({"force-backup", "sip"});
  EXPECT_EQ(refused.exit, 1);
  EXPECT_THAT(refused.err, HasSubstr("Set mode = \"auto\" for sip and the rest of group voice"));
  EXPECT_THAT(lab.must(Host::gateway, "nft list map inet hanat dnat4"), Not(HasSubstr("203.0.113.10")));
}

/// hanatd with a kernel that can fail.
class FailingGroup : public Group {
protected:
  FailingGroup() : memory_(checked(memfd_create("netlink-fault", MFD_CLOEXEC), "memfd_create")) {
    checked(ftruncate(memory_.get(), sizeof(NetlinkFault)), "ftruncate");
    void* const mapped = mmap(nullptr, sizeof(NetlinkFault), PROT_READ | PROT_WRITE, MAP_SHARED, memory_.get(), 0);
    checked(mapped == MAP_FAILED ? -1 : 0, "mmap");
    fault_ = new (mapped) NetlinkFault{};
  }
  ~FailingGroup() override { munmap(fault_, sizeof(NetlinkFault)); }
  std::vector<std::string> environment() const {
    return {"env", std::string{"LD_PRELOAD="} + HANAT_NETLINK_FAULTS,
            fmt::format("{}=/proc/{}/fd/{}", faults_variable, getpid(), memory_.get())};
  }

  void begin_fault(std::uint32_t subsystem, Requests requests, FaultAt at, int error, std::uint32_t times, std::uint32_t pass = 0) {
    fault_->hits = 0;
    fault_->pass = pass;
    fault_->at = at;
    fault_->error = error;
    fault_->requests = requests;
    fault_->subsystem = subsystem;
    fault_->times = times;
  }

  Fd memory_;
  NetlinkFault* fault_ = nullptr;
};

TEST_F(FailingGroup, AKernelThatRefusesHitsAllOfAGroupOrNone) {
  // web is beside the group: what is refused together is tried once each, the group as one.
  Hanatd hanatd{lab, voice() + fast_service({.listen = "203.0.113.11:443/tcp"}), {.before = environment()}};
  start_in_peace(hanatd);
  hanatd.wait_target("web", "primary");
  for (const std::uint32_t refusals : {1U, 2U, 3U}) {
    SCOPED_TRACE(refusals);
    Transactions transactions{lab};
    begin_fault(NFNL_SUBSYS_NFTABLES, Requests::changes, FaultAt::answer, EPERM, refusals);
    ASSERT_EQ(hanatd.ctl({"force-backup", "--all"}).exit, 0);
    hanatd.wait_for(both_on("backup"));
    hanatd.wait_target("web", "backup");
    fault_->times = 0;
    EXPECT_GE(fault_->hits, 1U);
    expect_both_answer("backup");
    ASSERT_EQ(hanatd.ctl({"force-primary", "--all"}).exit, 0);
    hanatd.wait_for(both_on("primary"));
    EXPECT_EQ(transactions.flips_of_both(), 2) << "there and back";
  }
}

/// Keeps making conntrack entries of rtp's old target, so that the sweeps of its cut go on.
class OldMedia {
public:
  explicit OldMedia(Lab& lab) : lab_{lab}, thread_{[this](const std::stop_token& end) { run(end); }} {}

private:
  void run(const std::stop_token& end) {
    const Mapping old{vip("203.0.113.10", 7078, Protocol::udp), Lab::endpoint(Host::primary, 7078)};
    for (std::size_t made = 0; !end.stop_requested(); ++made, sleep_for(milliseconds{50}))
      lab_.in(Host::gateway, [&] { synthesise(flows_of(old, 1, made)); });
  }
  Lab& lab_;
  std::jthread thread_;
};

/// Of the flip before, only rtp's flows are still being cut when it is taken back, and the kernel takes its time: sip must not go alone.
TEST_F(FailingGroup, AFlipThatWaitsForACutOfOneServiceWaitsForAll) {
  Hanatd hanatd{lab, sip_service("on_forced = \"keep\"") + rtp_service() + voice_group, {.before = environment()}};
  start_in_peace(hanatd);
  Transactions transactions{lab};
  ASSERT_EQ(hanatd.ctl({"force-backup", "sip"}).exit, 0);
  std::optional<OldMedia> media_of_before{lab};
  // Once sip's drain is over, and the cut of what came before the rules with it (3 s after the start), every dump is one of rtp's sweeps.
  hanatd.wait_for([](const Status& now) {
    return service(now, "sip").last_flip->cut_ms && service(now, "sip").draining.empty() && now.daemon.uptime_s > 3.5;
  });
  begin_fault(NFNL_SUBSYS_CTNETLINK, Requests::dumps, FaultAt::silence, 0, 1);
  for (int wait = 0; wait < 2000 && fault_->hits == 0; ++wait) sleep_for(milliseconds{5});
  ASSERT_EQ(fault_->hits, 1U) << "rtp's flows are looked for every second while some are found";
  media_of_before.reset();
  const Output back = hanatd.ctl({"force-primary", "sip"});
  EXPECT_EQ(back.exit, 0);
  EXPECT_THAT(back.out, HasSubstr("sip (group voice): is forced to primary")) << "and follows in a moment";
  EXPECT_EQ(service(hanatd.status(), "sip").target, "backup");
  hanatd.wait_for(both_on("primary"));
  expect_both_answer("primary");
  EXPECT_EQ(transactions.flips_of_both(), 2);
}

} // namespace
} // namespace hanat::test
