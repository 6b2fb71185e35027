// Reads `probe = { ... }`, or a list of them. Not here: whether a probe fits its server and the down rule (config_check).
#include "daemon/config_parts.hpp"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

namespace hanat::config {
namespace {

using namespace std::chrono_literals;
using probes::Kind;

constexpr std::size_t most_probes = 16;     // of one server
constexpr std::size_t longest_body = 4'096; // bytes that an answer must hold
constexpr std::size_t longest_path = 2'048;
constexpr std::size_t longest_host = 253; // a DNS name
constexpr std::size_t longest_method = 20;
// Below 10 ms a lasting pace costs more than it finds; a burst is short and may be faster.
constexpr DurationLimits interval_limits{.least = 10ms, .most = day, .example = "1s"};
constexpr DurationLimits fast_interval_limits{.least = 1ms, .most = day, .example = "50ms"};
constexpr DurationLimits timeout_limits{.least = 1ms, .most = day, .example = "500ms"};
constexpr DurationLimits slow_limits{.least = 1ms, .most = day, .example = "200ms"};

constexpr Word<Kind> kinds[] = {
    {.word = "tcp", .value = Kind::tcp}, {.word = "http", .value = Kind::http}, {.word = "https", .value = Kind::https}};
constexpr std::string_view kind_words[] = {"tcp", "http", "https"};
constexpr std::string_view kinds_to_come[] = {"tls", "icmp", "udp", "dns", "grpc", "redis", "postgres", "mysql", "smtp", "exec"};

Parsed<Kind> parse_kind(std::string_view text) {
  for (const auto& [word, kind] : kinds)
    if (word == text) return kind;
  if (std::ranges::find(kinds_to_come, text) != std::ranges::end(kinds_to_come))
    return complaint("probe.type = \"{}\" is not available in this version of hanat: use \"tcp\", \"http\" or \"https\"", text);
  return complaint("probe.type = {} is not known{}", shown(text), did_you_mean(text, kind_words));
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

void read_where(TableReader& reader, probes::Spec& spec) {
  if (const auto port = reader.count("port", 1, 65'535, "443"); port.value) spec.port = static_cast<std::uint16_t>(*port.value);
  const auto address = [&](std::string_view key, std::string_view example, AddressUse use) {
    return reader.parsed<Address>(key, example, [use](std::string_view text) { return parse_single_address(text, use); });
  };
  spec.address = address("address", "10.0.0.11", AddressUse::probe_address).value;
  spec.source = address("source", "192.0.2.1", AddressUse::probe_source).value;
}

bool printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
}

Parsed<std::string> parse_method(std::string_view text) {
  const bool letters = std::ranges::all_of(text, [](char c) { return c >= 'A' && c <= 'Z'; });
  if (!text.empty() && text.size() <= longest_method && letters) return std::string{text};
  return complaint("probe.method = {} is not an HTTP method: write it in capitals, as in \"GET\" or \"HEAD\"", shown(text));
}
Parsed<std::string> parse_path(std::string_view text) {
  if (text.starts_with('/') && text.size() <= longest_path && printable(text)) return std::string{text};
  return complaint("probe.path = {} is not a path: begin it with \"/\", without spaces and at most {} characters long, as in \"/healthz\"",
                   shown(text), grouped(longest_path));
}
Parsed<std::string> parse_host(std::string_view text) {
  const bool right = std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
  });
  if (!text.empty() && text.size() <= longest_host && right) return std::string{text};
  return complaint("probe.host = {} is not a host name: write the name alone, as in \"www.example.com\", and the port as probe.port",
                   shown(text));
}
Parsed<std::string> parse_body(std::string_view text) {
  if (text.empty())
    return complaint("probe.body = \"\" would match any answer: write text that only a right answer holds, or leave body out");
  if (text.size() > longest_body)
    return complaint("probe.body is {} bytes long, and the most is {}: a short, telling part of the answer is enough", grouped(text.size()),
                     grouped(longest_body));
  return std::string{text};
}

void read_one_status(TableReader& reader, const toml::node& node, std::vector<probes::StatusRange>& status) {
  std::string text;
  if (const auto* integer = node.as_integer())
    text = fmt::format("{}", integer->get());
  else if (const auto* string = node.as_string())
    text = string->get();
  else
    return reader.wrong_type(node, "status", "an integer, a range or a list of those", "\"200-299\"");
  const auto range = parse_status(text);
  if (const auto* wrong = std::get_if<Complaint>(&range))
    reader.complain(node, wrong->text);
  else
    status.push_back(std::get<probes::StatusRange>(range));
}

void read_status(TableReader& reader, probes::Spec& spec) {
  const toml::node* node = reader.find("status");
  if (node == nullptr) return;
  const auto* list = node->as_array();
  if (list == nullptr) return read_one_status(reader, *node, spec.status);
  if (list->empty())
    reader.complain(*node, "probe.status = [] would make every answer abnormal: write the codes that are right, as in [200, 204]");
  for (const toml::node& element : *list) read_one_status(reader, element, spec.status);
}

void read_http(TableReader& reader, probes::Spec& spec) {
  const auto text = [&](std::string_view key, std::string_view example, auto parse, std::string& value) {
    auto said = reader.parsed<std::string>(key, example, parse);
    if (said.value) value = std::move(*said.value);
  };
  text("method", "GET", parse_method, spec.method);
  text("path", "/healthz", parse_path, spec.path);
  text("host", "www.example.com", parse_host, spec.host);
  text("body", "OK", parse_body, spec.body);
  read_status(reader, spec);
  const auto verify = reader.flag("verify");
  spec.verify = verify.value.value_or(false);
}

ProbeText read_probe(const toml::table& table, std::size_t file, Findings& findings) {
  static constexpr std::string_view http_keys[] = {"method", "path", "host", "body", "status", "verify"};
  static constexpr std::string_view verdict_keys[] = {"fails", "within", "passes", "stable_for"};
  TableReader reader{table, file, "probe.", findings};
  ProbeText probe{.place = reader.place(table), .spec = {}};
  const auto kind = reader.parsed<Kind>("type", "tcp", parse_kind);
  if (!kind.said) findings.add(probe.place, "the probe does not say its type: write type = \"tcp\", \"http\" or \"https\"");
  read_where(reader, probe.spec);
  read_pace(reader, probe.spec, findings);
  if (kind.value) probe.spec.kind = *kind.value;
  if (!kind.value || probe.spec.kind != Kind::tcp) read_http(reader, probe.spec);
  reader.misplaced(http_keys, "it is a key of http probes; write type = \"http\", or remove it");
  if (kind.value && probe.spec.kind == Kind::http)
    if (const toml::node* verify = table.get("verify"); verify != nullptr && probe.spec.verify)
      reader.complain(*verify, "probe.verify checks a certificate, and an http probe sees none: write type = \"https\", or remove verify");
  reader.unavailable("send", "remove it; an http probe with body can look at an answer");
  reader.unavailable("expect", "remove it; an http probe with body can look at an answer");
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
