// What survives a restart beside the kernel's own table: the operators' overrides, in DIR/state.json, and the flows that drain or are kept,
// in DIR/drains.json. The kernel is the truth; these files are a memory of wishes, and whatever they look like, the daemon starts.
// Not here: obeying it (gateway), when it is written (state_writer).
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "daemon/fd.hpp"
#include "daemon/walltime.hpp"
#include "nat/address.hpp"

namespace hanat {

struct Override {
  std::string service;
  std::string target; // "primary", "backup", "backup2", ...
  std::optional<WallTime> until;
  std::string reason, by;
  WallTime since{};
  bool operator==(const Override&) const = default;
};

/// Flows of an old target that may stay where they are.
struct KeptDrain {
  std::string service, comment;  // the comment of their stale keys, once they have some
  std::optional<WallTime> until; // nullopt: kept
  std::vector<Mapping> flows;
  bool operator==(const KeptDrain&) const = default;
};

struct State {
  std::vector<Override> overrides;
  std::vector<KeptDrain> drains;
  bool operator==(const State&) const = default;
};

struct LoadedState {
  State state;
  std::string warning; // empty, or one line for the journal: what was wrong, what was kept, where the bad file is now
};

/// What the text of a state file says, and what is wrong with it (empty: nothing). Never throws: what is whole is used.
LoadedState parse_state(const std::string& text);

/// Never throws for what it finds: a file that is missing is an empty state; of one that is cut short or partly wrong what is whole is
/// used; one of a foreign owner, or not a file, is not read. A bad file is kept aside as state.json.bad.
LoadedState load_state(const std::filesystem::path& dir);

/// Replaces each file as a whole or not at all (0640). Where overrides changed it waits for the disk: not for the loop's thread when the
/// disk is slow. Throws std::system_error.
void save_state(const std::filesystem::path& dir, const State& state);

/// Holds DIR/lock as long as it lives, so that no two daemons share a state directory.
class StateLock {
public:
  /// Throws std::system_error; EBUSY, with the holder's pid in the text, when another daemon has it. A disk that is full or read-only is no
  /// error: the lock needs nothing written.
  explicit StateLock(const std::filesystem::path& dir);

private:
  Fd fd_; // the lock ends with the descriptor, however the daemon dies
};

} // namespace hanat
