// Reads what a probe says and what must come back, each in one of several forms. Not here: the forms (config_probe_pattern).
#include <fmt/format.h>

#include "daemon/config_probe_kinds.hpp"

namespace hanat::config {
namespace {

/// Two keys that say the same thing: an error at the second.
void only_one(TableReader& reader, std::string_view first, std::string_view second) {
  if (reader.find(first) == nullptr) return;
  if (const toml::node* node = reader.find(second))
    reader.complain(*node, fmt::format("probe.{0} and probe.{1} say the same thing: keep one of them", second, first));
}

void read_send(TableReader& reader, std::string& send) {
  const auto text = reader.parsed<std::string>("send", "ping", [](std::string_view said) { return parse_bytes("send", said); });
  const auto hex = reader.parsed<std::string>("send_hex", "00 ff 0a", [](std::string_view said) { return parse_hex("send_hex", said); });
  only_one(reader, "send", "send_hex");
  send = hex.value.value_or(text.value.value_or(""));
}

void read_expect(TableReader& reader, probes::Pattern& expect) {
  const auto plain = [](std::string_view key, auto parse) {
    return [key, parse](std::string_view said) -> Parsed<probes::Pattern> {
      Parsed<std::string> bytes = parse(key, said);
      if (auto* wrong = std::get_if<Complaint>(&bytes)) return std::move(*wrong);
      return probes::Pattern::text(std::move(std::get<std::string>(bytes)));
    };
  };
  const auto text = reader.parsed<probes::Pattern>("expect", "pong", plain("expect", parse_bytes));
  const auto hex = reader.parsed<probes::Pattern>("expect_hex", "00 ff 0a", plain("expect_hex", parse_hex));
  const auto expression = reader.parsed<probes::Pattern>("expect_regex", "^[Oo][Kk]",
                                                         [](std::string_view said) { return parse_expression("expect_regex", said); });
  only_one(reader, "expect", "expect_hex");
  only_one(reader, "expect", "expect_regex");
  only_one(reader, "expect_hex", "expect_regex");
  for (const auto* said : {&text, &hex, &expression})
    if (said->value) expect = *said->value;
}

} // namespace

void read_talk(TableReader& reader, probes::TalkSpec& talk) {
  read_send(reader, talk.send);
  read_expect(reader, talk.expect);
}

} // namespace hanat::config
