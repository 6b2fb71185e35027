// The kernel fails hanatd while servers die: answers get lost, requests are refused, nothing is said at all. A library preloaded into
// hanatd makes the faults (tests/shim), in front of a kernel that is otherwise the real one.
// Not here: what the netlink socket makes of strange bytes (netlink_test), a table that somebody else owns (resilience_test).
#include <cerrno>
#include <chrono>
#include <cstring>
#include <exception>
#include <functional>
#include <future>
#include <new>
#include <ostream>
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
#include "tests/netns/lab/load.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"
#include "tests/shim/netlink_faults.hpp"

namespace hanat::test {
namespace {

using std::this_thread::sleep_for;
using testing::HasSubstr;
using testing::Not;

constexpr std::uint32_t until_ended = 1'000'000'000;

struct Fault {
  FaultAt at;
  int error;
  std::uint32_t times = 1;
  Requests requests = Requests::changes;
  std::uint32_t pass = 0;
};

/// The memory that the library in hanatd looks into.
class Faults {
public:
  Faults() : memory_(checked(memfd_create("netlink-fault", MFD_CLOEXEC), "memfd_create")) {
    checked(ftruncate(memory_.get(), sizeof(NetlinkFault)), "ftruncate");
    void* const mapped = mmap(nullptr, sizeof(NetlinkFault), PROT_READ | PROT_WRITE, MAP_SHARED, memory_.get(), 0);
    checked(mapped == MAP_FAILED ? -1 : 0, "mmap");
    shared_ = new (mapped) NetlinkFault{};
  }
  ~Faults() { munmap(shared_, sizeof(NetlinkFault)); }
  Faults(const Faults&) = delete;
  Faults& operator=(const Faults&) = delete;

  /// The words that start a program under the faults.
  std::vector<std::string> environment() const {
    return {"env", std::string{"LD_PRELOAD="} + HANAT_NETLINK_FAULTS,
            fmt::format("{}=/proc/{}/fd/{}", faults_variable, getpid(), memory_.get())};
  }
  void begin(std::uint32_t subsystem, const Fault& fault) {
    shared_->hits = 0;
    shared_->at = fault.at;
    shared_->error = fault.error;
    shared_->requests = fault.requests;
    shared_->pass = fault.pass;
    shared_->subsystem = subsystem;
    shared_->times = fault.times;
  }
  void end() { shared_->times = 0; }
  std::uint32_t hits() const { return shared_->hits; }

private:
  Fd memory_;
  NetlinkFault* shared_;
};

Endpoint listener(const char* address, std::uint16_t port) { return {Address::parse(address).value(), port}; }

/// Two services, each with two servers, and hanatd with a kernel that can fail.
struct Site {
  explicit Site(std::vector<std::string> arguments = {})
      : hanatd(lab,
               fast_service({.listen = R"(203.0.113.10:443/tcp", "203.0.113.10:443/udp)"}) +
                   fast_service({.name = "other", .listen = "203.0.113.11:444/tcp", .port = 8080}),
               {.arguments = std::move(arguments), .before = faults.environment()}) {
    for (const char* name : {"web", "other"}) hanatd.wait_target(name, "primary");
    hanatd.wait_for([](const Status& status) {
      return server(service(status, "web"), "backup").health == "up" && server(service(status, "other"), "backup").health == "up";
    });
    pid = hanatd.pid();
  }

  std::string who_answers(const Endpoint& vip) { return connect_once(lab, Host::client, vip).text; }
  /// Until hanatd has met the fault so often.
  void wait_hits(std::uint32_t hits, milliseconds deadline = milliseconds{5000}) {
    for (const auto end = TestClock::now() + deadline; faults.hits() < hits; sleep_for(milliseconds{1}))
      if (TestClock::now() > end) throw std::runtime_error(fmt::format("{} faults met\n{}", faults.hits(), hanatd.log()));
  }

  /// Both services are on their backups in the status, in the table and for clients, by one flip each; the daemon is the same and well.
  void expect_both_on_backup(milliseconds deadline = milliseconds{5000}) {
    for (const char* name : {"web", "other"}) hanatd.wait_target(name, "backup", deadline);
    const Status status = hanatd.status();
    for (const char* name : {"web", "other"}) {
      EXPECT_EQ(service(status, name).flips, 1U) << name;
      EXPECT_EQ(server(service(status, name), "backup").health, "up") << name;
    }
    EXPECT_EQ(who_answers(web), "backup");
    EXPECT_EQ(who_answers(other), "backup");
    const std::string table = lab.must(Host::gateway, "nft list map inet hanat dnat4");
    for (const int port : {8443, 8080}) {
      EXPECT_THAT(table, HasSubstr(fmt::format("{} . {}", Lab::address(Host::backup).text(), port)));
      EXPECT_THAT(table, Not(HasSubstr(Lab::address(Host::primary).text())));
    }
    EXPECT_TRUE(hanatd.running());
    EXPECT_EQ(status.daemon.pid, pid) << "another daemon";
    EXPECT_FALSE(status.daemon.kernel_error) << "the fault is over";
  }

