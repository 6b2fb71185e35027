// The sentences about the table in the kernel and about the daemon itself.
// Not here: services, servers, overrides (event_text), old flows (event_text_drain).
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "daemon/report/event_sentences.hpp"
#include "daemon/util/duration.hpp"
#include "daemon/util/escape.hpp"

namespace hanat::events {
namespace {

/// "; 2 added (web, mail)"; many are only counted.
std::string listed(std::string_view what, const std::vector<std::string>& names) {
  constexpr std::size_t shown = 5; // of 64 letters each at most
  if (names.empty()) return {};
  return fmt::format("; {} {}{}", names.size(), what, names.size() > shown ? "" : fmt::format(" ({})", fmt::join(names, ", ")));
}

/// " (by root)"
std::string by_whom(const std::string& by) { return by.empty() ? "" : fmt::format(" (by {})", by); }

} // namespace

std::string Sentences::operator()(const KernelRefused& refusal) const {
  return fmt::format("the kernel refused a change: {}; nothing was changed, trying again until it works", refusal.error);
}

std::string Sentences::operator()(const KernelRecovered&) const { return "the kernel accepts changes again"; }

std::string Sentences::operator()(const TableRestored& table) const {
  return fmt::format("the table in the kernel was {}: restored; find out what else changes nftables on this gateway",
                     table.was_there ? "changed" : "gone");
}

std::string Sentences::operator()(const TableReplaced&) const {
  return "the loaded table was of another layout or had been edited: replaced, its targets kept";
}

std::string Sentences::operator()(const HeartbeatByTransaction& heartbeat) const {
  return fmt::format("the heartbeat is a transaction of nftables each second, as its packet does not get through: {}; failover works, but "
                     "other programs that list a large ruleset may have to start over; see that lo has its address 127.0.0.1",
                     heartbeat.error);
}

std::string Sentences::operator()(const HeartbeatByPacket&) const { return "the heartbeat's packet gets through again"; }

std::string Sentences::operator()(const NotOffloaded& refused) const {
  if (refused.unknown)
    return fmt::format("service {}: offload = true, but this kernel has no flowtables (modules nf_flow_table, nf_flow_table_inet and "
                       "nft_flow_offload: {}): connections are forwarded as without the key",
                       refused.services, refused.error);
  return fmt::format("service {}: offload = true, but the kernel refuses hanat's flowtable: {}; tried again each second, and until then "
                     "connections are forwarded as without the key",
                     refused.services, refused.error);
}

std::string Sentences::operator()(const TableNotRemoved& table) const {
  return fmt::format("the table could not be removed: {}; remove it with nft delete table inet {}", table.error, table.table);
}

std::string Sentences::operator()(const CutMethod& method) const {
  return fmt::format("{} flows are cut by {}, the fastest method that this kernel has{}", method.family == Family::ipv4 ? "IPv4" : "IPv6",
                     to_text(method.method),
                     method.failed_check.empty() ? "" : fmt::format("; a faster one does not work here: {}", method.failed_check));
}

std::string Sentences::operator()(const Started& started) const {
  return fmt::format("started on Linux {}; table inet {} {}", started.kernel_release, started.table,
                     started.owns_table ? "belongs to hanatd: no other program can change it"
                                        : "can be changed by other programs: hanatd watches and repairs it");
}

std::string Sentences::operator()(const Stopping&) const { return "stopping"; }

std::string Sentences::operator()(const NudgingOff& nudging) const {
  return fmt::format("nudging is off: {}; clients that wait learn of a flip by their own timers{}", nudging.error,
                     nudging.not_permitted ? "; give hanatd CAP_NET_RAW" : "");
}

std::string Sentences::operator()(const OperatorsUnknown& operators) const {
  return fmt::format(
      "no group \"{0}\" (operators): only root may change things now; make it with groupadd {0}, or name another (a group of "
      "a directory service may not have been there yet), then hanatctl reload",
      operators.group);
}

std::string Sentences::operator()(const ConfigError& error) const { return error.error; }

std::string Sentences::operator()(const ConfigRefused& refused) const {
  return fmt::format("reload refused{}: the new configuration has {} error{}{}{}; nothing was changed, the old one stays in force",
                     by_whom(refused.by), refused.errors, refused.errors == 1 ? "" : "s",
                     refused.first.empty() ? ""
                     : refused.errors == 1 ? ": "
                                           : ", the first: ",
                     refused.first);
}

std::string Sentences::operator()(const ConfigReloaded& reloaded) const {
  const std::string changes = listed("added", reloaded.added) + listed("changed", reloaded.changed) + listed("removed", reloaded.removed) +
                              listed(reloaded.settings.size() == 1 ? "setting changed" : "settings changed", reloaded.settings);
  return fmt::format("configuration read again{}: {} service{}{}", by_whom(reloaded.by), reloaded.services,
                     reloaded.services == 1 ? "" : "s", changes.empty() ? "; nothing changed" : changes);
}

std::string Sentences::operator()(const ReloadFailed& reload) const {
  if (reload.nothing_changed)
    return fmt::format("reload refused{}: {}; nothing was changed, the old configuration stays in force", by_whom(reload.by), reload.error);
  return fmt::format("the reload{} failed: {}", by_whom(reload.by), reload.error);
}

std::string Sentences::operator()(const ReloadHangs& reload) const {
  return fmt::format("the reload{} waits for its files for 5 s now: a disk or a directory service (the operators' group) hangs; failover "
                     "goes on by the configuration in use, and the new one follows when it can be read",
                     by_whom(reload.by));
}

std::string Sentences::operator()(const ConfigUnconfirmed& config) const {
  return fmt::format("the configuration is on trial{}: the one before it comes back in {}, unless hanatctl confirm says that all is well",
                     by_whom(config.by), config.left);
}

std::string Sentences::operator()(const ConfigConfirmed& config) const {
  return fmt::format("the configuration is confirmed{}", by_whom(config.by));
}

std::string Sentences::operator()(const ConfigReverted& config) const {
  return fmt::format("nobody confirmed the reload{} within {}: the configuration before it comes back; the file on disk still is the one "
                     "that was on trial",
                     by_whom(config.by), config.within);
}

std::string Sentences::operator()(const SettingChanged& changed) const {
  const Finding& finding = changed.finding;
  if (changed.gone) return fmt::format("mended: {}", finding.what);
  return fmt::format("{}, and no client reaches any service; probes pass all the same; remedy: {}", finding.what, finding.remedy);
}

std::string Sentences::operator()(const ConfigNotCopied& copy) const {
  return fmt::format("the configuration could not be copied: {}; if it has an error at the next start, an older copy is used, or none",
                     copy.error);
}

std::string Sentences::operator()(const StateNotSaved& state) const {
  return fmt::format("the state could not be saved: {}; a restart forgets the last override or drain that began or ended", state.error);
}

std::string Sentences::operator()(const HistoryNotWritten& history) const {
  return fmt::format("the history cannot be written: {}; until that works it is kept in memory only", history.error);
}

std::string Sentences::operator()(const HistoryWritten&) const { return "the history is written again"; }

std::string Sentences::operator()(const MessagesLost& lost) const {
  return fmt::format("{} messages before this one were lost, because their reader had stopped; `hanatctl status` shows the present state",
                     lost.number);
}

std::string Sentences::operator()(const MetricsNotServed& metrics) const {
  return fmt::format(
      "no metrics are served: {}; everything else works. Free the port, or name another one as [hanatd] metrics, then hanatctl "
      "reload",
      metrics.error);
}

std::string Sentences::operator()(const HookFailed& failed) const {
  std::string what = fmt::format("the hook {}{}", service_.empty() ? "of [hanatd] " : "", escaped(failed.program));
  const std::string untold = failed.untold == 1 ? "" : fmt::format("; {} events were not told", failed.untold);
  const std::string line = failed.detail.empty() ? "" : fmt::format(" ({})", failed.detail);
  switch (failed.fault) {
  case HookFault::exit_status: return fmt::format("{} failed with exit status {}{}{}", what, failed.number, line, untold);
  case HookFault::signal: return fmt::format("{} was ended by signal {}{}{}", what, failed.number, line, untold);
  case HookFault::time_limit:
    return fmt::format("{} did not end within {} (hook_timeout), and was ended with its children{}{}", what, duration_text(failed.timeout),
                       line, untold);
  case HookFault::not_trusted: return fmt::format("{} was not run: {}{}", what, failed.detail, untold);
  case HookFault::not_started: return fmt::format("{} could not be started: {}{}", what, failed.detail, untold);
  }
  return what;
}

std::string Sentences::operator()(const Message& message) const { return message.text; }

} // namespace hanat::events

namespace hanat {

std::string_view to_text(HookFault fault) {
  switch (fault) {
  case HookFault::exit_status: return "exit-status";
  case HookFault::signal: return "signal";
  case HookFault::time_limit: return "time-limit";
  case HookFault::not_trusted: return "not-trusted";
  case HookFault::not_started: return "not-started";
  }
  return {};
}

} // namespace hanat
