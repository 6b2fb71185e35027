// Reads the tables of one file: [hanatd], [defaults], [service.X].
// Not here: servers (read_server), probes (probe/read_probe), [group.X] (read_group), [pair] (read_pair), how tables combine
// (apply_defaults, validate).
#include "daemon/config/raw_config.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <system_error>
#include <utility>

#include <fmt/format.h>

namespace hanat::config {
namespace {

using namespace std::chrono_literals;

constexpr unsigned most_results = 1'000; // limit of `fails` and `passes`: each result is kept in memory
constexpr DurationLimits within_limits{.least = 1ms, .most = day, .example = "10s"};
constexpr DurationLimits stable_for_limits{.least = 0s, .most = day, .example = "5s"};
constexpr DurationLimits after_limits{.least = 0s, .most = 30 * day, .example = "30s"};
constexpr DurationLimits penalty_limits{.least = 0s, .most = day, .example = "10m"};
constexpr DurationLimits none_after_limits{.least = 0s, .most = 1h, .example = "3s"};
constexpr DurationLimits reconcile_limits{.least = 1s, .most = day, .example = "60s"};
constexpr DurationLimits path_check_limits{.least = 5s, .most = day, .example = "60s"};

constexpr Choice<OnNone> on_none_choices[] = {
    {.text = "refuse", .value = OnNone::refuse}, {.text = "drop", .value = OnNone::drop}, {.text = "keep", .value = OnNone::keep}};
constexpr Choice<Mode> mode_choices[] = {{.text = "auto", .value = Mode::automatic}, {.text = "observe", .value = Mode::observe}};
constexpr Choice<OnStop> on_stop_choices[] = {{.text = "keep", .value = OnStop::keep}, {.text = "remove", .value = OnStop::remove}};

Field<DownRule> read_down(TableReader& service, std::size_t file, Diagnostics& diagnostics) {
  Field<DownRule> result;
  const toml::table* table = service.table("down", "down = { fails = 3, within = \"10s\" }");
  if (table == nullptr) return result;
  TableReader reader{*table, file, "down.", diagnostics};
  result.present = true;
  result.location = reader.location(*table);
  const std::size_t errors_before = diagnostics.count();
  DownRule rule;
  rule.fails = reader.count("fails", 1, most_results, "3").value.value_or(rule.fails);
  rule.within = reader.duration("within", within_limits).value.value_or(rule.within);
  reader.finish();
  if (diagnostics.count() == errors_before) result.value = rule;
  return result;
}

Field<UpRule> read_up(TableReader& service, std::size_t file, Diagnostics& diagnostics) {
  Field<UpRule> result;
  const toml::table* table = service.table("up", "up = { passes = 2, stable_for = \"5s\" }");
  if (table == nullptr) return result;
  TableReader reader{*table, file, "up.", diagnostics};
  result.present = true;
  result.location = reader.location(*table);
  UpRule rule;
  rule.passes = reader.count("passes", 1, most_results, "3").value.value_or(rule.passes);
  rule.stable_for = reader.duration("stable_for", stable_for_limits).value.value_or(rule.stable_for);
  reader.finish();
  result.value = rule;
  return result;
}

Field<Failback> read_failback(TableReader& service, std::size_t file, Diagnostics& diagnostics) {
  static constexpr Choice<Failback> choices[] = {{.text = "auto", .value = {}},
                                                 {.text = "manual", .value = {.automatic = false, .after = {}, .window = {}}}};
  static constexpr std::string_view example = "\"auto\", or { after = \"30s\", window = \"02:00-04:00\", penalty = \"10m\" }";
  const toml::node* node = service.find("failback");
  if (node == nullptr) return {};
  if (node->is_string()) return service.choice<Failback>("failback", choices);
  Field<Failback> result{.present = true, .location = service.location(*node), .value = std::nullopt};
  const auto* table = node->as_table();
  if (table == nullptr) {
    service.wrong_type(*node, "failback", "a string or a table", example);
    return result;
  }
  TableReader reader{*table, file, "failback.", diagnostics};
  Failback failback;
  failback.after = reader.duration("after", after_limits).value.value_or(failback.after);
  failback.window = reader.parsed<DayWindow>("window", "02:00-04:00", parse_day_window).value;
  failback.penalty = reader.duration("penalty", penalty_limits).value.value_or(failback.penalty);
  reader.finish();
  result.value = failback;
  return result;
}

Field<FlowPolicy> read_policy(TableReader& service, std::string_view key) {
  return service.parsed<FlowPolicy>(key, "reset", [key](std::string_view text) { return parse_flow_policy(text, key); });
}

void read_listen(TableReader& service, Field<std::vector<RawListen>>& listen) {
  static constexpr std::string_view example = "\"203.0.113.10:443/tcp\"";
  const toml::node* node = service.find("listen");
  if (node == nullptr) return;
  listen.present = true;
  listen.location = service.location(*node);
  listen.value.emplace();
  const auto read_one = [&](const toml::node& element) {
    const auto* string = element.as_string();
    if (string == nullptr) return service.wrong_type(element, "listen", "a string or a list of strings", example);
    const auto parsed = parse_listener(string->get());
    if (const auto* failed = std::get_if<Error>(&parsed)) return service.report_error(element, failed->text);
    listen.value->push_back({.location = service.location(element), .listener = std::get<Listener>(parsed)});
  };
  const auto* list = node->as_array();
  if (list == nullptr) return read_one(*node);
  if (list->empty()) service.report_error(*node, fmt::format("listen = [] has no address: write listen = [{}]", example));
  for (const toml::node& element : *list) read_one(element);
}

void report_misplaced(TableReader& service) {
  static constexpr std::string_view probe_keys[] = {"type", "interval", "fast_interval", "timeout", "slow", "port"};
  static constexpr std::string_view down_keys[] = {"fails", "within"};
  static constexpr std::string_view up_keys[] = {"passes", "stable_for"};
  static constexpr std::string_view failback_keys[] = {"after", "window", "penalty"};
  static constexpr std::string_view daemon_keys[] = {"on_stop",  "operators",  "reconcile",  "metrics",
                                                     "resolver", "path_check", "probe_ports"};
  static constexpr std::string_view group_keys[] = {"group", "services"};
  service.misplaced(probe_keys, "write it in the probe, as in probe = { type = \"tcp\", interval = \"1s\" }");
  service.misplaced(down_keys, "write it in down, as in down = { fails = 3, within = \"10s\" }");
  service.misplaced(up_keys, "write it in up, as in up = { passes = 2, stable_for = \"5s\" }");
  service.misplaced(failback_keys, "write it in failback, as in failback = { after = \"30s\", window = \"02:00-04:00\" }");
  service.misplaced(daemon_keys, "write it in [hanatd]");
  service.misplaced(group_keys, "write a separate table, as in [group.sip] services = [\"sip\", \"rtp\"]");
}

/// An address and a port, of a program: a loopback address is as good as any other. nullopt: it is not that.
std::optional<Endpoint> parse_endpoint(std::string_view text) {
  const auto colon = text.rfind(':');
  std::string_view host = text.substr(0, colon == std::string_view::npos ? 0 : colon);
  const std::string_view port = colon == std::string_view::npos ? std::string_view{} : text.substr(colon + 1);
  const bool brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (brackets) host = host.substr(1, host.size() - 2);
  const auto address = Address::parse(host);
  Endpoint result;
  const auto [end, code] = std::from_chars(port.data(), port.data() + port.size(), result.port);
  const bool good_port = code == std::errc{} && end == port.data() + port.size() && result.port != 0;
  if (!address || !good_port || brackets != (address->family() == Family::ipv6) || address->is_multicast()) return std::nullopt;
  result.address = *address;
  return result;
}

/// Where the metrics are served: an address of this machine, or the unspecified address, and a port.
Parsed<Endpoint> parse_metrics(std::string_view text) {
  if (const auto endpoint = parse_endpoint(text)) return *endpoint;
  return error("metrics = {} is not an address and port of this gateway: write it like \"127.0.0.1:9717\" or \"[::1]:9717\"", shown(text));
}

/// "192.0.2.53", or with another port than that of DNS "127.0.0.1:5353".
Parsed<Endpoint> parse_resolver(std::string_view text) {
  constexpr std::uint16_t dns_port = 53;
  auto endpoint = parse_endpoint(text);
  if (const auto address = Address::parse(text)) endpoint = Endpoint{.address = *address, .port = dns_port};
  if (endpoint && !endpoint->address.is_unspecified() && !endpoint->address.is_multicast() && !endpoint->address.is_link_local())
    return *endpoint;
  return error("resolver = {} is not the address of a DNS server: write it like \"192.0.2.53\" or \"[2001:db8::53]:5353\", or remove it, "
               "and those in /etc/resolv.conf are asked",
               shown(text));
}

/// "192.0.2.1", or with a port "192.0.2.1:53".
Parsed<Endpoint> parse_witness(std::string_view text) {
  const auto parsed = parse_server(text);
  const auto* server = std::get_if<ServerPorts>(&parsed);
  if (server != nullptr && server->last == 0) return server->endpoint;
  return error("witness = {} is not an address: write one that answers pings, as in \"192.0.2.1\", or one with a TCP port, as in "
               "\"192.0.2.1:53\" or \"[2001:db8::1]:53\"",
               shown(text));
}

/// "clients", "off", or the interval of checks beside those by clients.
Parsed<PathCheck> parse_path_check(std::string_view text) {
  if (text == "clients") return PathCheck{};
  if (text == "off") return PathCheck{.clients = false};
  if (text.empty() || !is_digit(text.front()))
    return error("path_check = {} is not known: write \"clients\", \"off\" or an interval like \"60s\"", shown(text));
  auto interval = parse_duration(text, "path_check", path_check_limits);
  if (auto* failed = std::get_if<Error>(&interval)) return std::move(*failed);
  return PathCheck{.interval = std::get<Clock::duration>(interval)};
}

/// "61000-61999"
Parsed<nat::ProbePorts> parse_probe_ports(std::string_view text) {
  constexpr unsigned lowest = 1'024;              // those below belong to servers
  constexpr unsigned fewest = 100, most = 10'000; // a burst of probes must find free ones; clients need the others
  const auto dash = text.find('-');
  const auto port = [](std::string_view digits) -> unsigned {
    unsigned value = 0;
    const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return failed == std::errc{} && end == digits.data() + digits.size() && value <= UINT16_MAX ? value : 0;
  };
  const unsigned first = dash == std::string_view::npos ? 0 : port(text.substr(0, dash));
  const unsigned last = dash == std::string_view::npos ? 0 : port(text.substr(dash + 1));
  if (first == 0 || last == 0 || first > last)
    return error("probe_ports = {} is not a range of ports: write the first and the last one, as in \"61000-61999\"", shown(text));
  if (first < lowest)
    return error("probe_ports = {} begins below {}, the minimum: write ports that no server uses, as in \"61000-61999\"", shown(text),
                 grouped(lowest));
  if (const unsigned count = last - first + 1; count < fewest || count > most)
    return error("probe_ports = {} has {} ports: write a range of {} to {}, as in \"61000-61999\"", shown(text), grouped(count), fewest,
                 grouped(most));
  return nat::ProbePorts{.first = static_cast<std::uint16_t>(first), .last = static_cast<std::uint16_t>(last)};
}

void read_daemon(const toml::table& table, std::size_t file, RawConfig& raw, Diagnostics& diagnostics) {
  TableReader reader{table, file, {}, diagnostics};
  raw.on_stop = reader.choice<OnStop>("on_stop", on_stop_choices).value.value_or(OnStop::keep);
  const auto group = reader.parsed<std::string>("operators", "hanat-operators", [](std::string_view text) -> Parsed<std::string> {
    constexpr std::size_t longest = 32; // characters in the name of a Linux group
    if (is_service_name(text) && text.size() <= longest) return std::string{text};
    return error("operators = {} is not a group: write the name of one group, as in \"adm\"; root needs no group", shown(text));
  });
  raw.operators = group.value.value_or("");
  raw.reconcile = reader.duration("reconcile", reconcile_limits).value.value_or(raw.reconcile);
  raw.metrics = reader.parsed<Endpoint>("metrics", "127.0.0.1:9717", parse_metrics).value;
  raw.resolver = reader.parsed<Endpoint>("resolver", "192.0.2.53", parse_resolver).value;
  raw.path_check = reader.parsed<PathCheck>("path_check", "clients", parse_path_check).value.value_or(PathCheck{});
  raw.probe_ports = reader.parsed<nat::ProbePorts>("probe_ports", "61000-61999", parse_probe_ports).value.value_or(nat::ProbePorts{});
  const RawHook hook = read_hook(reader);
  raw.hook.command = hook.command.value.value_or(raw.hook.command);
  raw.hook.timeout = hook.timeout.value.value_or(raw.hook.timeout);
  reader.finish();
}

/// Reports [web] written for [service.web].
void report_bare_service(TableReader& reader, const toml::table& root) {
  static constexpr std::string_view tables[] = {"service", "hanatd", "pair", "defaults", "group"};
  for (auto&& [key, value] : root) {
    const auto* table = value.as_table();
    if (table == nullptr || !(table->contains("listen") || table->contains("primary"))) continue;
    const std::string_view name[] = {key.str()};
    if (is_service_name(name[0]) && nearest(name[0], tables).empty())
      reader.misplaced(name, fmt::format("write it as [service.{}]", name[0]));
  }
}

/// The last line on which a key of the table, or of a table in it, begins; UINT32_MAX: one begins before `first`.
std::uint32_t last_line_of(const toml::table& table, std::uint32_t first) {
  std::uint32_t last = first;
  const auto see = [&](std::uint32_t line) { last = line < first ? UINT32_MAX : std::max(last, line); };
  for (auto&& [key, value] : table) {
    see(key.source().begin.line);
    see(value.source().begin.line);
    if (const auto* inner = value.as_table()) see(last_line_of(*inner, first));
    if (const auto* list = value.as_array())
      for (const toml::node& element : *list)
        if (const auto* inner = element.as_table()) see(last_line_of(*inner, first));
  }
  return last;
}

void read_services(const toml::table& table, std::size_t file, RawConfig& raw, Diagnostics& diagnostics) {
  struct Entry {
    SourceLocation location; // of the key
    SourceLocation order;    // of the table
    std::string_view key;
    const toml::node* value;
  };
  std::vector<Entry> entries; // toml++ sorts keys by name: here they have the order of the file
  entries.reserve(table.size());
  const auto at = [file](const toml::source_region& source) {
    return SourceLocation{.file = file, .line = source.begin.line, .column = source.begin.column};
  };
  for (auto&& [key, value] : table)
    entries.push_back({.location = at(key.source()), .order = at(value.source()), .key = key.str(), .value = &value});
  std::ranges::sort(entries, {}, &Entry::order);
  raw.services.reserve(raw.services.size() + entries.size());
  for (const auto& [location, order, key, value] : entries) {
    const bool named = is_service_name(key);
    const auto* service = value->as_table();
    if (!named)
      diagnostics.add(location, fmt::format("{} is not a valid service name: use 1 to 64 of the characters A-Z a-z 0-9 _ . -", shown(key)));
    else if (service == nullptr)
      diagnostics.add(location,
                      fmt::format("service.{} is {}, but a service is a table: write [service.NAME] above its keys, as in [service.web]",
                                  key, type_name(*value)));
    if (service == nullptr) continue;
    RawService raw_service = read_service(*service, named ? std::string{key} : "X", file, diagnostics);
    raw_service.last_line = last_line_of(*service, raw_service.location.line);
    if (named) raw.services.push_back(std::move(raw_service));
  }
}

} // namespace

RawService read_service(const toml::table& table, std::string name, std::size_t file, Diagnostics& diagnostics) {
  static constexpr std::string_view listen_key[] = {"listen"};
  TableReader reader{table, file, {}, diagnostics};
  RawService service;
  service.name = std::move(name);
  service.location = reader.location(table);
  if (service.name.empty())
    reader.misplaced(listen_key, "two services cannot share a listener; write listen in each [service.NAME]");
  else
    read_listen(reader, service.listen);
  service.primary = read_primary(reader, file, diagnostics);
  service.backups = read_backups(reader, service.name, file, diagnostics);
  service.snat = read_snat(reader);
  service.probes = read_probes(reader, file, diagnostics);
  service.down = read_down(reader, file, diagnostics);
  service.up = read_up(reader, file, diagnostics);
  service.failback = read_failback(reader, file, diagnostics);
  service.on_failover = read_policy(reader, "on_failover");
  service.on_failback = read_policy(reader, "on_failback");
  service.on_forced = read_policy(reader, "on_forced");
  service.on_none = reader.choice<OnNone>("on_none", on_none_choices);
  service.none_after = reader.duration("none_after", none_after_limits);
  service.witness = reader.parsed<Endpoint>("witness", "192.0.2.1", parse_witness);
  service.hold = reader.flag("hold");
  service.nudge = reader.flag("nudge");
  service.offload = reader.flag("offload");
  service.mode = reader.choice<Mode>("mode", mode_choices);
  service.hook = read_hook(reader);
  report_misplaced(reader);
  reader.finish();
  return service;
}

/// Not "move it there": mode = "observe" for all services would stop the failover of those that are live.
constexpr std::string_view misplaced_defaults =
    "[defaults] is for the main file only, where it changes the services of all files. For the services of "
    "this file: write its keys, such as mode, into each [service.NAME] here, and remove [defaults]";

void read_tables(const toml::table& root, std::size_t file, bool main_file, RawConfig& raw, Diagnostics& diagnostics) {
  static constexpr std::string_view service_keys[] = {"listen", "primary", "backup", "snat", "probe", "down", "up", "failback"};
  TableReader reader{root, file, {}, diagnostics};
  const toml::table* services = reader.table("service", "[service.web]");
  const toml::table* daemon = reader.table("hanatd", "[hanatd]");
  const toml::table* pair = reader.table("pair", "[pair]");
  const toml::table* defaults = reader.table("defaults", "[defaults]");
  const toml::table* groups = reader.table("group", "[group.sip]");
  if (services != nullptr) read_services(*services, file, raw, diagnostics);
  if (groups != nullptr) read_groups(*groups, file, raw, diagnostics);
  for (const auto& [table, name] : {std::pair{daemon, "hanatd"}, std::pair{pair, "pair"}, std::pair{defaults, "defaults"}})
    if (table != nullptr && !main_file)
      reader.report_error(*table, table == defaults ? std::string{misplaced_defaults}
                                                    : fmt::format("[{}] belongs in the main file, where it applies to the services of all "
                                                                  "files: move it there",
                                                                  name));
  if (daemon != nullptr && main_file) read_daemon(*daemon, file, raw, diagnostics);
  if (pair != nullptr && main_file) read_pair(*pair, file, raw, diagnostics);
  if (defaults != nullptr && main_file) raw.defaults = read_service(*defaults, {}, file, diagnostics);
  report_bare_service(reader, root);
  reader.misplaced(service_keys, "write it under a [service.NAME] line, as in [service.web]");
  reader.finish();
}

} // namespace hanat::config
