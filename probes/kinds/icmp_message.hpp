// ICMP and ICMPv6 messages: builds echo requests, and parses what a raw socket receives. Pure.
// Not here: sockets, finding the probe that a reply belongs to (icmp).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "probes/result.hpp"

namespace hanat::probes {

/// Identifies a request: the id of a socket, the sequence number of a probe, and a token known only to hosts that saw the request.
struct EchoKey {
  std::uint16_t id = 0, sequence = 0;
  std::uint64_t token = 0;
  bool operator==(const EchoKey&) const = default;
};

/// The kernel fills in the checksum of an ICMPv6 message.
std::string echo_request(Family family, const EchoKey& key);

/// An echo reply, or an error about an echo request.
struct IcmpReceived {
  Reason reason = Reason::answered; // answered: an echo reply; otherwise the meaning of the error
  std::string_view detail;
  EchoKey key;
  bool has_token = true;           // an error may quote only the first bytes of the request
  std::optional<Address> quoted{}; // of an error: the destination of the request
};
/// `bytes` as a raw socket returns them: IPv4 with the IP header, IPv6 without. nullopt: malformed, or something else.
std::optional<IcmpReceived> parse_icmp(Family family, std::string_view bytes);

} // namespace hanat::probes
