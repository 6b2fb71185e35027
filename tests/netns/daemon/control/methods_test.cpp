// The running daemon against its own interface description: every reply and error in the situations that change them. Not here: the
// description against the structs (unit), who may call what (server_test).
#include "daemon/api/methods.hpp"
#include "daemon/util/wall_time.hpp"

#include <algorithm>
#include <iterator>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"
#include "tests/unit/daemon/api/varlink_idl.hpp"
#include "tests/unit/daemon/served.hpp"

namespace hanat::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

constexpr std::string_view service_interface = "org.varlink.service";
constexpr uid_t nobody = 65534;

const std::string dual_service =
    fmt::format("[service.dual]\nlisten = [\"203.0.113.11:443/tcp\", \"[2001:db8::11]:443/tcp\"]\n"
                "primary = [\"{}\", \"{}\"]\n",
                to_text(Lab::endpoint(Host::primary, 8443)), to_text(Lab::endpoint(Host::primary, 8443, Family::ipv6)));

/// A service with an HTTP probe, one in mode observe, one of two families, and a group whose flows drain.
std::string config() {
  const std::string drain = "on_forced = \"drain 30s\"\n";
  return fast_service(
             {.probe = R"(type = "http")", .up = R"(passes = 2, stable_for = "1s")", .extra = "failback = { after = \"30s\" }\n"}) +
         fast_service({.name = "seen", .listen = "203.0.113.10:444/tcp", .extra = "mode = \"observe\"\n"}) + dual_service +
         fast_service({.name = "sip", .listen = "203.0.113.10:5060/tcp", .port = 5060, .extra = drain}) +
         fast_service({.name = "rtp", .listen = "203.0.113.10:7078/tcp", .port = 7078, .extra = drain}) +
         "[group.voice]\nservices = [\"sip\", \"rtp\"]\n";
}

/// Calls methods and checks each reply with the description that the daemon itself gives.
class Conformance {
public:
  explicit Conformance(const Hanatd& hanatd)
      : hanatd_{hanatd}, service_{parse_idl(service_description())}, control_{parse_idl(description_of(hanatd, control_interface))} {
    EXPECT_EQ(description_of(hanatd, service_interface), service_description());
  }

  /// The reply's parameters, or {"error": name, "parameters": ...}.
  json call(const std::string& method, const json& parameters = json::object()) {
    return check(method, parameters, exchanged(hanatd_, method, parameters));
  }
  json control(const std::string& method, const json& parameters = json::object()) {
    return call(fmt::format("{}.{}", control_interface, method), parameters);
  }
  /// The error's name, without its interface.
  std::string error_of(const std::string& method, const json& parameters = json::object()) {
    const std::string name = control(method, parameters).value("error", "");
    return name.substr(name.rfind('.') + 1);
  }
  /// Every method that only reads, for the daemon and for each service.
  void read_everything(const std::string& situation) {
    const testing::ScopedTrace trace{__FILE__, __LINE__, situation};
    control("Version");
    control("Names");
    control("History");
    control("Why");
    const json status = control("Status"); // it has to outlive the loop
    for (const auto& service : status.at("status").at("services")) {
      control("Status", {{"service", service.at("name")}});
      control("Names", {{"service", service.at("name")}});
      control("History", {{"service", service.at("name")}});
      control("Why", {{"service", service.at("name")}});
      control("Connections", {{"service", service.at("name")}, {"list", 5}});
    }
    call("org.varlink.service.GetInfo");
  }
  json check(const std::string& method, const json& parameters, const json& message) {
    SCOPED_TRACE(method + " " + parameters.dump() + " -> " + message.dump());
    for (const auto& [key, ignored] : message.items()) EXPECT_TRUE(key == "parameters" || key == "error") << key;
    const auto [interface, name] = split(message.value("error", method));
    IdlChecker& checker = interface == service_interface ? service_ : control_;
    EXPECT_EQ(checker.idl().name, interface);
    if (message.contains("error")) {
      EXPECT_EQ(checker.check_error(name, message.at("parameters")), "");
      return message;
    }
    EXPECT_EQ(checker.check_result(name, message.at("parameters")), "");
    return message.at("parameters");
  }
  std::set<std::string> unseen() const { return control_.unseen(); }
  const Idl& idl() const { return control_.idl(); }

private:
  static std::pair<std::string, std::string> split(const std::string& name) {
    return {name.substr(0, name.rfind('.')), name.substr(name.rfind('.') + 1)};
  }
  static json exchanged(const Hanatd& hanatd, const std::string& method, const json& parameters) {
    RawClient client{hanatd.socket()};
    client.say(json{{"method", method}, {"parameters", parameters}}.dump());
    return json::parse(client.hear(std::chrono::seconds{6})); // an examination takes up to 5
  }
  static std::string description_of(const Hanatd& hanatd, std::string_view interface) {
    return exchanged(hanatd, "org.varlink.service.GetInterfaceDescription", {{"interface", interface}})
        .at("parameters")
        .at("description")
        .get<std::string>();
  }

