// Reads `probe = { ... }`, or a list of them.
// Not here: whether a probe matches its server and the down rule (validate).
#include "daemon/config/raw_config.hpp"

#include <algorithm>
#include <chrono>
#include <span>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <net/if.h>

#include "daemon/config/probe/keys.hpp"

namespace hanat::config {
namespace {

using namespace std::chrono_literals;
using probes::Kind;

constexpr std::size_t most_probes = 16; // of one server
// A permanent interval below 10 ms costs more than it finds; a burst is short and may be faster.
constexpr DurationLimits interval_limits{.least = 10ms, .most = day, .example = "1s"};
constexpr DurationLimits fast_interval_limits{.least = 1ms, .most = day, .example = "50ms"};
constexpr DurationLimits timeout_limits{.least = 1ms, .most = day, .example = "500ms"};
constexpr DurationLimits slow_limits{.least = 1ms, .most = day, .example = "200ms"};

/// The keys of a kind besides the common ones, and the function that reads them.
struct KindReader {
  Kind kind;
  std::span<const std::string_view> keys;
  void (*read)(TableReader& reader, probes::ProbeSpec& spec);
};
constexpr KindReader kinds[] = {
    {.kind = Kind::tcp, .keys = tcp_keys, .read = read_tcp},       {.kind = Kind::tls, .keys = tls_keys, .read = read_tls},
    {.kind = Kind::http, .keys = http_keys, .read = read_http},    {.kind = Kind::https, .keys = https_keys, .read = read_https},
    {.kind = Kind::icmp, .keys = {}, .read = read_icmp},           {.kind = Kind::udp, .keys = send_expect_keys, .read = read_udp},
    {.kind = Kind::dns, .keys = dns_keys, .read = read_dns},       {.kind = Kind::grpc, .keys = grpc_keys, .read = read_grpc},
    {.kind = Kind::redis, .keys = redis_keys, .read = read_redis}, {.kind = Kind::postgres, .keys = postgres_keys, .read = read_postgres},
    {.kind = Kind::mysql, .keys = mysql_keys, .read = read_mysql}, {.kind = Kind::smtp, .keys = smtp_keys, .read = read_smtp},
    {.kind = Kind::exec, .keys = exec_keys, .read = read_exec},
};

std::vector<std::string_view> kind_names() {
  std::vector<std::string_view> names;
  for (const KindReader& entry : kinds) names.push_back(probes::to_text(entry.kind));
  return names;
}

Parsed<Kind> parse_kind(std::string_view text) {
  for (const KindReader& entry : kinds)
    if (probes::to_text(entry.kind) == text) return entry.kind;
  return error("probe.type = {} is not known{}", shown(text), did_you_mean(text, kind_names()));
}

void assign(const Field<Clock::duration>& field, Clock::duration& value) {
  if (field.value) value = *field.value;
}

void read_timing(TableReader& reader, probes::ProbeSpec& spec, Diagnostics& diagnostics) {
  const auto interval = reader.duration("interval", interval_limits);
  const auto fast_interval = reader.duration("fast_interval", fast_interval_limits);
  const auto timeout = reader.duration("timeout", timeout_limits);
  const auto slow = reader.duration("slow", slow_limits);
  assign(interval, spec.interval);
  assign(timeout, spec.timeout);
  // The built-in fast_interval follows a shorter interval.
  if (!fast_interval.present) spec.fast_interval = std::min(spec.fast_interval, spec.interval);
  assign(fast_interval, spec.fast_interval);
  spec.slow = slow.value;

  const bool both_valid = fast_interval.value && (interval.value || !interval.present);
  if (both_valid && spec.fast_interval > spec.interval)
    diagnostics.add(
        fast_interval.location,
        fmt::format("probe.fast_interval = \"{}\" is longer than interval = \"{}\"{}: make it shorter, it is the interval of a burst",
                    duration_text(spec.fast_interval), duration_text(spec.interval), interval.present ? "" : " (built in)"));
  if (slow.value && (timeout.value || !timeout.present) && *slow.value >= spec.timeout)
    diagnostics.add(
        slow.location,
        fmt::format("probe.slow = \"{}\" is not shorter than timeout = \"{}\"{}, so it would never apply: lower slow or raise timeout",
                    duration_text(*slow.value), duration_text(spec.timeout), timeout.present ? "" : " (built in)"));
}

Parsed<std::string> parse_interface(std::string_view text) {
  const bool valid = std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~' && c != '/'; });
  if (!text.empty() && text.size() < IF_NAMESIZE && valid) return std::string{text};
  return error("probe.interface = {} is not an interface name: write it as in the output of `ip link`, for example \"eth1\"", shown(text));
}

void read_where(TableReader& reader, probes::ProbeSpec& spec) {
  if (const auto port = reader.count("port", 1, 65'535, "443"); port.value) spec.port = static_cast<std::uint16_t>(*port.value);
  const auto address = [&](std::string_view key, std::string_view example, AddressUse use) {
    return reader.parsed<Address>(key, example, [use](std::string_view text) { return parse_single_address(text, use); });
  };
  spec.address = address("address", "10.0.0.11", AddressUse::probe_address).value;
  spec.source = address("source", "192.0.2.1", AddressUse::probe_source).value;
  spec.interface = reader.parsed<std::string>("interface", "eth1", parse_interface).value.value_or("");
}

/// What would only be a warning fails.
void read_critical(TableReader& reader, const toml::table& table, probes::ProbeSpec& spec) {
  const auto critical = reader.flag("critical");
  spec.critical = critical.value.value_or(false);
  const bool warns = table.contains("slow") || table.contains("expires_within"); // not by find(): some types do not know the second one
  if (spec.critical && !warns)
    reader.report_error(
        *reader.find("critical"),
        "probe.critical has no effect without slow or expires_within, of which it makes fails: write one of them, or remove critical");
}

/// Reports keys of other kinds, each with the kinds that have it.
void report_other_keys(TableReader& reader, Kind kind) {
  for (const KindReader& other : kinds) {
    if (other.kind == kind) continue;
    for (const std::string_view key : other.keys) {
      std::vector<std::string_view> kinds_with_key;
      for (const KindReader& other_kind : kinds)
        if (std::ranges::find(other_kind.keys, key) != other_kind.keys.end()) kinds_with_key.push_back(probes::to_text(other_kind.kind));
      reader.misplaced({&key, 1}, fmt::format("it is a key of {} probes; write type = \"{}\", or remove it",
                                              fmt::join(kinds_with_key, ", "), kinds_with_key.front()));
    }
  }
}

void read_tls(TableReader& reader, const std::optional<Kind>& kind, probes::ProbeSpec& spec, Diagnostics& diagnostics) {
  const auto* entry = std::ranges::find_if(kinds, [&](const KindReader& reading) { return reading.kind == kind; });
  if (entry == std::end(kinds))
    (void)reader.find("tls"); // it is known
  else if (std::ranges::find(entry->keys, "tls") != entry->keys.end())
    read_tls_table(reader, spec, diagnostics);
}

RawProbe read_probe(const toml::table& table, std::size_t file, Diagnostics& diagnostics) {
  static constexpr std::string_view rule_keys[] = {"fails", "within", "passes", "stable_for"};
  TableReader reader{table, file, "probe.", diagnostics};
  RawProbe probe{.location = reader.location(table), .spec = {}};
  const auto kind = reader.parsed<Kind>("type", "tcp", parse_kind);
  if (!kind.present) diagnostics.add(probe.location, "the probe has no type: write type = \"tcp\", or the protocol of the service");
  read_where(reader, probe.spec);
  read_timing(reader, probe.spec, diagnostics);
  if (kind.value) probe.spec.kind = *kind.value;
  for (const KindReader& entry : kinds) // without a kind: check the keys of all kinds
    if (!kind.value || entry.kind == *kind.value) entry.read(reader, probe.spec);
  read_tls(reader, kind.value, probe.spec, diagnostics);
  if (kind.value) report_other_keys(reader, *kind.value);
  read_critical(reader, table, probe.spec);
  reader.misplaced(rule_keys, "write it in down = { fails, within } or up = { passes, stable_for } of the service");
  reader.finish();
  return probe;
}

} // namespace

Field<RawProbes> read_probes(TableReader& reader, std::size_t file, Diagnostics& diagnostics) {
  static constexpr std::string_view example = "{ type = \"tcp\" }";
  Field<RawProbes> result;
  const toml::node* node = reader.find("probe");
  if (node == nullptr) return result;
  result.present = true;
  result.location = reader.location(*node);
  const std::size_t errors_before = diagnostics.count();
  RawProbes probes;
  if (const auto* table = node->as_table()) {
    probes.push_back(read_probe(*table, file, diagnostics));
  } else if (const auto* list = node->as_array()) {
    if (list->empty())
      reader.report_error(*node, "probe = [] would leave the server without health checks: write a probe, or remove probe for a tcp probe");
    if (list->size() > most_probes)
      reader.report_error(*node,
                          fmt::format("{} probes are too many for one server: write at most {}", grouped(list->size()), most_probes));
    for (const toml::node& element : *list)
      if (const auto* entry = element.as_table())
        probes.push_back(read_probe(*entry, file, diagnostics));
      else
        reader.wrong_type(element, "probe", "a table or a list of tables", example);
  } else {
    reader.wrong_type(*node, "probe", "a table or a list of tables", example);
  }
  if (diagnostics.count() == errors_before) result.value = std::move(probes);
  return result;
}

} // namespace hanat::config
