// What is said of events about probing, the table and the daemon itself: sentence, level, journal fields; the history keeps almost none.
// Not here: services and flows (event_text_test).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/unit/daemon/report/event_values.hpp"

namespace hanat::events {
namespace {

using namespace std::chrono_literals;

TEST(EventText, Probes) {
  EXPECT_EQ(text(ProbesInconclusive{.reason = probes::Reason::no_descriptors, .detail = {}}),
            "servers cannot be probed: no-descriptors; their last known health is kept, and nothing fails over because of this");
  EXPECT_EQ(text(ProbesInconclusive{.reason = probes::Reason::local_error, .detail = "Bad address"}),
            "servers cannot be probed: local-error: Bad address; their last known health is kept, and nothing fails over because of this");
  EXPECT_EQ(level(ProbesInconclusive{}), Level::warning);
  EXPECT_EQ(text(ProbesConclusive{}), "all servers can be probed again");
  EXPECT_EQ(level(ProbesConclusive{}), Level::notice);
  EXPECT_EQ(text(ClientsNotHeard{"Operation not permitted"}),
            "the table's log of refused clients cannot be read: Operation not permitted; servers are probed at their usual intervals only");
  EXPECT_EQ(level(ClientsNotHeard{}), Level::warning);
}

TEST(EventText, AHook) {
  HookFailed failed{.program = "/etc/hanat/hooks/mail", .number = 3, .detail = "no such host", .timeout = 10s, .untold = 1};
  EXPECT_EQ(text(failed), "the hook /etc/hanat/hooks/mail failed with exit status 3 (no such host)");
  EXPECT_EQ(text_of({.at = made_at, .service = {}, .what = failed}),
            "the hook of [hanatd] /etc/hanat/hooks/mail failed with exit status 3 (no such host)");
  EXPECT_EQ(level(failed), Level::warning);
  EXPECT_EQ(kind(failed), "");
  failed.detail.clear();
  failed.untold = 7;
  failed.fault = HookFault::signal;
  EXPECT_EQ(text(failed), "the hook /etc/hanat/hooks/mail was ended by signal 3; 7 events were not told");
  failed.fault = HookFault::time_limit;
  EXPECT_EQ(text(failed), "the hook /etc/hanat/hooks/mail did not end within 10s (hook_timeout), and was ended with its children; 7 events "
                          "were not told");
  failed.detail = "why";
  failed.untold = 1;
  failed.fault = HookFault::not_trusted;
  EXPECT_EQ(text(failed), "the hook /etc/hanat/hooks/mail was not run: why");
  failed.fault = HookFault::not_started;
  EXPECT_EQ(text(failed), "the hook /etc/hanat/hooks/mail could not be started: why");
}

TEST(EventText, TheKernelsTable) {
  EXPECT_EQ(text(KernelRefused{"Operation not permitted"}),
            "the kernel refused a change: Operation not permitted; nothing was changed, trying again until it works");
  EXPECT_EQ(level(KernelRefused{}), Level::error);
  EXPECT_EQ(text(KernelRecovered{}), "the kernel accepts changes again");
  EXPECT_EQ(level(KernelRecovered{}), Level::notice);
  EXPECT_EQ(text(TableRestored{.was_there = true}),
            "the table in the kernel was changed: restored; find out what else changes nftables on this gateway");
  EXPECT_EQ(text(TableRestored{.was_there = false}),
            "the table in the kernel was gone: restored; find out what else changes nftables on this gateway");
  EXPECT_EQ(level(TableRestored{}), Level::warning);
  EXPECT_EQ(kind(TableRestored{}), "repair");
  EXPECT_EQ(text(TableReplaced{}), "the loaded table was of another layout or had been edited: replaced, its targets kept");
  EXPECT_EQ(level(TableReplaced{}), Level::warning);
  EXPECT_EQ(
      text(HeartbeatByTransaction{"send a packet to loopback: Network is unreachable"}),
      "the heartbeat is a transaction of nftables each second, as its packet does not get through: send a packet to loopback: Network "
      "is unreachable; failover works, but other programs that list a large ruleset may have to start over; see that lo has its address "
      "127.0.0.1");
  EXPECT_EQ(level(HeartbeatByTransaction{}), Level::warning);
  EXPECT_EQ(text(HeartbeatByPacket{}), "the heartbeat's packet gets through again");
  EXPECT_EQ(level(HeartbeatByPacket{}), Level::notice);
  EXPECT_EQ(text(TableNotRemoved{.table = "hanat", .error = "Operation not permitted"}),
            "the table could not be removed: Operation not permitted; remove it with nft delete table inet hanat");
  EXPECT_EQ(level(TableNotRemoved{}), Level::error);
}

TEST(EventText, TheDaemonsStartAndEnd) {
  for (const nat::DeleteMethod method :
       {nat::DeleteMethod::full_dump, nat::DeleteMethod::filtered_dump, nat::DeleteMethod::filtered_delete})
    EXPECT_EQ(text(CutMethod{.family = Family::ipv4, .method = method, .failed_check = {}}),
              fmt::format("IPv4 flows are cut by {}, the fastest method that this kernel has", to_text(method)));
  EXPECT_EQ(text(CutMethod{.family = Family::ipv6, .method = nat::DeleteMethod::full_dump, .failed_check = "no filter"}),
            fmt::format("IPv6 flows are cut by {}, the fastest method that this kernel has; a faster one does not work here: no filter",
                        to_text(nat::DeleteMethod::full_dump)));
  EXPECT_EQ(text(Started{.kernel_release = "6.12", .table = "hanat", .owns_table = true}),
            "started on Linux 6.12; table inet hanat belongs to hanatd: no other program can change it");
  EXPECT_EQ(text(Started{.kernel_release = "6.1", .table = "hanat", .owns_table = false}),
            "started on Linux 6.1; table inet hanat can be changed by other programs: hanatd watches and repairs it");
  EXPECT_EQ(level(CutMethod{}), Level::info);
  EXPECT_EQ(level(Started{}), Level::info);
  EXPECT_EQ(text(Stopping{}), "stopping");
  EXPECT_EQ(level(Stopping{}), Level::notice);
  EXPECT_EQ(
      text(NudgingOff{.error = "open a raw socket: Operation not permitted", .not_permitted = true}),
      "nudging is off: open a raw socket: Operation not permitted; clients that wait learn of a flip by their own timers; give hanatd "
      "CAP_NET_RAW");
  EXPECT_EQ(text(NudgingOff{.error = "open a raw socket: Too many open files", .not_permitted = false}),
            "nudging is off: open a raw socket: Too many open files; clients that wait learn of a flip by their own timers");
  EXPECT_EQ(level(NudgingOff{}), Level::warning);
  EXPECT_EQ(text(NotOffloaded{.services = "web and 2 other services", .unknown = true, .error = "No such file or directory"}),
            "service web and 2 other services: offload = true, but this kernel has no flowtables (modules nf_flow_table, "
            "nf_flow_table_inet and nft_flow_offload: No such file or directory): connections are forwarded as without the key");
  EXPECT_EQ(text(NotOffloaded{.services = "web", .unknown = false, .error = "No buffer space available"}),
            "service web: offload = true, but the kernel refuses hanat's flowtable: No buffer space available; tried again each second, "
            "and until then connections are forwarded as without the key");
  EXPECT_EQ(level(NotOffloaded{}), Level::warning);
}

TEST(EventText, Reloads) {
  EXPECT_EQ(text(OperatorsUnknown{"ops"}),
            "no group \"ops\" (operators): only root may change things now; make it with groupadd ops, or name another (a group of a "
            "directory service may not have been there yet), then hanatctl reload");
  EXPECT_EQ(text(ConfigError{"hanat.toml:1:2: wrong"}), "hanat.toml:1:2: wrong");
  const std::string rest = "; nothing was changed, the old one stays in force";
  EXPECT_EQ(text(ConfigRefused{1}), "reload refused: the new configuration has 1 error" + rest);
  EXPECT_EQ(text(ConfigRefused{.errors = 1, .by = "root", .first = "a.toml:1:2: bad"}),
            "reload refused (by root): the new configuration has 1 error: a.toml:1:2: bad" + rest);
  EXPECT_EQ(text(ConfigRefused{.errors = 2, .by = "root", .first = "a.toml:1:2: bad"}),
            "reload refused (by root): the new configuration has 2 errors, the first: a.toml:1:2: bad" + rest);
  EXPECT_EQ(text(ReloadFailed{.error = "no such group", .by = "SIGHUP"}), "the reload (by SIGHUP) failed: no such group");
  EXPECT_EQ(text(ReloadFailed{.error = "no such group", .nothing_changed = true, .by = "root"}),
            "reload refused (by root): no such group; nothing was changed, the old configuration stays in force");
  for (const Payload& error : {Payload{OperatorsUnknown{}}, Payload{ConfigError{}}, Payload{ConfigRefused{}}, Payload{ReloadFailed{}}})
    EXPECT_EQ(level(error), Level::error) << text(error);
  EXPECT_EQ(text(ConfigReloaded{.services = 3, .added = {}, .changed = {}, .removed = {}}),
            "configuration read again: 3 services; nothing changed");
  ConfigReloaded reloaded{.services = 1, .added = {"a", "b"}, .changed = {"c"}, .removed = {"d"}, .settings = {"metrics"}, .by = "root"};
  EXPECT_EQ(text(reloaded),
            "configuration read again (by root): 1 service; 2 added (a, b); 1 changed (c); 1 removed (d); 1 setting changed "
            "(metrics)");
  reloaded.added.assign(6000, "name");
  EXPECT_LT(text(reloaded).size(), 200U) << "many names are counted";
  const auto entry = history_entry_of(web(reloaded));
  EXPECT_EQ(entry->kind, "reload");
  EXPECT_EQ(entry->by, "root");
  EXPECT_EQ(entry->reload->added, 6000U);
  EXPECT_EQ(entry->reload->removed, 1U);
  EXPECT_EQ(kind(ConfigRefused{}), "reload");
  EXPECT_EQ(kind(ReloadFailed{}), "reload");
  EXPECT_EQ(level(ConfigReloaded{}), Level::notice);
}

TEST(EventText, OfReloadsOnTrialAndOfOneThatHangs) {
  EXPECT_EQ(text(ConfigUnconfirmed{.by = "root", .left = "1m"}),
            "the configuration is on trial (by root): the one before it comes back in 1m, unless hanatctl confirm says that all is well");
  EXPECT_EQ(text(ConfigConfirmed{.by = "root"}), "the configuration is confirmed (by root)");
  EXPECT_EQ(text(ConfigReverted{.by = "root", .within = "1m"}),
            "nobody confirmed the reload (by root) within 1m: the configuration before it comes back; the file on disk still is the one "
            "that was on trial");
  EXPECT_EQ(text(ReloadHangs{.by = "SIGHUP"}).find("the reload (by SIGHUP) waits for its files for 5 s now"), 0U);
  for (const Payload& what : {Payload{ConfigUnconfirmed{}}, Payload{ConfigConfirmed{}}, Payload{ConfigReverted{}}, Payload{ReloadHangs{}}})
    EXPECT_EQ(kind(what), "reload") << text(what);
  EXPECT_EQ(level(ConfigReverted{}), Level::warning);
  EXPECT_EQ(level(ReloadHangs{}), Level::warning);
}

TEST(EventText, HasAThousandBytesAtMost) {
  EXPECT_EQ(text(ConfigError{std::string(1'000, 'e')}).size(), 1'000U);
  const std::string cut = text(ConfigError{std::string(140'000, 'e')});
  EXPECT_EQ(cut.size(), 1'000U);
  EXPECT_TRUE(cut.ends_with("e ... (140000 bytes)"));
}

TEST(EventText, FilesAndPorts) {
  EXPECT_EQ(
      text(ConfigNotCopied{"No space left on device"}),
      "the configuration could not be copied: No space left on device; if it has an error at the next start, an older copy is used, or "
      "none");
  EXPECT_EQ(level(ConfigNotCopied{}), Level::warning);
  EXPECT_EQ(text(StateNotSaved{"No space left on device"}),
            "the state could not be saved: No space left on device; a restart forgets the last override or drain that began or ended");
  EXPECT_EQ(level(StateNotSaved{}), Level::error);
  EXPECT_EQ(text(HistoryNotWritten{"No space left on device"}),
            "the history cannot be written: No space left on device; until that works it is kept in memory only");
  EXPECT_EQ(level(HistoryNotWritten{}), Level::error);
  EXPECT_EQ(text(HistoryWritten{}), "the history is written again");
  EXPECT_EQ(level(HistoryWritten{}), Level::notice);
  EXPECT_EQ(text(MessagesLost{7}),
            "7 messages before this one were lost, because their reader had stopped; `hanatctl status` shows the present state");
  EXPECT_EQ(level(MessagesLost{}), Level::warning);
  EXPECT_EQ(text(MetricsNotServed{"Address already in use"}),
            "no metrics are served: Address already in use; everything else works. Free the port, or name another one as [hanatd] metrics, "
            "then hanatctl reload");
  EXPECT_EQ(level(MetricsNotServed{}), Level::error);
}

TEST(EventText, AMessageIsWhatItSays) {
  for (const Level given : {Level::info, Level::notice, Level::warning, Level::error}) {
    const Event event{.at = made_at, .service = {}, .what = Message{.level = given, .text = "a text"}};
    EXPECT_EQ(text_of(event), "a text");
    EXPECT_EQ(level_of(event), given);
    EXPECT_EQ(fields_of(event).size(), 2U) << "it is about no service: only its kind";
    EXPECT_FALSE(history_entry_of(event));
  }
}

TEST(EventText, TheHistoryKeepsOfTheDaemonItselfOnlyItsReloads) {
  for (const Payload& what : {Payload{ProbesInconclusive{}},
                              Payload{ProbesConclusive{}},
                              Payload{ClientsNotHeard{}},
                              Payload{ConntrackFailed{}},
                              Payload{KernelRefused{}},
                              Payload{KernelRecovered{}},
                              Payload{TableReplaced{}},
                              Payload{TableNotRemoved{}},
                              Payload{CutMethod{}},
                              Payload{Started{}},
                              Payload{Stopping{}},
                              Payload{NudgingOff{}},
                              Payload{NotOffloaded{}},
                              Payload{OperatorsUnknown{}},
                              Payload{ConfigError{}},
                              Payload{ConfigNotCopied{}},
                              Payload{StateNotSaved{}},
                              Payload{HistoryNotWritten{}},
                              Payload{HeartbeatByTransaction{}},
                              Payload{HeartbeatByPacket{}},
                              Payload{HistoryWritten{}},
                              Payload{MessagesLost{}},
                              Payload{MetricsNotServed{}},
                              Payload{Message{}}}) {
    EXPECT_EQ(kind(what), "") << text(what);
  }
}

} // namespace
} // namespace hanat::events