  Lab lab;
  Faults faults;
  TcpServer web_primary{lab, Host::primary, 8443, "primary"}, web_backup{lab, Host::backup, 8443, "backup"};
  TcpServer other_primary{lab, Host::primary, 8080, "primary"}, other_backup{lab, Host::backup, 8080, "backup"};
  Endpoint web = listener("203.0.113.10", 443), other = listener("203.0.113.11", 444);
  Hanatd hanatd;
  int pid = -1;
};

// ---- changes of the table

struct TableFault {
  const char* name;
  Fault fault;
  const char* told; // in the journal; "": it may be; nullptr: it is overcome without a word
};
void PrintTo(const TableFault& fault, std::ostream* stream) { *stream << fault.name; }

class NetlinkFaults : public testing::TestWithParam<TableFault> {};

INSTANTIATE_TEST_SUITE_P(
    , NetlinkFaults,
    testing::Values(TableFault{"ALostAnswer", {.at = FaultAt::lost, .error = ENOBUFS}, ""},
                    TableFault{"AnAnswerThatComesTooLate", {.at = FaultAt::receive, .error = ENOBUFS}, ""},
                    TableFault{"LostAnswers", {.at = FaultAt::lost, .error = ENOBUFS, .times = 2}, ""},
                    TableFault{"ALostRequest", {.at = FaultAt::request, .error = ENOBUFS}, "No buffer space"},
                    TableFault{"LostRequests", {.at = FaultAt::request, .error = ENOBUFS, .times = 3}, "No buffer space"},
                    TableFault{"AnInterruptedReceive", {.at = FaultAt::receive, .error = EINTR}, nullptr},
                    TableFault{"AnInterruptedSend", {.at = FaultAt::send, .error = EINTR}, "Interrupted system call"},
                    TableFault{"ATransactionToRestart", {.at = FaultAt::answer, .error = ERESTART, .times = 3}, "should be restarted"},
                    TableFault{"ATransactionToTryAgain", {.at = FaultAt::answer, .error = EAGAIN}, "temporarily unavailable"},
                    TableFault{"ABatchThatIsTooLong", {.at = FaultAt::send, .error = EMSGSIZE, .times = 2}, "Message too long"},
                    TableFault{"ASendThatIsForbidden", {.at = FaultAt::send, .error = EPERM, .times = 2}, "Operation not permitted"},
                    TableFault{"AChangeThatIsForbidden", {.at = FaultAt::answer, .error = EPERM, .times = 2}, "Operation not permitted"},
                    TableFault{"NoMemoryForTheSecondBatch", {.at = FaultAt::answer, .error = ENOMEM, .pass = 1}, ""}),
    [](const auto& fault) { return std::string{fault.param.name}; });

TEST_P(NetlinkFaults, DoNotKeepServicesFromTheirBackups) {
  const TableFault& fault = GetParam();
  Site site;
  Load load{site.lab, Host::client, site.web, {.per_second = 500, .duration = milliseconds{20'000}}};
  sleep_for(milliseconds{50});
  site.faults.begin(NFNL_SUBSYS_NFTABLES, fault.fault);
  const auto death = TestClock::now();
  site.web_primary.kill();
  if (fault.fault.pass == 0) site.wait_hits(1);
  site.other_primary.kill();
  site.wait_hits(fault.fault.times);
  site.expect_both_on_backup();
  sleep_for(milliseconds{200}); // what a late comparison of the table would undo, clients would see

  const LoadResult result = load.stop();
  std::optional<TestClock::time_point> reached;
  std::size_t lost_again = 0;
  for (const Connect& connect : result.connects) {
    const bool by_backup = connect.result == Result::answered && connect.by == "backup";
    if (by_backup && !reached) reached = connect.started + connect.ended;
    if (!by_backup && reached && connect.started > *reached) ++lost_again;
  }
  ASSERT_TRUE(reached) << result;
  EXPECT_EQ(lost_again, 0U) << "a client was on the backup, a later one was not: " << result;
  fmt::print("from the death to the backup's first answer: {} ms\n", std::chrono::duration_cast<milliseconds>(*reached - death).count());
  const std::string log = site.hanatd.log();
  if (fault.told != nullptr) {
    EXPECT_THAT(log, HasSubstr(fault.told));
  } else {
    EXPECT_THAT(log, Not(HasSubstr("the kernel")));
  }
  EXPECT_THAT(log, Not(HasSubstr("find out what else"))) << "nobody else did anything";
}

TEST(NetlinkFaultsLast, ARefusalIsShownUntilItEndsAndTheFlipsComeThen) {
  Site site;
  site.faults.begin(NFNL_SUBSYS_NFTABLES, {.at = FaultAt::answer, .error = EPERM, .times = until_ended});
  site.web_primary.kill();
  const Status failed = site.hanatd.wait_for([](const Status& status) { return status.daemon.kernel == "failed"; });
  EXPECT_THAT(failed.daemon.kernel_error.value_or(""), HasSubstr("Operation not permitted"));
  site.other_primary.kill();
  for (int look = 0; look < 6; ++look) {
    const auto began = TestClock::now();
    const Status status = site.hanatd.status();
    EXPECT_LT(TestClock::now() - began, milliseconds{500}) << "deaf";
    EXPECT_NE(status.daemon.kernel, "in-step"); // "repairing" for the moment in which the refused change is tried again
    EXPECT_EQ(service(status, "web").target, "primary") << "status says what the kernel does";
    EXPECT_EQ(server(service(status, "web"), "backup").health, "up");
    sleep_for(milliseconds{150});
  }
  const Output shown = site.hanatd.ctl({});
  EXPECT_THAT(shown.out, HasSubstr("the kernel is not in sync"));
  EXPECT_THAT(shown.out, HasSubstr("Operation not permitted"));
  site.faults.end();
  site.expect_both_on_backup();
  EXPECT_THAT(site.hanatd.log(), HasSubstr("the kernel accepts changes again"));
  EXPECT_THAT(site.hanatd.ctl({}).out, Not(HasSubstr("not in sync")));
}

TEST(NetlinkFaultsRead, ATableThatCannotBeReadBackIsReadAgainAndTheFlipsCome) {
  struct {
    Fault fault;
    const char* told;
  } const faults[] = {
      {{.at = FaultAt::answer, .error = EPERM, .times = 3, .requests = Requests::dumps}, "Operation not permitted"},
      {{.at = FaultAt::answer, .error = ENOMEM, .times = 1, .requests = Requests::dumps, .pass = 2}, "Cannot allocate memory"},
      {{.at = FaultAt::lost, .error = ENOBUFS, .times = 2, .requests = Requests::dumps}, "No buffer space"},
      {{.at = FaultAt::send, .error = EMSGSIZE, .times = 2, .requests = Requests::dumps},
       "Message too long"}, // one may meet the nudge's dump
  };
  for (const auto& [fault, told] : faults) {
    SCOPED_TRACE(told);
    Site site{{"--shared-table"}};
    site.faults.begin(NFNL_SUBSYS_NFTABLES, fault);
    site.lab.must(Host::gateway, "nft add element inet hanat vips4 '{ 203.0.113.99 . tcp . 99 }'"); // makes hanatd look
    site.web_primary.kill();
    site.wait_hits(1);
    site.other_primary.kill();
    site.wait_hits(fault.times);
    site.expect_both_on_backup();
    EXPECT_THAT(site.hanatd.log(), HasSubstr(told));
    EXPECT_THAT(site.lab.must(Host::gateway, "nft list set inet hanat vips4"), Not(HasSubstr("203.0.113.99"))) << "repaired in the end";
  }
}

// ---- the cut

struct CutFault {
  const char* name;
  Fault fault;
  const char* told;
};

/// The primary's machine hangs; the flows on it are cut in the end, whatever the kernel says first.
void expect_old_flows_go(const CutFault& fault) {
  SCOPED_TRACE(fault.name);
  Site site;
  UdpServer udp_primary{site.lab, Host::primary, 8443, "primary"}, udp_backup{site.lab, Host::backup, 8443, "backup"};
  std::vector<TcpClient> streams;
  std::vector<UdpClient> datagrams;
  for (int count = 0; count < 5; ++count) {
    streams.emplace_back(site.lab, Host::client, site.web);
    EXPECT_EQ(streams.back().ask().text, "primary");
    datagrams.emplace_back(site.lab, Host::client, site.web);
    EXPECT_THAT(datagrams.back().ask().text, HasSubstr("primary"));
  }
  wait_filters_proven(site.hanatd); // the fault is for the cut
  site.faults.begin(NFNL_SUBSYS_CTNETLINK, fault.fault);
  const auto death = TestClock::now();
  site.lab.silent(Host::primary, true);
  site.expect_both_on_backup();
  const Status status = site.hanatd.wait_for(
      [](const Status& now) {
        const auto done = [&](const char* name) {
          const auto& flip = service(now, name).last_flip;
          return flip && flip->cut_ms;
        };
        return done("web") && done("other");
      },
      milliseconds{25'000}); // 1 s for a silence, 5 s to the second try, a second to each of its stages
  EXPECT_EQ(site.faults.hits(), fault.fault.times) << "the cut has not met the fault";
  fmt::print("{}: cut {:.1f} s after the death, {} TCP and {} UDP flows counted\n", fault.name,
             std::chrono::duration<double>(TestClock::now() - death).count(), service(status, "web").last_flip->cut.tcp,
             service(status, "web").last_flip->cut.udp);
  const std::string left = site.lab.must(Host::gateway, fmt::format("for p in tcp udp; do conntrack -L -p $p --orig-dst {} --reply-src {} "
                                                                    "2>/dev/null; done",
                                                                    site.web.address.text(), Lab::address(Host::primary).text()));
  EXPECT_EQ(left, "") << "flows to the dead server";
  for (UdpClient& client : datagrams) EXPECT_THAT(client.ask().text, HasSubstr("backup"));
  for (TcpClient& client : streams) EXPECT_EQ(client.ask().result, Result::reset);
  if (fault.told != nullptr) {
    EXPECT_THAT(site.hanatd.log(), HasSubstr(fmt::format("cutting conntrack entries failed: {}", fault.told)));
  } else {
    EXPECT_THAT(site.hanatd.log(), Not(HasSubstr("cutting conntrack entries failed")));
  }
  EXPECT_EQ(service(site.hanatd.status(), "web").flips, 1U);
}

/// The kernel flips the service and does not say so. hanatd waits, deaf; then it finds out, and goes on.
void expect_silence_ends() {
  Site site;
  site.faults.begin(NFNL_SUBSYS_NFTABLES, {.at = FaultAt::silence, .error = 0});
  site.web_primary.kill();
  site.wait_hits(1);
  site.other_primary.kill();
  std::string by;
  for (int tries = 0; tries < 50 && by != "backup"; ++tries) by = site.who_answers(site.web);
  EXPECT_EQ(by, "backup") << "the kernel has done it";
  site.expect_both_on_backup(milliseconds{8000});
  EXPECT_THAT(site.hanatd.log(), Not(HasSubstr("find out what else"))) << "nobody else did anything";
}

/// Each on a thread of its own, in a Lab of its own: they mostly wait.
void at_the_same_time(const std::vector<std::function<void()>>& bodies) {
  std::vector<std::future<void>> running;
  running.reserve(bodies.size());
  for (const auto& body : bodies) running.push_back(std::async(std::launch::async, body));
  for (auto& one : running) try {
      one.get();
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
    }
}

/// A refused cut is tried again after five seconds, and that is what these tests take; all run beside each other.
TEST(NetlinkFaultsThatTakeTime, DelayTheOldFlowsEndOrAFlipAndPreventNeither) {
  constexpr auto dumps = Requests::dumps;
  const std::vector<CutFault> faults = {
      {"a forbidden delete", {.at = FaultAt::answer, .error = EPERM}, "delete conntrack entries: Operation not permitted"},
      {"a delete that cannot be sent", {.at = FaultAt::send, .error = EMSGSIZE}, "delete conntrack entries: Message too long"},
      {"no memory for a delete", {.at = FaultAt::answer, .error = ENOMEM, .pass = 1}, "delete conntrack entries: Cannot allocate memory"},
      {"a delete whose answer is lost", {.at = FaultAt::lost, .error = ENOBUFS}, "delete conntrack entries: No buffer space"},
      {"a refused dump", {.at = FaultAt::answer, .error = ENOMEM, .requests = dumps}, "dump conntrack entries: Cannot allocate memory"},
      {"a dump whose answer is lost", {.at = FaultAt::lost, .error = ENOBUFS, .requests = dumps}, nullptr},
      {"an interrupted dump", {.at = FaultAt::receive, .error = EINTR, .requests = dumps}, nullptr},
      {"a dump without an answer", {.at = FaultAt::silence, .error = 0, .requests = dumps}, "dump conntrack entries: Connection timed out"},
  };
  std::vector<std::function<void()>> bodies = {expect_silence_ends};
  for (const CutFault& fault : faults) bodies.emplace_back([&fault] { expect_old_flows_go(fault); });
  at_the_same_time(bodies);
}

} // namespace
} // namespace hanat::test
