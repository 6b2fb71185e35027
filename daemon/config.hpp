// The configuration as values, and the function that reads it. What is here has been checked: no later room doubts it.
// Not here: applying it (gateway), the words on how to write it (man page hanat.toml.5, packaging/hanat.toml).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "nat/address.hpp"
#include "nat/rules.hpp"
#include "probes/probe.hpp"

namespace hanat {

using Clock = probes::Clock;

struct DownRule { // down = { fails, within }
  unsigned fails = 3;
  Clock::duration within = std::chrono::seconds{10};
  bool operator==(const DownRule&) const = default;
};
struct UpRule { // up = { passes, stable_for }
  unsigned passes = 2;
  Clock::duration stable_for = std::chrono::seconds{5};
  bool operator==(const UpRule&) const = default;
};
/// Minutes since local midnight, [from, to); from > to runs over midnight.
struct DayWindow {
  std::chrono::minutes from{}, to{};
  bool operator==(const DayWindow&) const = default;
};
struct Failback {
  bool automatic = true;   // false: "manual"
  Clock::duration after{}; // the better server must have been up for so long
  std::optional<DayWindow> window;
  bool operator==(const Failback&) const = default;
};
enum class OnNone : std::uint8_t { refuse, drop, keep };
/// What happens to flows of the old target: ended at once, ended after a time, left to themselves.
enum class FlowFate : std::uint8_t { reset, drain, keep };
struct FlowPolicy {
  FlowFate fate = FlowFate::reset;
  Clock::duration time{}; // of a drain
  bool operator==(const FlowPolicy&) const = default;
};
enum class OnStop : std::uint8_t { keep, remove };
/// observe: hanat probes, decides and journals, and what the kernel holds for the service stays as it is.
enum class Mode : std::uint8_t { automatic, observe };

struct Server {
  std::string role;                // "primary", "backup", "backup2", ...
  std::vector<Endpoint> addresses; // one, or one a family; port 0: the listener's own
  nat::Snat snat;
  std::vector<probes::Spec> probes;
  std::map<Vip, std::uint16_t> mapped{}; // listeners' ranges that have other ports here: the first one's port
  bool operator==(const Server&) const = default;
};

struct Service {
  std::string name;
  std::vector<Vip> listen;              // small ranges are already expanded
  std::vector<std::string> listen_text; // as written, for status
  std::vector<Server> servers;          // the primary, then the backups in order
  DownRule down;
  UpRule up;
  Failback failback;
  FlowPolicy on_failover = {};
  FlowPolicy on_failback = {};
  FlowPolicy on_forced = {};
  OnNone on_none = OnNone::refuse;
  bool hold = true;  // TCP: the refusal of a server that may be dying is kept from its client, once
  bool nudge = true; // TCP: clients that wait in silence are told of a flip
  Mode mode = Mode::automatic;
  std::string group = {}; // whose services have one fate with this one; empty: none
  bool operator==(const Service&) const = default;
};

/// The endpoint that a server serves a VIP on: the address of the VIP's family, the VIP's port where none was said (of a range: 0, each
/// flow keeps its own). nullopt: no address of that family.
std::optional<Endpoint> endpoint_for(const Server& server, const Vip& vip);
/// Does the server serve something there? Port 0 is any.
bool serves_at(const Server& server, const Endpoint& at);
/// What the packets of a probe are; nullopt: of nothing that has ports (icmp), or whatever its program likes (exec).
std::optional<Protocol> asks_over(probes::Kind kind);
/// Every question that is asked of a server, one a (probe, address). Port 0: of what needs none, or of nothing but ranges, which
/// config_check refuses.
std::vector<probes::Question> questions_for(const Service& service, const Server& server);

struct Config {
  OnStop on_stop = OnStop::keep;
  std::string operators;                                // group that may change things, beside root; empty: root alone
  Clock::duration reconcile = std::chrono::seconds{60}; // conntrack is compared with the targets so often, at most
  std::optional<Endpoint> metrics;                      // where they are served
  std::vector<Service> services;
  bool operator==(const Config&) const = default;
};

/// One finding: where, what, and what to do. line and column count from 1; 0: the file as a whole.
struct ConfigError {
  std::string file;
  std::uint32_t line = 0, column = 0;
  std::string message;
  bool operator==(const ConfigError&) const = default;
};
/// "file:line:col: message"
std::string to_text(const ConfigError& error);

using ConfigResult = std::variant<Config, std::vector<ConfigError>>;

/// Reads FILE and, beside it, conf.d/*.toml in name order (each may add services, none may say one twice). Every error of every file at
/// once. Never blocks on a fifo, never reads more than 16 MiB a file; never throws for what stands in a file.
ConfigResult load_config(const std::filesystem::path& file);
/// The same for text in memory: `name` stands for the file in errors.
ConfigResult parse_config(std::string_view text, const std::string& name);

} // namespace hanat
