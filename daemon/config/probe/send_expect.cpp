// Reads what a probe sends and expects, each in one of several forms.
// Not here: parsing the forms (pattern).
#include <utility>

#include <fmt/format.h>

#include "daemon/config/probe/keys.hpp"

namespace hanat::config {
namespace {

/// Two keys that exclude each other: an error at the second.
void check_exclusive(TableReader& reader, std::string_view first, std::string_view second) {
  if (reader.find(first) == nullptr) return;
  if (const toml::node* node = reader.find(second))
    reader.report_error(*node, fmt::format("probe.{0} and probe.{1} are both set: keep one of them", second, first));
}

void read_expect(TableReader& reader, probes::Pattern& expect) {
  const auto parse_as = [](std::string_view key, auto parse) {
    return [key, parse](std::string_view text) -> Parsed<probes::Pattern> {
      Parsed<std::string> bytes = parse(key, text);
      if (auto* failed = std::get_if<Error>(&bytes)) return std::move(*failed);
      return probes::Pattern::text(std::move(std::get<std::string>(bytes)));
    };
  };
  const auto plain = reader.parsed<probes::Pattern>("expect", "pong", parse_as("expect", parse_bytes));
  const auto hex = reader.parsed<probes::Pattern>("expect_hex", "00 ff 0a", parse_as("expect_hex", parse_hex));
  const auto expression = reader.parsed<probes::Pattern>("expect_regex", "^[Oo][Kk]",
                                                         [](std::string_view text) { return parse_expression("expect_regex", text); });
  check_exclusive(reader, "expect", "expect_hex");
  check_exclusive(reader, "expect", "expect_regex");
  check_exclusive(reader, "expect_hex", "expect_regex");
  for (const auto* field : {&plain, &hex, &expression})
    if (field->value) expect = *field->value;
}

} // namespace

void read_send(TableReader& reader, std::string& send) {
  const auto plain = reader.parsed<std::string>("send", "ping", [](std::string_view text) { return parse_bytes("send", text); });
  const auto hex = reader.parsed<std::string>("send_hex", "00 ff 0a", [](std::string_view text) { return parse_hex("send_hex", text); });
  check_exclusive(reader, "send", "send_hex");
  send = hex.value.value_or(plain.value.value_or(""));
}

void read_send_expect(TableReader& reader, probes::SendExpectSpec& send_expect) {
  read_send(reader, send_expect.send);
  read_expect(reader, send_expect.expect);
}

} // namespace hanat::config
