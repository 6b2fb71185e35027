// One condition after the other.
#include "cli/daemon_notices.hpp"

#include <string>
#include <utility>

#include <fmt/format.h>

#include "cli/show_peer.hpp"
#include "cli/text.hpp"
#include "daemon/util/escape.hpp"

namespace hanat::cli {
namespace {

/// What is to be said of the configuration in use, and of reloads.
void add_config(std::vector<Notice>& all, const DaemonStatus& daemon, WallTime now) {
  if (const auto& unconfirmed = daemon.unconfirmed)
    all.push_back({false,
                   fmt::format("the configuration is on trial (by {}): the one before it comes back in {}, at {}, unless it is confirmed:",
                               escaped(unconfirmed->by), duration(unconfirmed->left_s), local_time(unconfirmed->until, now)),
                   {"hanatctl confirm"}});
  if (const auto& reverted = daemon.reverted)
    all.push_back(
        {true,
         fmt::format("nobody confirmed the reload by {}: since {} the configuration before it is in force again, and the files on "
                     "disk are still those of the reload. Correct them, or take them as they are:",
                     escaped(reverted->by), local_time(reverted->at, now)),
         {"hanatctl plan; hanatctl reload --confirm 60s"}});
  if (const auto& refused = daemon.reload_refused) {
    Notice notice{true, fmt::format("the last reload was refused ({}, by {}), and the old configuration stays in force: {}{}: {}{}",
                                    local_time(refused->at, now), escaped(refused->by), plural(refused->errors, "error"),
                                    refused->errors == 1 ? "" : ", the first", escaped(refused->first),
                                    refused->errors == 1 ? "" : ". To see all of them:")};
    if (refused->errors > 1) notice.remedies.emplace_back("hanatctl plan");
    all.push_back(std::move(notice));
  } else if (daemon.config_stale && !daemon.reverted) {
    all.push_back({false,
                   fmt::format("the configuration on disk is not the one in use{}. To see what it changes, and to use it:",
                               daemon.config_loaded_at ? ", which was loaded at " + local_time(*daemon.config_loaded_at, now) : ""),
                   {"hanatctl plan; hanatctl reload"}});
  }
  if (const auto& hangs = daemon.reload_hangs)
    all.push_back(
        {true, fmt::format("the reload of {} (by {}) still waits for its files: a disk or a directory service hangs; failover goes "
                           "on by the configuration in use",
                           local_time(hangs->since, now), escaped(hangs->by))});
}

} // namespace

std::vector<Notice> daemon_notices(const DaemonStatus& daemon, WallTime now) {
  std::vector<Notice> all;
  if (daemon.pair) all = peer_notices(*daemon.pair);
  for (const FindingStatus& found : daemon.findings)
    all.push_back(
        {true, fmt::format("no client reaches any service: {} [{}]", escaped(found.what), escaped(found.code)), {escaped(found.remedy)}});
  if (daemon.kernel != "in-step")
    all.push_back({true, fmt::format("the kernel is not in sync with hanatd's decisions ({}){}; hanatd tries again", escaped(daemon.kernel),
                                     daemon.kernel_error ? ": " + escaped(*daemon.kernel_error) : std::string{})});
  if (daemon.fallback) all.push_back({true, escaped(*daemon.fallback)});
  add_config(all, daemon, now);
  if (daemon.inconclusive && daemon.inconclusive->ends_with(')')) // some probes, and which
    all.push_back({true, fmt::format("some servers cannot be probed: {}; their health stays as it is, all others are judged as ever",
                                     escaped(*daemon.inconclusive))});
  else if (daemon.inconclusive)
    all.push_back({true, fmt::format("hanatd cannot probe the servers: {}; no failover until it can", escaped(*daemon.inconclusive))});
  return all;
}

} // namespace hanat::cli