  const Hanatd& hanatd_;
  IdlChecker service_, control_;
};

class ControlDescription : public testing::Test {
protected:
  static bool all_up(const Status& now) {
    for (const ServiceStatus& service : now.services)
      for (const ServerStatus& server : service.servers)
        if (server.health != "up") return false;
    return now.daemon.kernel == "in-step";
  }
  /// A drain of a group, with and without an end.
  void check_overrides(const Hanatd& hanatd, Conformance& daemon) {
    TcpClient client{lab, Host::client, Lab::vip(5060)};
    ASSERT_EQ(client.ask().text, "primary");
    const json forced = daemon.control("Force", {{"service", "sip"}, {"server", "backup"}, {"for_s", 60}, {"reason", "a test"}});
    EXPECT_EQ(forced.at("services").size(), 2U) << "its group";
    hanatd.wait_for([](const Status& now) { return service(now, "sip").last_flip && service(now, "sip").last_flip->left == 1U; });
    daemon.read_everything("forced and draining");
    EXPECT_TRUE(service(hanatd.status(), "sip").last_flip->drain_ends_in_s) << "it drains";
    daemon.control("Force", {{"service", "rtp"}, {"server", "primary"}, {"even_if_down", true}});
    daemon.read_everything("forced back");
    EXPECT_EQ(daemon.control("Auto", {{"service", "sip"}}).at("services").size(), 2U);
    EXPECT_EQ(daemon.control("Disable", {{"service", "sip"}, {"server", "primary"}, {"for_s", 60}, {"drain_s", 30}}).at("services").size(),
              2U);
    daemon.read_everything("a server out of service");
    EXPECT_EQ(daemon.error_of("Force", {{"service", "sip"}, {"server", "primary"}}), "Refused") << "it is disabled";
    daemon.control("Report", {{"service", "sip"}, {"server", "backup"}, {"health", "up"}, {"ttl_s", 60}, {"reason", "a test"}});
    daemon.read_everything("a report");
    EXPECT_EQ(daemon.error_of("Report", {{"service", "sip"}, {"server", "backup"}, {"health", "up"}}), "InvalidParameter");
    EXPECT_EQ(daemon.error_of("Report", {{"service", "sip"}, {"server", "backup"}, {"health", "well"}, {"ttl_s", 9}}), "InvalidParameter");
    EXPECT_EQ(daemon.error_of("Report", {{"service", "sip"}, {"server", "other"}, {"health", "up"}, {"ttl_s", 9}}), "Refused");
    daemon.control("Report", {{"service", "sip"}, {"server", "backup"}, {"health", "none"}});
    EXPECT_EQ(daemon.error_of("Disable", {{"service", "sip"}, {"server", "backup"}}), "Refused") << "the last one";
    EXPECT_EQ(daemon.control("Enable", {{"service", "rtp"}, {"server", "primary"}, {"reset", true}}).at("services").size(), 2U);
    daemon.control("Force", {{"service", "sip"}, {"server", "backup"}, {"until_down", true}});
    daemon.read_everything("forced until it goes down");
    EXPECT_EQ(daemon.error_of("Disable", {{"service", "sip"}, {"server", "backup"}}), "Refused") << "it is forced to that";
    EXPECT_EQ(daemon.error_of("Force", {{"service", "sip"}, {"server", "backup"}, {"drain_s", 0.5}}), "InvalidParameter");
    EXPECT_EQ(daemon.error_of("Force", {{"service", "sip"}, {"server", "backup"}, {"drain_s", 5}, {"reset", true}}), "InvalidParameter");
    daemon.control("Auto", {{"all", true}});
    hanatd.wait_target("sip", "primary");
    const json drill = {{"service", "sip"}, {"server", any_backup}, {"for_s", 60}, {"drill", true}};
    EXPECT_EQ(daemon.control("Force", drill).at("services").size(), 2U) << "its group";
    daemon.read_everything("a drill");
    EXPECT_EQ(daemon.error_of("Force", drill), "Refused") << "one is running";
    daemon.control("Auto", {{"service", "sip"}});
    EXPECT_EQ(daemon.error_of("Force", {{"service", "sip"}, {"server", "backup"}, {"drill", true}}), "InvalidParameter")
        << "without an end";
  }
  /// A failing primary, and its return before it gets the traffic back.
  void check_failover(const Hanatd& hanatd, Conformance& daemon) {
    web_primary.status(503);
    hanatd.wait_target("web", "backup");
    daemon.read_everything("after a failover");
    daemon.control("ProbeServers", {{"service", "web"}});
    daemon.control("Why", {{"service", "web"}, {"at", hanat::to_text(wall_now())}});
    hanatd.wait_for([](const Status& now) { return service(now, "web").last_flip->cut_ms.has_value(); });
    daemon.read_everything("after the cut");
    web_primary.status(200);
    hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "primary").recovering.has_value(); });
    daemon.control("Status", {{"service", "web"}});
    hanatd.wait_for([](const Status& now) { return service(now, "web").failback_in_s.has_value(); });
    daemon.read_everything("before a failback");
  }
  void check_doctor(Conformance& daemon) {
    EXPECT_EQ(daemon.control("Doctor", {{"service", "web"}}).at("findings"), json::array());
    lab.must(Host::gateway, "nft add table ip f && nft 'add chain ip f forward { type filter hook forward priority 0; policy drop; }'");
    EXPECT_EQ(daemon.control("Doctor").at("findings").at(0).at("code"), "forward-drop");
    lab.must(Host::gateway, "nft delete table ip f");
  }
  static void check_reload(const Hanatd& hanatd, Conformance& daemon) {
    hanatd.write_config("[hanatd]\nreconcile = \"50s\"\n" + config() + fast_service({.name = "more", .listen = "203.0.113.10:446/tcp"}));
    EXPECT_EQ(daemon.control("Plan").at("plan").at("changes").at(0).at("change"), "added");
    EXPECT_EQ(daemon.error_of("Plan", {{"files", json::array({{{"name", "x"}, {"text", "nonsense"}}})}}), "BadConfiguration");
    EXPECT_EQ(daemon.error_of("Plan", {{"files", json::array({5})}}), "InvalidParameter");
    daemon.control("ProbeServers", {{"service", "web"}});
    daemon.control("Ask");
    EXPECT_EQ(daemon.control("Reload").at("added"), json::array({"more"}));
    hanatd.write_config(config() + "[service.bad]\nlisten = 5\n");
    EXPECT_EQ(daemon.error_of("Reload"), "BadConfiguration");
    daemon.read_everything("after a refused reload");
    hanatd.write_config(config());
    EXPECT_EQ(daemon.control("Reload").at("removed"), json::array({"more"}));
    EXPECT_EQ(daemon.error_of("Confirm"), "Refused") << "nothing is on trial";
    EXPECT_EQ(daemon.error_of("Reload", {{"confirm_s", 0.5}}), "InvalidParameter");
    EXPECT_EQ(daemon.control("Reload", {{"confirm_s", 60}}).at("unconfirmed").at("by"), "root");
    daemon.read_everything("on trial");
    daemon.control("Confirm");
    daemon.control("Reload", {{"confirm_s", 1}});
    hanatd.wait_for([](const Status& now) { return now.daemon.reverted.has_value(); });
    daemon.read_everything("after a revert");
    daemon.control("Reload");
  }
  static void check_errors(Conformance& daemon) {
    EXPECT_EQ(daemon.error_of("Status", {{"service", "wbe"}}), "UnknownService");
    EXPECT_EQ(daemon.error_of("History", {{"service", "wbe"}}), "UnknownService");
    EXPECT_EQ(daemon.error_of("Force", {{"service", "seen"}, {"server", "backup"}}), "Refused") << "it is in mode observe";
    EXPECT_EQ(daemon.error_of("Force", {{"service", "web"}, {"server", "backup9"}}), "Refused");
    EXPECT_EQ(daemon.error_of("Auto"), "Refused") << "there are several";
    EXPECT_EQ(daemon.error_of("Force", {{"service", "web"}, {"server", "backup"}, {"for_s", -1}}), "InvalidParameter");
    EXPECT_EQ(daemon.error_of("Status", {{"service", 1}}), "InvalidParameter");
    EXPECT_EQ(daemon.error_of("Version", {{"x", 1}}), "InvalidParameter");
    EXPECT_EQ(daemon.error_of("Explode"), "MethodNotFound");
    EXPECT_EQ(daemon.call("org.varlink.service.Explode").value("error", ""), "org.varlink.service.MethodNotFound");
    EXPECT_EQ(daemon.call("io.elsewhere.Status").value("error", ""), "org.varlink.service.InterfaceNotFound");
    EXPECT_EQ(daemon.call("org.varlink.service.GetInterfaceDescription").value("error", ""), "org.varlink.service.InvalidParameter");
  }
  /// A caller without the right, and one caller too many.
  static void check_limits(const Hanatd& hanatd, Conformance& daemon) {
    ASSERT_EQ(chmod(std::filesystem::path{hanatd.socket()}.parent_path().c_str(), 0755), 0);
    ASSERT_EQ(chmod(hanatd.socket().c_str(), 0666), 0);
    const std::string reload = fmt::format("{}.Reload", control_interface);
    std::string message;
    std::thread{[&] { // the raw call changes the user of this thread alone
      if (syscall(SYS_setresuid, nobody, nobody, nobody) != 0) return;
      RawClient client{hanatd.socket()};
      client.say(json{{"method", reload}}.dump());
      message = client.hear();
    }}
        .join();
    EXPECT_THAT(daemon.check(reload, {}, json::parse(message)).value("error", ""), HasSubstr("NotPermitted"));

    std::vector<std::unique_ptr<RawClient>> clients;
    for (int count = 0; count < 33; ++count) clients.push_back(std::make_unique<RawClient>(hanatd.socket()));
    EXPECT_THAT(daemon.check("Connect", {}, json::parse(clients.back()->hear())).value("error", ""), HasSubstr("Failed"));
  }

  Lab lab;
  HttpServer web_primary{lab, Host::primary, 8443, "primary"}, web_backup{lab, Host::backup, 8443, "backup"};
  TcpServer sip_primary{lab, Host::primary, 5060, "primary"}, sip_backup{lab, Host::backup, 5060, "backup"};
  TcpServer rtp_primary{lab, Host::primary, 7078, "primary"}, rtp_backup{lab, Host::backup, 7078, "backup"};
};

