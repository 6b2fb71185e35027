// What survives a restart beside the kernel's own table: the operators' overrides, in DIR/state.json. The kernel is the truth; this file
// is a memory of wishes, and whatever it looks like, the daemon starts. Not here: obeying an override (gateway).
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "daemon/fd.hpp"
#include "daemon/walltime.hpp"

namespace hanat {

struct Override {
  std::string service;
  std::string target; // "primary", "backup", "backup2", ...
  std::optional<WallTime> until;
  std::string reason, by;
  WallTime since{};
  bool operator==(const Override&) const = default;
};

struct LoadedOverrides {
  std::vector<Override> overrides;
  std::string warning; // empty, or one line for the journal: what was wrong, what was kept, where the bad file is now
};

/// Never throws for what it finds: a file that is missing is no override; of one that is cut short or partly wrong the overrides that are
/// whole are used; one of a foreign owner, or not a file, is not read. A bad file is kept aside as state.json.bad.
LoadedOverrides load_overrides(const std::filesystem::path& dir);

/// Replaces the file as a whole or not at all (0640). Waits for the disk: not for the loop's thread when the disk is slow. Throws
/// std::system_error.
void save_overrides(const std::filesystem::path& dir, const std::vector<Override>& overrides);

/// Holds DIR/lock as long as it lives, so that no two daemons share a state directory.
class StateLock {
public:
  /// Throws std::system_error; EBUSY, with the holder's pid in the text, when another daemon has it.
  explicit StateLock(const std::filesystem::path& dir);

private:
  Fd fd_; // the lock ends with the descriptor, however the daemon dies
};

} // namespace hanat
