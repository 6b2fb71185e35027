// Reads the keys of http and https probes.
// Not here: host and expires_within (shared_keys), the keys of every probe (read_probe).
#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "daemon/config/probe/keys.hpp"

namespace hanat::config {
namespace {

constexpr std::size_t longest_body = 4'096; // bytes
constexpr std::size_t longest_request_body = std::size_t{16} << 10;
constexpr std::size_t longest_path = 2'048;
constexpr std::size_t longest_method = 20;
constexpr std::size_t most_headers = 32;
constexpr std::size_t longest_header = 1'024;

bool printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
}

Parsed<std::string> parse_method(std::string_view text) {
  const bool letters = std::ranges::all_of(text, [](char c) { return c >= 'A' && c <= 'Z'; });
  if (!text.empty() && text.size() <= longest_method && letters) return std::string{text};
  return error("probe.method = {} is not an HTTP method: write it in capitals, as in \"GET\" or \"HEAD\"", shown(text));
}
Parsed<std::string> parse_path(std::string_view text) {
  if (text.starts_with('/') && text.size() <= longest_path && printable(text)) return std::string{text};
  return error("probe.path = {} is not a path: begin it with \"/\", without spaces and at most {} characters long, as in \"/healthz\"",
               shown(text), grouped(longest_path));
}
/// Methods with which a body means something (RFC 9110), and those that hanat does not know.
bool sends_body(std::string_view method) {
  static constexpr std::array without{std::string_view{"GET"}, std::string_view{"HEAD"}, std::string_view{"DELETE"},
                                      std::string_view{"TRACE"}, std::string_view{"CONNECT"}};
  return std::ranges::find(without, method) == without.end();
}
Parsed<std::string> parse_request_body(std::string_view text) {
  if (text.empty()) return error("probe.request_body = \"\" is empty: write what the request shall send, or remove request_body");
  if (text.size() > longest_request_body)
    return error("probe.request_body is {} bytes long, but the maximum is {}: send the shortest request that the server answers",
                 grouped(text.size()), grouped(longest_request_body));
  return std::string{text};
}
Parsed<probes::Pattern> parse_body(std::string_view text) {
  if (text.empty())
    return error("probe.body = \"\" would match any response: write text that only a correct response contains, or remove body");
  if (text.size() > longest_body)
    return error("probe.body is {} bytes long, but the maximum is {}: a short, distinctive part of the response is enough",
                 grouped(text.size()), grouped(longest_body));
  return probes::Pattern::text(std::string{text});
}

/// A list of HTTP status codes.
using Codes = std::vector<probes::StatusRange>;

void read_one_status(TableReader& reader, std::string_view key, const toml::node& node, Codes& codes) {
  std::string text;
  if (const auto* integer = node.as_integer())
    text = fmt::format("{}", integer->get());
  else if (const auto* string = node.as_string())
    text = string->get();
  else
    return reader.wrong_type(node, key, "an integer, a range or a list of those", key == "full" ? "503" : "\"200-299\"");
  const auto range = parse_status(key, text);
  if (const auto* failed = std::get_if<Error>(&range))
    reader.report_error(node, failed->text);
  else
    codes.push_back(std::get<probes::StatusRange>(range));
}

/// `if_empty`: what is wrong with an empty list.
void read_codes(TableReader& reader, std::string_view key, std::string_view if_empty, Codes& codes) {
  const toml::node* node = reader.find(key);
  if (node == nullptr) return;
  const auto* list = node->as_array();
  if (list == nullptr) return read_one_status(reader, key, *node, codes);
  if (list->empty()) reader.report_error(*node, fmt::format("probe.{} = [] {}", key, if_empty));
  for (const toml::node& element : *list) read_one_status(reader, key, element, codes);
}

/// A code cannot mean two things.
void report_overlap(TableReader& reader, const probes::HttpSpec& http) {
  for (const probes::StatusRange& full : http.full)
    for (const probes::StatusRange& pass : http.status.empty() ? Codes{probes::StatusRange{}} : http.status) {
      const auto first = std::max(full.first, pass.first);
      if (first > std::min(full.last, pass.last)) continue;
      return reader.report_error(
          *reader.find("full"),
          fmt::format("probe.full and probe.status{} both contain {}: a code that means full cannot also pass; remove "
                      "it from one of them",
                      http.status.empty() ? " (built in: \"200-299\")" : "", first));
    }
}

bool is_token(char c) { // RFC 9110
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view{"!#$%&'*+-.^_`|~"}.find(c) != std::string_view::npos;
}

/// Why a probe cannot set this header; empty: it can.
std::string_view why_reserved(std::string_view name) {
  std::string lower{name};
  std::ranges::transform(lower, lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  if (lower == "host") return "write it as probe.host";
  if (lower == "connection" || lower == "content-length" || lower == "transfer-encoding" || lower == "upgrade")
    return "hanat sets it itself";
  return {};
}

Parsed<std::string> parse_header(std::string_view text) {
  const auto colon = text.find(": ");
  const std::string_view name = text.substr(0, colon);
  const bool valid = colon != std::string_view::npos && !name.empty() && std::ranges::all_of(name, is_token) && text.size() > colon + 2 &&
                     text.size() <= longest_header && std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
  if (!valid)
    return error("probe.headers: {} is not a header: write \"Name: value\" in printable characters, at most {} of them", shown(text),
                 grouped(longest_header));
  if (const auto why = why_reserved(name); !why.empty()) return error("probe.headers: {} cannot be set there: {}", shown(name), why);
  return std::string{text};
}

void read_headers(TableReader& reader, std::vector<std::string>& headers) {
  static constexpr std::string_view example = "[\"Name: value\"]";
  const toml::node* node = reader.find("headers");
  if (node == nullptr) return;
  const auto* list = node->as_array();
  if (list == nullptr) return reader.wrong_type(*node, "headers", "a list of strings", example);
  if (list->size() > most_headers)
    reader.report_error(*node, fmt::format("probe.headers has {} entries: write at most {}", grouped(list->size()), most_headers));
  for (const toml::node& element : *list) {
    const auto* string = element.as_string();
    if (string == nullptr) {
      reader.wrong_type(element, "headers", "a list of strings", example);
      continue;
    }
    auto header = parse_header(string->get());
    if (const auto* failed = std::get_if<Error>(&header))
      reader.report_error(element, failed->text);
    else
      headers.push_back(std::move(std::get<std::string>(header)));
  }
}

void read_body(TableReader& reader, probes::Pattern& body) {
  const auto plain = reader.parsed<probes::Pattern>("body", "OK", parse_body);
  const auto expression =
      reader.parsed<probes::Pattern>("body_regex", "^[Oo][Kk]", [](std::string_view text) { return parse_expression("body_regex", text); });
  if (plain.present && expression.present)
    reader.report_error(*reader.find("body_regex"), "probe.body_regex and probe.body are both set: keep one of them");
  if (plain.value) body = *plain.value;
  if (expression.value) body = *expression.value;
}

} // namespace

void read_http(TableReader& reader, probes::ProbeSpec& spec) {
  auto& http = spec.edit<probes::HttpSpec>();
  const auto read = [&]<class T>(std::string_view key, std::string_view example, auto parse, T& value) {
    auto field = reader.parsed<T>(key, example, parse);
    if (field.value) value = std::move(*field.value);
  };
  read("method", "GET", parse_method, http.method);
  read("path", "/healthz", parse_path, http.path);
  read("request_body", "{}", parse_request_body, http.request_body);
  if (const toml::node* body = reader.find("request_body"); body != nullptr && !sends_body(http.method))
    reader.report_error(*body, fmt::format("probe.request_body is not sent with method {}{}: write method = \"POST\", or another one that "
                                           "sends a body; what the response must contain is written as body",
                                           http.method, reader.find("method") == nullptr ? " (built in)" : ""));
  http.host = read_host(reader, "host", "www.example.com");
  static constexpr Choice<bool> versions[] = {{.text = "1.1", .value = false}, {.text = "2", .value = true}};
  http.http2 = reader.choice<bool>("http_version", versions).value.value_or(false);
  read_headers(reader, http.headers);
  read_body(reader, http.body);
  read_codes(reader, "status", "would make every probe fail: write the codes that pass, as in [200, 204]", http.status);
  read_codes(reader, "full", "has no effect: write the codes by which the server says that it is full, as in [503], or remove full",
             http.full);
  report_overlap(reader, http);
}

void read_https(TableReader& reader, probes::ProbeSpec& spec) {
  read_http(reader, spec);
  auto& http = spec.edit<probes::HttpSpec>();
  http.verify = reader.flag("verify").value.value_or(false);
  http.expires_within = read_expires_within(reader);
}

} // namespace hanat::config