/// Fields that no reply of this test holds. The unit test of the description has them all.
std::set<std::string> never_seen() {
  std::istringstream names{
      // they need a local failure, another program's rules, and clients without an answer
      "Daemon.blind Daemon.kernel_error Daemon.findings Daemon.reload_hangs HungReload.since HungReload.by Doctor.failure Foreign.flows "
      "Foreign.listen "
      "Foreign.server Service.foreign Path.since "
      // servers that are silent, flap or are slow
      "Service.outage Outage.state Outage.for_s Outage.ends_in_s Outage.new_refused Service.witness Witness.address Witness.answers "
      "ClientFinding.severity ClientFinding.code ClientFinding.service ClientFinding.what ClientFinding.remedy ClientFinding.seen_by "
      "ClientFinding.at Server.flapping Flapping.times Flapping.wait_s Flapping.forgiven_in_s Server.warning Warning.reason Warning.detail "
      // servers with TLS
      "ProbeResult.certificate_left_s "
      // servers with names
      "Server.name Name.name Name.state Name.answered Name.others Name.error Name.failing_since "
      // services that are offloaded, and those that listen on interfaces
      "Service.offload Service.interfaces ListenInterface.listen ListenInterface.interface ListenInterface.addresses "
      "ListenInterface.problems "
      "ListenInterface.held HeldAddress.address HeldAddress.left_s Service.in_table Server.drains "
      // a crash, a report that moves the traffic, and what is always null here
      "HistoryEntry.drain_ends_in_s HistoryEntry.interrupted HistoryEntry.flip_at Unforced.forced DisabledServer.forced "
      "ReportedServer.forced ReportedServer.old_connections EnabledServer.forced EnabledServer.failback_in_s EnabledServer.waits_for "
      "WhyReport.from "
      // followers have a test of their own, files are parameters, and no reload moves traffic or changes what works
      "Server.new_probes NewProbes.since NewProbes.failing NewProbes.probes Server.former_since ServicePlan.held ServicePlan.serves_on "
      "Follow.event Follow.next Follow.skipped ConfigFile.name ConfigFile.text ServicePlan.move Move.from Move.to "
      "Move.why Move.from_address Move.to_address ServicePlan.take_over TakeOver.target TakeOver.address TakeOver.why ServicePlan.observed "
      // hooks and a gateway of a pair have tests of their own
      "Daemon.hooks Hooks.running Hooks.waiting Hooks.events Hooks.calls "
      "Service.standby Daemon.pair Pair.role Pair.since Pair.settled Pair.address Pair.conntrackd Pair.keepalived Pair.peer Peer.address "
      "Peer.seen_s Peer.failure "
      "Peer.role Peer.version "
      "Peer.conntrackd Peer.keepalived Peer.both_active Peer.none_active Peer.agrees Peer.differs Peer.disagrees Peer.lag_ms "
      "Force.forwarded_to Auto.forwarded_to Disable.forwarded_to "
      "Enable.forwarded_to Settled.settled Settled.pair"};
  return {std::istream_iterator<std::string>{names}, {}};
}

