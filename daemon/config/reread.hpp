// Reads a configuration by what has changed in its files since they were read before: services, each whole, that come, change or go by
// themselves. Whatever is more than that, and whatever is wrong, is for load_config, which reads everything. Pure.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "daemon/config/config.hpp"
#include "daemon/config/fingerprint.hpp"
#include "daemon/config/raw_config.hpp"
#include "daemon/config/read_files.hpp"
#include "daemon/util/wall_time.hpp"

namespace hanat::config {

/// Where the services of a valid configuration stand in its files, and what else says what a service is.
struct Outline {
  /// The first byte of each service's table, in the order of the file. nullopt: its services do not stand one behind the other.
  using Starts = std::optional<std::vector<std::size_t>>;
  Starts main;
  std::vector<Starts> extra; // of each file of conf.d
  RawService defaults;
  std::vector<FileStatus> credentials; // files that the configuration names, as they were
};
/// Of a configuration that has just been read from these files. `begun`: when the reading began.
std::shared_ptr<const Outline> outline_of(const RawConfig& raw, const ConfigFiles& files, const Config& config, WallTime begun);

/// A configuration that was read without an error, and all that it was read from.
struct Reading {
  const Config& config;
  const ConfigFiles& files;
  const Outline& outline;
};
struct Reread {
  Config config; // with the services of before, where they are the same
  std::shared_ptr<const Outline> outline;
};
/// What load_config() would have read. nullopt: that cannot be said without reading everything.
std::optional<Reread> reread(const Reading& before, const ConfigFiles& files);

} // namespace hanat::config
