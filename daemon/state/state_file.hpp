// State that survives a restart besides the kernel's table: the overrides of operators, the servers that they disabled and the addresses of
// names, in DIR/state.json, and the flows that drain or are kept, in DIR/drains.json. hanatd starts whatever these files contain.
// Not here: applying the state (failover), when it is written (state_writer).
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "daemon/util/wall_time.hpp"
#include "nat/address.hpp"
#include "nat/fd.hpp"

namespace hanat {

struct SavedOverride {
  std::string service;
  std::string target; // "primary", "backup", "backup2", ...
  std::optional<WallTime> until;
  std::string reason, by;
  WallTime since{};
  std::vector<Endpoint> addresses = {}; // of the server, which it follows; empty: of an older hanatd, it is of the role
  bool until_down = false;
  bool drill = false;
  std::string host = {}; // the server's name, "db1.lan:5432"; empty: its addresses are configured
  bool operator==(const SavedOverride&) const = default;
};

/// A server that an operator took out of service.
struct SavedMaintenance {
  std::string service, server; // its role then
  std::vector<Endpoint> addresses;
  std::optional<WallTime> until;
  std::string reason, by;
  WallTime since{};
  std::string host = {};
  bool operator==(const SavedMaintenance&) const = default;
};

/// Flows that may stay with a former target.
struct SavedDrain {
  std::string service, comment;  // comment: that of their stale keys, if there are any
  std::optional<WallTime> until; // nullopt: without end
  bool until_down = false;       // as long as their server, which was full, is not down
  std::vector<Mapping> flows;
  bool operator==(const SavedDrain&) const = default;
};

/// The address that a name of a server had.
struct SavedName {
  std::string name; // "db1.lan"
  Address address;
  bool operator==(const SavedName&) const = default;
};

struct State {
  std::vector<SavedOverride> overrides;
  std::vector<SavedMaintenance> maintenance = {}; // "disabled" in the file, which an older hanatd ignores
  std::vector<SavedDrain> drains;
  std::vector<SavedName> names = {}; // likewise
  bool operator==(const State&) const = default;
};

struct LoadedState {
  State state;
  std::string warning; // empty, or one line for the log: what is wrong, what was used, where the bad file is now
};

/// Parses the text of a state file. Never throws: uses the complete items, and sets a warning if there are others.
LoadedState parse_state(const std::string& text);

/// Reads both files. Does not throw for their content: a missing file is an empty state; of a truncated or damaged file the complete items
/// are used; a file of another owner, or one that is not a regular file, is not read. A bad file is renamed to state.json.bad.
LoadedState load_state(const std::filesystem::path& dir);

/// Replaces each file completely or not at all (mode 0640). Blocks until the disk has written if an override or a disabled server changed,
/// so it must not run on the loop's thread. Throws std::system_error.
void save_state(const std::filesystem::path& dir, const State& state);

/// Locks DIR/lock during its lifetime, so that no two daemons share a state directory.
class StateLock {
public:
  /// Throws std::system_error; EBUSY, with the pid of the holder in the text, if another daemon has the lock. Works on a full or read-only
  /// disk, because the lock does not need to write.
  explicit StateLock(const std::filesystem::path& dir);

private:
  Fd fd_; // the kernel releases the lock with the descriptor, even if the daemon crashes
};

} // namespace hanat
