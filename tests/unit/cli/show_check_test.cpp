// One line for monitoring: which status alarms how.
#include "cli/show_check.hpp"

#include <gmock/gmock.h>

#include "tests/unit/cli/show_fixture.hpp"

namespace hanat::cli {
namespace {

using testing::HasSubstr;
using ShowCheck = Show;

ServiceStatus without_servers() {
  auto made = web();
  made.name = "db";
  made.target = "none";
  made.why = "no-server-up";
  for (auto& server : made.servers) server.health = "down";
  return made;
}

TEST_F(ShowCheck, CountsWhereAllIsWell) {
  const auto line = show_check(with({web(), web()}), now);
  EXPECT_EQ(line.alarm, Alarm::ok);
  EXPECT_EQ(line.text, "OK: 2 of 2 services at their primary | services=2 primary=2 backup=0 none=0 starting=0 forced=0 servers_down=0 "
                       "unserved=0 trouble=0 unanswered=0 unanswered_clients=0 nowhere=0\n");
}

TEST_F(ShowCheck, IsCriticalWhereClientsAreNotServed) {
  const auto line = show_check(with({web(), failed_over(), without_servers()}), now);
  EXPECT_EQ(line.alarm, Alarm::critical);
  EXPECT_EQ(line.text, "CRITICAL: clients not served: db; trouble: web | services=3 primary=1 backup=1 none=1 starting=0 forced=0 "
                       "servers_down=3 unserved=1 trouble=1 unanswered=0 unanswered_clients=0 nowhere=0\n");
  auto forced = web();
  forced.servers[0].health = "down";
  forced.forced = ForcedStatus{.target = "primary", .until = {}, .reason = "", .by = "root"};
  EXPECT_EQ(show_check(with({forced}), now).alarm, Alarm::critical) << "its server is down";
  auto status = with({web()});
  status.daemon.kernel = "failed";
  EXPECT_EQ(show_check(status, now).alarm, Alarm::critical);
}

TEST_F(ShowCheck, IsCriticalWhereClientsGetNoAnswerThoughTheirServerPasses) {
  auto silent = web();
  silent.path = {.state = "unanswered", .unanswered_clients = 37};
  const auto line = show_check(with({web(), silent}), now);
  EXPECT_EQ(line.alarm, Alarm::critical);
  EXPECT_EQ(line.text, "CRITICAL: clients get no answer: web | services=2 primary=2 backup=0 none=0 starting=0 forced=0 servers_down=0 "
                       "unserved=0 trouble=0 unanswered=1 unanswered_clients=37 nowhere=0\n");
}

TEST_F(ShowCheck, IsCriticalWhereNothingIsForwarded) {
  auto status = with({web()});
  status.daemon.findings = {{.severity = "problem", .code = "ip-forward-off", .what = "net.ipv4.ip_forward is 0", .remedy = "sysctl"}};
  EXPECT_EQ(show_check(status, now).alarm, Alarm::critical);
  EXPECT_THAT(show_check(status, now).text, HasSubstr("CRITICAL: net.ipv4.ip_forward is 0 | "));
}

TEST_F(ShowCheck, WarnsOfLostRedundancyAndOfAConfigurationThatIsNotInUse) {
  EXPECT_EQ(show_check(with({failed_over()}), now).alarm, Alarm::warning);
  auto moved = failed_over();
  moved.servers.push_back(server("backup2", "10.0.0.13:8443", "up", "connected", 0));
  EXPECT_THAT(show_check(with({moved}), now).text, HasSubstr("WARNING: not at the primary: web | "));
  moved.forced = ForcedStatus{.target = "backup", .until = {}, .reason = "", .by = "root"};
  EXPECT_EQ(show_check(with({moved}), now).alarm, Alarm::ok) << "somebody wants it there";
  auto status = with({web()});
  status.daemon.config_stale = true;
  EXPECT_THAT(show_check(status, now).text, HasSubstr("WARNING: the configuration on disk is not in use | "));
  status.daemon.reload_refused.emplace();
  EXPECT_THAT(show_check(status, now).text, HasSubstr("WARNING: the last reload was refused | "));
  status.daemon.fallback = "an older one";
  EXPECT_THAT(show_check(status, now).text, HasSubstr("WARNING: an older configuration is in force | "));
  status = with({web()});
  status.daemon.inconclusive = "no-descriptors";
  EXPECT_EQ(show_check(status, now).alarm, Alarm::warning);
}

TEST_F(ShowCheck, DoesNotAlarmForAServerThatIsDrainedOnPurpose) {
  auto drained = failed_over();
  drained.servers[0].health = "full";
  drained.servers[0].drains = true;
  EXPECT_THAT(show_check(with({drained}), now).text, HasSubstr("OK: 0 of 1 service at its primary | "));
  drained.servers[0].drains = false;
  EXPECT_EQ(show_check(with({drained}), now).alarm, Alarm::warning) << "it is full of clients";
}

TEST_F(ShowCheck, CountsServicesThatListenNowhere) {
  auto nowhere = web();
  nowhere.listen = {"eth0:443/tcp"};
  nowhere.interfaces = {{.listen = "eth0:443/tcp", .interface = "eth0", .addresses = {}, .problems = {"there is no interface eth0"}}};
  EXPECT_THAT(show_check(with({nowhere}), now).text, HasSubstr(" nowhere=1\n"));
}

TEST_F(ShowCheck, NamesAFewServicesAndCountsTheRest) {
  std::vector<ServiceStatus> many(9, without_servers());
  EXPECT_THAT(show_check(with(many), now).text, HasSubstr("clients not served: db, db, db, db, db and 4 more | "));
}

TEST_F(ShowCheck, DoesNotAlarmForWhatStartsOrIsOnlyObserved) {
  auto starting = web();
  starting.target = "none";
  starting.why = "starting";
  for (auto& server : starting.servers) server.health = "unknown";
  EXPECT_EQ(show_check(with({starting}), now).alarm, Alarm::ok);
  auto observed = without_servers();
  observed.mode = "observe";
  observed.why = "observe";
  EXPECT_NE(show_check(with({observed}), now).alarm, Alarm::critical);
}

} // namespace
} // namespace hanat::cli
