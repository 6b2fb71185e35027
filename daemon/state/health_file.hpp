// What was known of the servers before a restart: DIR/health, a line of JSON for the file, then one for each service whenever something of
// it changes; of two lines for a service the later one counts. The first line has the moment until which all of that was so. Only the
// process may end at any moment: the file is not synced, as after an end of the machine its verdicts are void anyway.
// Not here: what is saved when (failover/saved_health), the thread that writes (health_writer), what is restored (failover/saved_health).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/util/wall_time.hpp"
#include "nat/address.hpp"
#include "nat/clock.hpp"
#include "nat/fd.hpp"

namespace hanat {

/// Results in a row.
struct SavedRun {
  unsigned length = 0;
  Time began{};
  bool operator==(const SavedRun&) const = default;
};

struct SavedResult {
  std::string outcome, reason, detail;
  Clock::duration latency{};
  Time at{};
  bool operator==(const SavedResult&) const = default;
};

/// A probe and its window. Times are of the steady clock, which goes on over a restart of the process.
struct SavedProbe {
  std::uint64_t identity = 0; // of its values and its endpoint
  std::string health;
  std::vector<Time> fails, fails_or_full;
  SavedRun passes, alive;
  std::optional<SavedResult> last;
  std::string last_failure; // a reason; empty: none
  bool operator==(const SavedProbe&) const = default;
};

struct SavedServer {
  std::vector<Endpoint> addresses;
  std::optional<Time> up_since; // nullopt: it was not up
  bool planned = false;
  unsigned flap_level = 0;
  std::optional<Time> lost_at, gained_at; // the traffic; the first exactly where there is a level
  std::vector<SavedProbe> probes;
  bool operator==(const SavedServer&) const = default;
};

struct SavedService {
  std::string service;
  std::string target; // a role or "none"; empty: nothing was decided
  WallTime since{};
  std::string why;           // its reason
  std::string shadow_target; // mode observe: a role or "none"; empty: nothing was decided
  bool in_outage = false;    // all servers had fallen silent
  std::vector<SavedServer> servers;
  bool operator==(const SavedService&) const = default;
};

/// Until when the file was so, on both clocks, and since which boot of the machine the steady one runs.
struct HealthStamp {
  std::string boot;
  WallTime wall{};
  Time steady{};
  bool operator==(const HealthStamp&) const = default;
};

struct SavedHealth {
  HealthStamp stamp;
  std::map<std::string, SavedService> services; // by name
  std::string warning;                          // empty, or one line for the log: what is wrong, what was used
};

/// Of this boot of the machine; empty: unknown.
std::string boot_id();

/// A line, with its end. Times are cut to whole milliseconds.
std::string line_of(const SavedService& service);
/// The line of a service that is gone.
std::string gone_line(std::string_view service);

/// Never throws: uses the complete lines. An interrupted write leaves a last line without an end, which is no damage.
SavedHealth parse_health(std::string_view text);
/// Does not throw for the file's content. A damaged one is renamed to health.bad; one of another version is left alone, without a warning.
SavedHealth load_health(const std::filesystem::path& dir);

/// The file while hanatd runs. Blocks for the disk: not for the loop's thread.
class HealthFile {
public:
  HealthFile(std::filesystem::path dir, std::string boot) : dir_(std::move(dir)), boot_(std::move(boot)) {}

  /// A new file, which replaces the old one at the first stamp. Throws std::system_error, as the others do.
  void begin();
  void append(const std::string& lines);
  /// Everything is in the file, as of this moment.
  void stamp(WallTime wall, Time steady);
  /// Somebody removed or replaced it.
  bool is_lost() const;

private:
  void rewrite();

  std::filesystem::path dir_;
  std::string boot_;
  Fd fd_;
  bool is_new_ = false; // the old one still stands
  std::size_t bytes_ = 0, bytes_at_rewrite_ = 0;
};

} // namespace hanat
