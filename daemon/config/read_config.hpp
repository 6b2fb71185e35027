// A configuration as it was at one moment: its files, what they say, and the number of the operators' group. All of it may block, on a disk
// or a directory service, so it is called on a thread. Not here: the steps (read_files, load_config), the thread (util/job_queue).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "daemon/config/load_config.hpp"

namespace hanat {

struct ReadConfig {
  std::shared_ptr<const Config> config = {}; // null: it has errors
  std::vector<ConfigError> errors = {};
  std::shared_ptr<const config::Outline> outline = {}; // by which they can be read again; null: only as a whole
  config::ConfigFiles files = {};                      // that it was read from; none: texts
  std::uint64_t content = 0;                           // config_content_hash() of them
  std::optional<gid_t> operators = {};                 // the number of the group, if there is one of that name
  std::string operators_error = {};                    // why it cannot be the operators'
};

/// Programs of hooks that may not be run are errors: the configuration is not usable then. Of a
/// reload or a plan; `name`: of the file.
void check_hooks(ReadConfig& read, const std::string& name);
/// None throws. `before`: what was read the last time; services that are the same are shared with it, and where little has changed the rest
/// is not read again.
ReadConfig read_config(const std::filesystem::path& file, const ReadConfig* before = nullptr);
/// Without the group.
ReadConfig read_config_at_start(const std::filesystem::path& file);
ReadConfig read_config(const std::vector<ConfigText>& texts);

} // namespace hanat
