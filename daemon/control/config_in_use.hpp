// The configuration in use, as the status tells of it. Not here: who changes it (reload_requests), its files on disk (config_watch).
#pragma once

#include <optional>
#include <string>

#include "daemon/api/status.hpp"
#include "daemon/util/wall_time.hpp"
#include "nat/clock.hpp"

namespace hanat {

struct ConfigInUse {
  std::string file;                    // that it came from
  std::optional<std::string> fallback; // why that is not the file that was named
  WallTime loaded_at{};
  bool stale = false;                                // the files on disk are not those in use
  std::optional<RefusedReload> refused = {};         // since it was loaded
  std::optional<UnconfirmedConfig> unconfirmed = {}; // its left_s is of no use: see reverts_at
  Time reverts_at{};
  std::optional<RevertedConfig> reverted = {}; // since it was loaded
  std::optional<HungReload> hung = {};         // a reload waits for its files
};

} // namespace hanat
