// Reads `probe = { ... }`, or a list of them. Not here: whether a probe fits its server and the down rule (config_check).
#include "daemon/config_parts.hpp"

#include <algorithm>
#include <chrono>
#include <span>

#include <fmt/format.h>
#include <net/if.h>

#include "daemon/config_probe_kinds.hpp"

namespace hanat::config {
namespace {

using namespace std::chrono_literals;
using probes::Kind;

constexpr std::size_t most_probes = 16; // of one server
// Below 10 ms a lasting pace costs more than it finds; a burst is short and may be faster.
constexpr DurationLimits interval_limits{.least = 10ms, .most = day, .example = "1s"};
constexpr DurationLimits fast_interval_limits{.least = 1ms, .most = day, .example = "50ms"};
constexpr DurationLimits timeout_limits{.least = 1ms, .most = day, .example = "500ms"};
constexpr DurationLimits slow_limits{.least = 1ms, .most = day, .example = "200ms"};

/// What a kind takes beside the common keys.
struct KindText {
  Kind kind;
  std::span<const std::string_view> keys;
  void (*read)(TableReader& reader, probes::Spec& spec);
};
constexpr KindText kinds[] = {
    {.kind = Kind::tcp, .keys = talk_keys, .read = read_tcp},      {.kind = Kind::tls, .keys = tls_keys, .read = read_tls},
    {.kind = Kind::http, .keys = http_keys, .read = read_http},    {.kind = Kind::https, .keys = https_keys, .read = read_https},
    {.kind = Kind::icmp, .keys = {}, .read = read_icmp},           {.kind = Kind::udp, .keys = talk_keys, .read = read_udp},
    {.kind = Kind::dns, .keys = dns_keys, .read = read_dns},       {.kind = Kind::grpc, .keys = grpc_keys, .read = read_grpc},
    {.kind = Kind::redis, .keys = redis_keys, .read = read_redis}, {.kind = Kind::postgres, .keys = postgres_keys, .read = read_postgres},
    {.kind = Kind::mysql, .keys = mysql_keys, .read = read_mysql}, {.kind = Kind::smtp, .keys = smtp_keys, .read = read_smtp},
    {.kind = Kind::exec, .keys = exec_keys, .read = read_exec},
};

std::vector<std::string_view> kind_words() {
  std::vector<std::string_view> words;
  for (const KindText& entry : kinds) words.push_back(probes::to_text(entry.kind));
  return words;
}

Parsed<Kind> parse_kind(std::string_view text) {
  for (const KindText& entry : kinds)
    if (probes::to_text(entry.kind) == text) return entry.kind;
  return complaint("probe.type = {} is not known{}", shown(text), did_you_mean(text, kind_words()));
}

void keep(const Said<Clock::duration>& said, Clock::duration& value) {
  if (said.value) value = *said.value;
}

void read_pace(TableReader& reader, probes::Spec& spec, Findings& findings) {
  const auto interval = reader.duration("interval", interval_limits);
  const auto fast_interval = reader.duration("fast_interval", fast_interval_limits);
  const auto timeout = reader.duration("timeout", timeout_limits);
  const auto slow = reader.duration("slow", slow_limits);
  keep(interval, spec.interval);
  keep(timeout, spec.timeout);
  // The built-in pace of a burst gives way to a faster interval.
  if (!fast_interval.said) spec.fast_interval = std::min(spec.fast_interval, spec.interval);
  keep(fast_interval, spec.fast_interval);
  spec.slow = slow.value;

  const bool both_right = fast_interval.value && (interval.value || !interval.said);
  if (both_right && spec.fast_interval > spec.interval)
    findings.add(
        fast_interval.place,
        fmt::format("probe.fast_interval = \"{}\" is longer than interval = \"{}\"{}: it is the pace of a burst, make it the shorter one",
                    duration_text(spec.fast_interval), duration_text(spec.interval), interval.said ? "" : " (built in)"));
  if (slow.value && (timeout.value || !timeout.said) && *slow.value >= spec.timeout)
    findings.add(
        slow.place,
        fmt::format("probe.slow = \"{}\" is not shorter than timeout = \"{}\"{}, so it would never count: lower slow or raise timeout",
                    duration_text(*slow.value), duration_text(spec.timeout), timeout.said ? "" : " (built in)"));
}

Parsed<std::string> parse_interface(std::string_view text) {
  const bool right = std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~' && c != '/'; });
  if (!text.empty() && text.size() < IF_NAMESIZE && right) return std::string{text};
  return complaint("probe.interface = {} is not the name of an interface: write it as ip link shows it, as in \"eth1\"", shown(text));
}

void read_where(TableReader& reader, probes::Spec& spec) {
  if (const auto port = reader.count("port", 1, 65'535, "443"); port.value) spec.port = static_cast<std::uint16_t>(*port.value);
  const auto address = [&](std::string_view key, std::string_view example, AddressUse use) {
    return reader.parsed<Address>(key, example, [use](std::string_view text) { return parse_single_address(text, use); });
  };
  spec.address = address("address", "10.0.0.11", AddressUse::probe_address).value;
  spec.source = address("source", "192.0.2.1", AddressUse::probe_source).value;
  spec.interface = reader.parsed<std::string>("interface", "eth1", parse_interface).value.value_or("");
}

/// The keys of other kinds, each with the kinds that take it.
void read_keys_of_others(TableReader& reader, Kind kind) {
  for (const KindText& other : kinds) {
    if (other.kind == kind) continue;
    for (const std::string_view key : other.keys) {
      std::vector<std::string_view> takers;
      for (const KindText& taker : kinds)
        if (std::ranges::find(taker.keys, key) != taker.keys.end()) takers.push_back(probes::to_text(taker.kind));
      reader.misplaced({&key, 1},
                       fmt::format("it is a key of {} probes; write type = \"{}\", or remove it", fmt::join(takers, ", "), takers.front()));
    }
  }
}

ProbeText read_probe(const toml::table& table, std::size_t file, Findings& findings) {
  static constexpr std::string_view verdict_keys[] = {"fails", "within", "passes", "stable_for"};
  TableReader reader{table, file, "probe.", findings};
  ProbeText probe{.place = reader.place(table), .spec = {}};
  const auto kind = reader.parsed<Kind>("type", "tcp", parse_kind);
  if (!kind.said) findings.add(probe.place, "the probe does not say its type: write type = \"tcp\", or what the service speaks");
  read_where(reader, probe.spec);
  read_pace(reader, probe.spec, findings);
  if (kind.value) probe.spec.kind = *kind.value;
  for (const KindText& entry : kinds) // without a kind all keys are looked at
    if (!kind.value || entry.kind == *kind.value) entry.read(reader, probe.spec);
  if (kind.value) read_keys_of_others(reader, *kind.value);
  reader.misplaced(verdict_keys, "it stands in down = { fails, within } or up = { passes, stable_for } of the service");
  reader.finish();
  return probe;
}

} // namespace

Said<ProbesText> read_probes(TableReader& reader, std::size_t file, Findings& findings) {
  static constexpr std::string_view example = "{ type = \"tcp\" }";
  Said<ProbesText> result;
  const toml::node* node = reader.find("probe");
  if (node == nullptr) return result;
  result.said = true;
  result.place = reader.place(*node);
  const std::size_t found_before = findings.count();
  ProbesText probes;
  if (const auto* table = node->as_table()) {
    probes.push_back(read_probe(*table, file, findings));
  } else if (const auto* list = node->as_array()) {
    if (list->empty())
      reader.complain(*node, "probe = [] would leave the server unwatched: write a probe, or leave probe out for a tcp probe");
    if (list->size() > most_probes)
      reader.complain(*node, fmt::format("{} probes are too many for one server: write at most {}", grouped(list->size()), most_probes));
    for (const toml::node& element : *list)
      if (const auto* entry = element.as_table())
        probes.push_back(read_probe(*entry, file, findings));
      else
        reader.wrong_type(element, "probe", "a table or a list of tables", example);
  } else {
    reader.wrong_type(*node, "probe", "a table or a list of tables", example);
  }
  if (findings.count() == found_before) result.value = std::move(probes);
  return result;
}

} // namespace hanat::config
