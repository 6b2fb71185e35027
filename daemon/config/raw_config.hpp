// The settings as written in the files, each with its location, before defaults are applied and services are validated; and the steps that
// produce and use them.
// Not here: the finished values (config).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <toml++/toml.h>

#include "daemon/config/config.hpp"
#include "daemon/config/diagnostics.hpp"
#include "daemon/config/parse_values.hpp"
#include "daemon/config/toml_reader.hpp"

namespace hanat::config {

struct RawProbe {
  SourceLocation location;
  probes::ProbeSpec spec;
};
using RawProbes = std::vector<RawProbe>;

struct RawAddress {
  SourceLocation location;
  Endpoint endpoint;
  std::uint16_t last = 0; // last port of a range; 0: not a range
  std::string host = {};  // the name in place of an address, of which `endpoint` has the port alone; empty: an address
};
struct RawServer {
  SourceLocation location;
  std::vector<RawAddress> addresses; // at most one per family, or one name; empty after an error
  Field<nat::Snat> snat;
  Field<RawProbes> probes;
};

struct RawListen {
  SourceLocation location;
  Listener listener;
};

/// Each of the two comes from the service, or else from [defaults].
struct RawHook {
  Field<std::vector<std::string>> command;
  Field<Clock::duration> timeout;
};

/// A [service.X] table, or [defaults].
struct RawService {
  std::string name;
  SourceLocation location;
  std::uint32_t last_line = 0; // of a [service.X] table: the last line on which one of its keys begins; UINT32_MAX: one is before the table
  Field<std::vector<RawListen>> listen; // the valid entries, even if others have errors
  Field<RawServer> primary;
  Field<std::vector<RawServer>> backups;
  Field<nat::Snat> snat;
  Field<RawProbes> probes;
  Field<DownRule> down;
  Field<UpRule> up;
  Field<Failback> failback;
  Field<FlowPolicy> on_failover, on_failback, on_forced;
  Field<OnNone> on_none;
  Field<Clock::duration> none_after;
  Field<Endpoint> witness;
  Field<bool> hold, nudge, offload;
  Field<Mode> mode;
  RawHook hook;
};

/// A [group.X] table.
struct RawGroup {
  struct Member {
    SourceLocation location;
    std::string name;
  };
  std::string name;
  SourceLocation location;
  std::vector<Member> members; // the valid entries, even if others have errors
};

/// The settings of all files.
struct RawConfig {
  OnStop on_stop = OnStop::keep;
  std::string operators;
  Clock::duration reconcile = Config{}.reconcile;
  std::optional<Endpoint> metrics, resolver;
  PathCheck path_check;
  nat::ProbePorts probe_ports;
  std::optional<PairConfig> pair;
  HookConfig hook;
  RawService defaults;
  std::vector<RawService> services; // in the order of the files
  std::vector<RawGroup> groups;
  bool all_read = true; // false: some file could not be read, and may define services that are missing here
};

/// read_service.cpp: all tables of one file. Only the main file may have [hanatd], [pair] and [defaults].
void read_tables(const toml::table& root, std::size_t file, bool main_file, RawConfig& raw, Diagnostics& diagnostics);
/// read_service.cpp: one [service.X], or [defaults] if the name is empty.
RawService read_service(const toml::table& table, std::string name, std::size_t file, Diagnostics& diagnostics);
/// read_pair.cpp: [pair].
void read_pair(const toml::table& table, std::size_t file, RawConfig& raw, Diagnostics& diagnostics);
/// read_group.cpp: every [group.X] of one file.
void read_groups(const toml::table& table, std::size_t file, RawConfig& raw, Diagnostics& diagnostics);
/// read_hook.cpp: `hook`, `hook_timeout`.
RawHook read_hook(TableReader& reader);
/// read_server.cpp: `primary`, `backup`, `snat`.
Field<RawServer> read_primary(TableReader& reader, std::size_t file, Diagnostics& diagnostics);
Field<std::vector<RawServer>> read_backups(TableReader& reader, std::string_view service, std::size_t file, Diagnostics& diagnostics);
Field<nat::Snat> read_snat(TableReader& reader);
/// probe/read_probe.cpp: `probe`, a table or a list of tables.
Field<RawProbes> read_probes(TableReader& reader, std::size_t file, Diagnostics& diagnostics);

/// A service with defaults applied, and the raw settings behind it, which give errors their locations.
struct Resolved {
  ServiceConfig service;
  const RawService* raw = nullptr; // its own table
  const std::vector<RawListen>* listen = nullptr;
  std::vector<const RawServer*> servers;                    // parallel to service.servers
  std::vector<std::vector<SourceLocation>> probe_locations; // parallel to service.servers and their probes
  SourceLocation down_location;                             // line 0: the built-in rule
  bool down_valid = true;
  SourceLocation snat_location; // of snat in the service or in [defaults]
  SourceLocation witness_location;
  /// Whether this entry of `listen` has the family. An interface of no certain family has those of the servers; where all of these are
  /// names, both.
  bool listens_in(const Listener& listener, Family family) const;
};
/// Limit for all files together. Each VIP is an element of a kernel map, and loading this many takes about a second.
inline constexpr std::size_t most_vips = 262'144;

/// apply_defaults.cpp: applies [defaults], expands small ranges, sets the roles.
std::vector<Resolved> apply_defaults(const RawConfig& raw, Diagnostics& diagnostics);
/// read_group.cpp: sets the group of each service, and checks that the services of a group can move together.
void join_groups(const RawConfig& raw, std::vector<Resolved>& services, Diagnostics& diagnostics);
/// validate.cpp: finds settings that contradict each other.
void validate(const std::vector<Resolved>& services, Diagnostics& diagnostics);
/// validate_hosts.cpp: the same for servers that are configured by their names.
void validate_hosts(const Resolved& service, Diagnostics& diagnostics);

} // namespace hanat::config