TEST_F(ControlDescription, HoldsForEveryReplyOfTheDaemon) {
  Hanatd hanatd{lab, config(), {.arguments = {"--fallback"}}};
  Conformance daemon{hanatd};
  EXPECT_EQ(daemon.idl().methods.size(), control_methods().size());
  daemon.read_everything("at the start");
  hanatd.wait_for(all_up);
  daemon.read_everything("in peace");
  check_doctor(daemon);
  check_overrides(hanatd, daemon);
  check_failover(hanatd, daemon);
  check_reload(hanatd, daemon);
  check_errors(daemon);

  hanatd.write_config("nonsense");
  hanatd.restart();
  daemon.read_everything("with an older configuration");
  EXPECT_TRUE(hanatd.status().daemon.fallback);
  check_limits(hanatd, daemon);
  std::set<std::string> unseen = daemon.unseen();
  std::erase_if(unseen, [](const std::string& field) { // by what conntrack and the history have at this moment
    return field.starts_with("OldFlows.") || field == "WhyReport.last_override";
  });
  const std::set<std::string> known = never_seen();
  std::vector<std::string> differing;
  std::ranges::set_symmetric_difference(unseen, known, std::back_inserter(differing));
  EXPECT_THAT(differing, testing::IsEmpty()) << "seen, or not seen, against the list above";
}

TEST_F(ControlDescription, IsWhatVarlinksOwnMethodsReturn) {
  const Hanatd hanatd{lab, fast_service()};
  Conformance daemon{hanatd};
  const json info = daemon.call("org.varlink.service.GetInfo");
  EXPECT_EQ(info.at("interfaces"), json::array({service_interface, control_interface}));
  EXPECT_EQ(info.at("version"), daemon.control("Version").at("version"));
  EXPECT_EQ(daemon.call("org.varlink.service.GetInterfaceDescription", {{"interface", control_interface}}).at("description"),
            interface_description());
}

} // namespace
} // namespace hanat::test
