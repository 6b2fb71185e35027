// One line for monitoring: which status alarms how.
#include "cli/show_check.hpp"

#include <algorithm>

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
                       "unserved=0 trouble=0 unanswered=0 unanswered_clients=0 nowhere=0 disabled=0\n");
}

TEST_F(ShowCheck, IsCriticalWhereClientsAreNotServed) {
  const auto line = show_check(with({web(), failed_over(), without_servers()}), now);
  EXPECT_EQ(line.alarm, Alarm::critical);
  EXPECT_EQ(line.text, "CRITICAL: clients not served: db (primary is down, backup is down); trouble: web (redundancy lost: primary is down "
                       "(refused); nothing to fail over to) | services=3 primary=1 backup=1 none=1 starting=0 forced=0 servers_down=3 "
                       "unserved=1 trouble=1 unanswered=0 unanswered_clients=0 nowhere=0 disabled=0\n");
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
  EXPECT_EQ(line.text, "CRITICAL: clients get no answer: web (to find the cause: hanatctl doctor web) | services=2 primary=2 backup=0 "
                       "none=0 starting=0 forced=0 servers_down=0 "
                       "unserved=0 trouble=0 unanswered=1 unanswered_clients=37 nowhere=0 disabled=0\n");
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
  EXPECT_THAT(show_check(with({drained}), now).text, HasSubstr("OK: 0 of 1 service at its primary, 1 drained server | "));
  drained.servers[0].drains = false;
  EXPECT_EQ(show_check(with({drained}), now).alarm, Alarm::warning) << "it is full of clients";
}

TEST_F(ShowCheck, NamesServersThatAreDisabled) {
  auto disabled = failed_over();
  disabled.servers[0].health = "up";
  disabled.servers[0].disabled = DisabledStatus{.since = "", .until = {}, .reason = "", .by = "root"};
  const auto line = show_check(with({disabled}), now);
  EXPECT_EQ(line.alarm, Alarm::ok);
  EXPECT_THAT(line.text, HasSubstr("OK: 0 of 1 service at its primary, 1 disabled server | "));
  EXPECT_THAT(line.text, testing::EndsWith(" disabled=1\n"));
  EXPECT_THAT(show_check(with({disabled, disabled}), now).text, HasSubstr(", 2 disabled servers | "));
}

TEST_F(ShowCheck, TellsTheCauseWhereItIsTheSameForAll) {
  auto silent = web();
  silent.path = {.state = "unanswered", .unanswered_clients = 37};
  silent.path.findings = {
      {.severity = "problem", .code = "reply-dropped", .what = "the server's reply is dropped by inet fw forward rule 1", .remedy = "nft"}};
  EXPECT_THAT(show_check(with({silent}), now).text,
              HasSubstr("CRITICAL: clients get no answer: web (the server's reply is dropped by inet fw forward rule 1) | "));
  auto other = failed_over();
  other.name = "shop";
  EXPECT_THAT(show_check(with({failed_over(), other}), now).text,
              HasSubstr("WARNING: trouble: web, shop (redundancy lost: primary is down (refused); nothing to fail over to) | "));
  other.servers[0].last->reason = "timeout";
  EXPECT_THAT(show_check(with({failed_over(), other}), now).text, HasSubstr("WARNING: trouble: web, shop | "));
  other.name = "web";
  EXPECT_THAT(show_check(with({failed_over(), other, failed_over()}), now).text, HasSubstr("WARNING: trouble: web, web, web | "));
}

TEST_F(ShowCheck, ACauseIsShortAndEndsNeitherTheLineNorTheText) {
  auto silent = web();
  silent.path = {.state = "unanswered", .unanswered_clients = 37};
  silent.path.findings = {{.severity = "problem", .code = "x", .what = "one | two\nthree", .remedy = ""}};
  const auto text = show_check(with({silent}), now).text;
  EXPECT_THAT(text, HasSubstr("(one / two"));
  EXPECT_EQ(std::ranges::count(text, '|'), 1);
  EXPECT_EQ(std::ranges::count(text, '\n'), 1);
  silent.path.findings[0].what = std::string(300, 'x');
  EXPECT_THAT(show_check(with({silent}), now).text, HasSubstr("(" + std::string(197, 'x') + "...) | "));
}

TEST_F(ShowCheck, TheCauseIsWithoutTheWordsBeforeACommand) {
  auto nowhere = web();
  nowhere.listen = {"eth0:443/tcp"};
  nowhere.interfaces = {{.listen = "eth0:443/tcp", .interface = "eth0", .addresses = {}, .problems = {"there is no interface eth0"}}};
  EXPECT_THAT(show_check(with({nowhere}), now).text,
              HasSubstr("CRITICAL: clients not served: web (it listens nowhere: there is no interface eth0) | "));
}

TEST_F(ShowCheck, CountsServicesThatListenNowhere) {
  auto nowhere = web();
  nowhere.listen = {"eth0:443/tcp"};
  nowhere.interfaces = {{.listen = "eth0:443/tcp", .interface = "eth0", .addresses = {}, .problems = {"there is no interface eth0"}}};
  EXPECT_THAT(show_check(with({nowhere}), now).text, HasSubstr(" nowhere=1 disabled=0\n"));
}

TEST_F(ShowCheck, NamesAFewServicesAndCountsTheRest) {
  std::vector<ServiceStatus> many(9, without_servers());
  EXPECT_THAT(show_check(with(many), now).text,
              HasSubstr("clients not served: db, db, db, db, db and 4 more (primary is down, backup is down) | "));
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
