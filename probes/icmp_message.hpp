// ICMP and ICMPv6 messages: the bytes of an echo request, and what the bytes that a raw socket gives are. Pure.
// Not here: sockets, whose answer it is (icmp).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "probes/probe.hpp"

namespace hanat::probes {

/// What makes a request ours: the id of a socket, the sequence of a question, and a number that only a host that saw the request knows.
struct EchoKey {
  std::uint16_t id = 0, sequence = 0;
  std::uint64_t token = 0;
  bool operator==(const EchoKey&) const = default;
};

/// The checksum of an ICMPv6 message is left to the kernel.
std::string echo_request(Family family, const EchoKey& key);

/// An echo reply, or an error about an echo request.
struct IcmpHeard {
  Reason reason = Reason::answered; // answered: the reply; else what the error says
  std::string_view detail;
  EchoKey key;
  bool has_token = true;           // an error may quote the first bytes of the request alone
  std::optional<Address> quoted{}; // of an error: where the request went
};
/// `bytes` as a raw socket gives them: IPv4 with the IP header, IPv6 without. nullopt: broken, or something else.
std::optional<IcmpHeard> parse_icmp(Family family, std::string_view bytes);

} // namespace hanat::probes
