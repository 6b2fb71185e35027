// Reads [pair]: the role of this gateway in a pair.
// Not here: the keys of the other gateway (peer_keys), what the role means (daemon/pair, failover).
#include "daemon/config/raw_config.hpp"

#include <algorithm>
#include <chrono>
#include <string>

#include "daemon/config/peer_keys.hpp"

namespace hanat::config {
namespace {

using namespace std::chrono_literals;

constexpr DurationLimits settle_limits{.least = 0s, .most = 10min, .example = "2s"};

/// One that another program gives to one of the two gateways. A port would say nothing.
Parsed<Address> parse_pair_address(std::string_view text) {
  const auto address = Address::parse(text);
  if (address && !address->is_unspecified() && !address->is_loopback() && !address->is_multicast() && !address->is_link_local() &&
      !address->is_v4_mapped())
    return *address;
  return error("pair.address = {} is not an address that the two gateways share: write the one that clients connect to, without a port, "
               "as in \"203.0.113.10\" or \"2001:db8::10\"",
               shown(text));
}

Parsed<std::string> parse_track_file(std::string_view text) {
  const bool printed = std::ranges::all_of(text, [](char c) { return c > ' ' && c != '\x7f'; }); // keepalived splits lines at blanks
  if (printed && text.starts_with('/') && !text.ends_with('/')) return std::string{text};
  return error("pair.track_file = {} is not the path of a file: write the whole path, without blanks, as in \"/run/hanat/fit\"",
               shown(text));
}

} // namespace

void read_pair(const toml::table& table, std::size_t file, RawConfig& raw, Diagnostics& diagnostics) {
  TableReader reader{table, file, "pair.", diagnostics};
  PairConfig pair;
  const auto address = reader.parsed<Address>("address", "203.0.113.10", parse_pair_address);
  if (!address.present)
    diagnostics.add(reader.location(table), "[pair] has no address: write the address that the two gateways share, as in address = "
                                            "\"203.0.113.10\"; this gateway is active while it has it");
  pair.address = address.value.value_or(pair.address);
  pair.settle = reader.duration("settle", settle_limits).value.value_or(pair.settle);
  pair.track_file = reader.parsed<std::string>("track_file", "/run/hanat/fit", parse_track_file).value.value_or(std::string{});
  pair.peer = read_peer(reader, diagnostics);
  reader.finish();
  raw.pair = pair;
}

} // namespace hanat::config
