// Reads the keys of http and https probes. Not here: the keys that every probe takes (config_probe).
#include <algorithm>

#include <fmt/format.h>

#include "daemon/config_probe_kinds.hpp"

namespace hanat::config {
namespace {

constexpr std::size_t longest_body = 4'096; // bytes that an answer must hold
constexpr std::size_t longest_path = 2'048;
constexpr std::size_t longest_host = 253; // a DNS name
constexpr std::size_t longest_method = 20;

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
Parsed<probes::Pattern> parse_body(std::string_view text) {
  if (text.empty())
    return complaint("probe.body = \"\" would match any answer: write text that only a right answer holds, or leave body out");
  if (text.size() > longest_body)
    return complaint("probe.body is {} bytes long, and the most is {}: a short, telling part of the answer is enough", grouped(text.size()),
                     grouped(longest_body));
  return probes::Pattern::text(std::string{text});
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

void read_status(TableReader& reader, std::vector<probes::StatusRange>& status) {
  const toml::node* node = reader.find("status");
  if (node == nullptr) return;
  const auto* list = node->as_array();
  if (list == nullptr) return read_one_status(reader, *node, status);
  if (list->empty())
    reader.complain(*node, "probe.status = [] would make every answer abnormal: write the codes that are right, as in [200, 204]");
  for (const toml::node& element : *list) read_one_status(reader, element, status);
}

} // namespace

void read_http(TableReader& reader, probes::Spec& spec) {
  auto& http = spec.edit<probes::HttpSpec>();
  const auto read = [&]<class T>(std::string_view key, std::string_view example, auto parse, T& value) {
    auto said = reader.parsed<T>(key, example, parse);
    if (said.value) value = std::move(*said.value);
  };
  read("method", "GET", parse_method, http.method);
  read("path", "/healthz", parse_path, http.path);
  read("host", "www.example.com", parse_host, http.host);
  read("body", "OK", parse_body, http.body);
  read_status(reader, http.status);
}

void read_https(TableReader& reader, probes::Spec& spec) {
  read_http(reader, spec);
  spec.edit<probes::HttpSpec>().verify = reader.flag("verify").value.value_or(false);
}

} // namespace hanat::config
