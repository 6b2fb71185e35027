// DNS messages: the bytes of a query, and what the bytes of a response mean. Pure; c-ares expands compressed names.
// Not here: sockets (dns).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "probes/result.hpp"

namespace hanat::probes {

/// A, AAAA, CNAME, MX, NS, PTR, SOA, SRV, TXT.
std::span<const std::string_view> dns_records();

/// Empty for an invalid name, or a record type that is not in the list.
std::string dns_query(const DnsSpec& spec, std::uint16_t id);

/// The text of a record in a form that can be compared: an address in its canonical form, names in lower case without the final dot, TXT
/// unchanged. nullopt: not a valid record of this type.
std::optional<std::string> comparable_record(std::string_view record, std::string_view text);

/// nullopt: not a response to this query (another id, another name).
std::optional<Verdict> judge_dns(const DnsSpec& spec, std::uint16_t id, std::string_view datagram);

/// Without EDNS, which the query does not offer, a response has at most 512 bytes. A longer one is read up to this.
inline constexpr std::size_t longest_dns_response = 4'096;

} // namespace hanat::probes
