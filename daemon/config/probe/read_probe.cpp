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
    {.kind = Kind::agent, .keys = agent_keys, .read = read_agent}, {.kind = Kind::exec, .keys = exec_keys, .read = read_exec},
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
  spec.down_interval = reader.duration("down_interval", interval_limits).value;
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

/// true: what would only be a warning fails. false: what fails is only a warning.
void read_critical(TableReader& reader, const toml::table& table, probes::ProbeSpec& spec) {
  const auto critical = reader.flag("critical");
  spec.critical = critical.value.value_or(false);
  spec.advisory = critical.value == false;
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

RawProbe read_probe(const toml::table& table, std::size_t file, std::uint8_t any_of, Diagnostics& diagnostics) {
  static constexpr std::string_view rule_keys[] = {"fails", "within", "passes", "stable_for"};
  TableReader reader{table, file, "probe.", diagnostics};
  RawProbe probe{.location = reader.location(table), .spec = {}};
  probe.spec.any_of = any_of;
  const auto kind = reader.parsed<Kind>("type", "tcp", parse_kind);
  if (!kind.present) diagnostics.add(probe.location, "the probe has no type: write type = \"tcp\", or the protocol of the service");
  read_where(reader, probe.spec);
  read_timing(reader, probe.spec, diagnostics);
  if (kind.value) probe.spec.kind = *kind.value;
  for (const KindReader& entry : kinds) // without a kind: check the keys of all kinds
    if (!kind.value || entry.kind == *kind.value) entry.read(reader, probe.spec);
  read_tls(reader, kind.value, probe.spec, diagnostics);
  if (kind.value) report_other_keys(reader, *kind.value);
  if (probe.spec.kind == Kind::agent && reader.find("port") == nullptr)
    diagnostics.add(probe.location,
                    "an agent probe needs the port at which the agent answers, which is not the service's: write port = 9777");
  read_critical(reader, table, probe.spec);
  reader.misplaced(rule_keys, "write it in down = { fails, within } or up = { passes, stable_for } of the service");
  reader.finish();
  return probe;
}

/// The probes of a server while they are read.
class ProbeList {
public:
  ProbeList(TableReader& reader, std::size_t file, Diagnostics& diagnostics) : reader_(reader), file_(file), diagnostics_(diagnostics) {}

  RawProbes read(const toml::node& node) {
    if (const auto* table = node.as_table())
      add(*table);
    else if (const auto* list = node.as_array())
      add_each(reader_, *list, "probe", [this](const toml::table& entry) { add(entry); });
    else
      reader_.wrong_type(node, "probe", "a table or a list of tables", example);
    if (probes_.size() > most_probes)
      reader_.report_error(node,
                           fmt::format("{} probes are too many for one server: write at most {}", grouped(probes_.size()), most_probes));
    if (!probes_.empty() &&
        std::ranges::all_of(probes_, [](const RawProbe& probe) { return probe.spec.advisory && probe.spec.any_of == 0; }))
      reader_.report_error(node, "no probe decides whether the server is up, since all have critical = false: remove it from one of them");
    return std::move(probes_);
  }

private:
  static constexpr std::string_view example = "{ type = \"tcp\" }";

  template <typename Add> void add_each(TableReader& reader, const toml::array& list, std::string_view key, Add add_one) {
    if (list.empty())
      reader.report_error(list, fmt::format("{0} = [] would leave the server without health checks: write a probe, or remove {0}{1}",
                                            reader.name(key), key == "probe" ? " for a tcp probe" : ""));
    for (const toml::node& element : list)
      if (const auto* entry = element.as_table())
        add_one(*entry);
      else
        reader.wrong_type(element, key, "a table or a list of tables", example);
  }

  void add(const toml::table& table) {
    if (table.contains("any")) return add_any(table);
    probes_.push_back(read_probe(table, file_, 0, diagnostics_));
  }

  /// { any = [ ... ] }: one of them is enough.
  void add_any(const toml::table& table) {
    TableReader reader{table, file_, "probe.", diagnostics_};
    const toml::node& node = *reader.find("any");
    reader.finish();
    const auto* list = node.as_array();
    if (list == nullptr) return reader.wrong_type(node, "any", "a list of tables", "[{ type = \"tcp\" }, { type = \"icmp\" }]");
    ++any_lists_;
    add_each(reader, *list, "any", [this](const toml::table& entry) {
      if (const toml::node* nested = entry.get("any"))
        return reader_.report_error(*nested, "probe.any is itself in a list any: write its probes into that list");
      RawProbe& probe = probes_.emplace_back(read_probe(entry, file_, any_lists_, diagnostics_));
      if (probe.spec.advisory)
        reader_.report_error(*entry.get("critical"),
                             "critical = false has no place in a list any, where no probe decides alone: remove it");
    });
  }

  TableReader& reader_;
  std::size_t file_;
  Diagnostics& diagnostics_;
  RawProbes probes_;
  std::uint8_t any_lists_ = 0;
};

} // namespace

Field<RawProbes> read_probes(TableReader& reader, std::size_t file, Diagnostics& diagnostics) {
  Field<RawProbes> result;
  const toml::node* node = reader.find("probe");
  if (node == nullptr) return result;
  result.present = true;
  result.location = reader.location(*node);
  const std::size_t errors_before = diagnostics.count();
  RawProbes probes = ProbeList{reader, file, diagnostics}.read(*node);
  if (diagnostics.count() == errors_before) result.value = std::move(probes);
  return result;
}

} // namespace hanat::config
