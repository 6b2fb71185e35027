// What one file says, each value with its place, before defaults are applied and contradictions are looked for.
// Not here: the finished values (config.hpp).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <toml++/toml.h>

#include "daemon/config_findings.hpp"
#include "daemon/config_reader.hpp"
#include "daemon/config_text.hpp"

namespace hanat::config {

struct ProbeText {
  Place place;
  probes::Spec spec;
};
using ProbesText = std::vector<ProbeText>;

struct AddressText {
  Place place;
  Endpoint endpoint;
  std::uint16_t last = 0; // of a range that another range is mapped to
};
struct ServerText {
  Place place;
  std::vector<AddressText> addresses; // one, or one a family; empty: what was written is wrong
  Said<nat::Snat> snat;
  Said<ProbesText> probes;
};

struct ListenText {
  Place place;
  Listener listener;
};

/// A [service.X] table, or [defaults].
struct ServiceText {
  std::string name;
  Place place;
  Said<std::vector<ListenText>> listen; // the right ones, even where others are wrong
  Said<ServerText> primary;
  Said<std::vector<ServerText>> backups;
  Said<nat::Snat> snat;
  Said<ProbesText> probes;
  Said<DownRule> down;
  Said<UpRule> up;
  Said<Failback> failback;
  Said<FlowPolicy> on_failover, on_failback, on_forced;
  Said<OnNone> on_none;
  Said<bool> hold, nudge;
  Said<Mode> mode;
};

/// A [group.X] table.
struct GroupText {
  struct Member {
    Place place;
    std::string name;
  };
  std::string name;
  Place place;
  std::vector<Member> members; // the right ones, even where others are wrong
};

/// Everything that the files say.
struct FilesText {
  OnStop on_stop = OnStop::keep;
  std::string operators;
  Clock::duration reconcile = Config{}.reconcile;
  std::optional<Endpoint> metrics;
  ServiceText defaults;
  std::vector<ServiceText> services; // in the order of the files
  std::vector<GroupText> groups;
  bool whole = true; // every file could be read: a service that is in none of them is in none
};

/// config_file: the top of one file. `main_file`: it may say [hanatd] and [defaults].
void read_file_text(const toml::table& root, std::size_t file, bool main_file, FilesText& files, Findings& findings);
/// config_service: one [service.X], or [defaults] when the name is empty.
ServiceText read_service(const toml::table& table, std::string name, std::size_t file, Findings& findings);
/// config_group: every [group.X] of one file.
void read_groups(const toml::table& table, std::size_t file, FilesText& files, Findings& findings);
/// config_server: `primary`, `backup`, `snat`.
Said<ServerText> read_primary(TableReader& reader, std::size_t file, Findings& findings);
Said<std::vector<ServerText>> read_backups(TableReader& reader, std::string_view service, std::size_t file, Findings& findings);
Said<nat::Snat> read_snat(TableReader& reader);
/// config_probe: `probe`, a table or a list of tables.
Said<ProbesText> read_probes(TableReader& reader, std::size_t file, Findings& findings);

/// A finished service beside what was written of it, for errors about contradictions.
struct Merged {
  Service service;
  const ServiceText* text = nullptr; // its own table
  const std::vector<ListenText>* listen = nullptr;
  std::vector<const ServerText*> servers;       // parallel to service.servers
  std::vector<std::vector<Place>> probe_places; // parallel to service.servers and their probes
  Place down_place;                             // line 0: the built-in rule
  bool down_right = true;
  Place snat_place; // of the service's or the defaults' snat
};
/// config_merge: applies [defaults], expands small ranges, names the roles.
std::vector<Merged> merge(const FilesText& files, Findings& findings);
/// config_group: gives every service its group, once its services can have one fate.
void join_groups(const FilesText& files, std::vector<Merged>& services, Findings& findings);
/// config_check: what cannot work together.
void check(const std::vector<Merged>& services, Findings& findings);

} // namespace hanat::config
