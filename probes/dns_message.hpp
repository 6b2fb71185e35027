// DNS messages: the bytes of one question, and what the bytes of an answer are worth. Pure; c-ares reads and writes the names.
// Not here: sockets (dns).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "probes/probe.hpp"

namespace hanat::probes {

/// A, AAAA, CNAME, MX, NS, PTR, SOA, SRV, TXT.
std::span<const std::string_view> dns_records();

/// Empty for a name that no DNS message can hold, or a record that is not in the list.
std::string dns_query(const DnsSpec& spec, std::uint16_t id);

/// The text of a record as it is compared: an address in its usual form, names in small letters without the dot at the end, TXT as it is.
/// nullopt: no record of this type looks so.
std::optional<std::string> comparable_record(std::string_view record, std::string_view text);

struct DnsVerdict {
  Reason reason = Reason::answered;
  std::string detail;
  bool operator==(const DnsVerdict&) const = default;
};
/// nullopt: no answer to this question (another id, another name).
std::optional<DnsVerdict> judge_dns(const DnsSpec& spec, std::uint16_t id, std::string_view datagram);

/// Without EDNS, which we do not offer, an answer has at most 512 bytes. A longer one is read up to this.
inline constexpr std::size_t longest_dns_answer = 4'096;

} // namespace hanat::probes
