// Reads the keys of dns probes.
// Not here: the keys of every probe (read_probe).
#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "daemon/config/probe/keys.hpp"
#include "probes/kinds/dns_message.hpp"

namespace hanat::config {
namespace {

constexpr std::size_t longest_answer = 1'024; // characters

Parsed<std::string> parse_name(std::string_view text) {
  const bool printable = std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~' && c != '\\'; });
  if (!text.empty() && printable && !probes::dns_query({.name = std::string{text}, .record = "A", .answer = {}}, 0).empty())
    return std::string{text};
  return error("probe.name = {} is not a DNS name: write it like \"www.example.com\", or \".\" for the root", shown(text));
}
Parsed<std::string> parse_record(std::string_view text) {
  const auto records = probes::dns_records();
  if (std::ranges::find(records, text) != records.end()) return std::string{text};
  return error("probe.record = {} is not a record type: use one of {}", shown(text), fmt::join(records, ", "));
}
Parsed<std::string> parse_answer(std::string_view text) {
  if (!text.empty() && text.size() <= longest_answer) return std::string{text};
  return error("probe.answer is empty or longer than {} characters: write the text of a record, as in \"192.0.2.1\", or remove it",
               grouped(longest_answer));
}

} // namespace

void read_dns(TableReader& reader, probes::ProbeSpec& spec) {
  auto& dns = spec.edit<probes::DnsSpec>();
  const auto name = reader.parsed<std::string>("name", "www.example.com", parse_name);
  const auto record = reader.parsed<std::string>("record", "A", parse_record);
  const auto answer = reader.parsed<std::string>("answer", "192.0.2.1", parse_answer);
  // A name without a record means its IPv4 address.
  if (name.present) dns = {.name = name.value.value_or("."), .record = "A", .answer = {}};
  if (record.value) dns.record = *record.value;
  if (answer.value) dns.answer = *answer.value;
  if (answer.value && (record.value || !record.present) && !probes::comparable_record(dns.record, dns.answer))
    reader.report_error(*reader.find("answer"),
                        fmt::format("probe.answer = {} is not what {} record holds: write {}", shown(dns.answer),
                                    dns.record == "A" ? "an A" : "an AAAA",
                                    dns.record == "A" ? "an IPv4 address, as in \"192.0.2.1\"" : "an IPv6 address, as in \"2001:db8::1\""));
}

} // namespace hanat::config
