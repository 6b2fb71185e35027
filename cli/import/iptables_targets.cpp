// The kernel keeps a port that is in the range, and otherwise takes any of it; hanat maps a range one to one.
#include "cli/import/iptables_targets.hpp"

#include <algorithm>
#include <optional>

#include "cli/import/values.hpp"

namespace hanat::cli::imports {
namespace {

constexpr std::size_t most_targets = 64;

std::optional<Address> next(const Address& address) {
  std::vector<std::uint8_t> bytes(address.bytes().begin(), address.bytes().end());
  for (auto byte = bytes.rbegin(); byte != bytes.rend(); ++byte)
    if (++*byte != 0) return Address::from_bytes(bytes);
  return std::nullopt;
}

/// One address, or all from the first to the last; empty: neither.
std::vector<Address> addresses_of(std::string_view text) {
  const auto dash = text.find('-');
  const auto first = Address::parse(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : Address::parse(text.substr(dash + 1));
  std::vector<Address> addresses;
  if (!first || !last || first->family() != last->family()) return addresses;
  for (std::optional<Address> at = first; at && *at <= *last && addresses.size() < most_targets; at = next(*at)) addresses.push_back(*at);
  return addresses;
}

} // namespace

std::vector<DnatTarget> dnat_targets(std::string_view text) {
  std::string_view host = text, ports;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return {};
    host = text.substr(1, close - 1);
    ports = text.substr(close + 1);
    if (!ports.empty() && !ports.starts_with(':')) return {};
    if (!ports.empty()) ports.remove_prefix(1);
  } else if (const auto colon = text.find(':'); colon != std::string_view::npos && colon == text.rfind(':')) {
    host = text.substr(0, colon);
    ports = text.substr(colon + 1);
  }
  Ports range;
  std::uint16_t base = 0;
  if (!ports.empty()) {
    const auto read = ports_of(ports.substr(0, ports.find('/')), '-');
    if (!read) return {};
    range = *read;
    if (const auto slash = ports.find('/'); slash != std::string_view::npos)
      if (const auto from = ports_of(ports.substr(slash + 1), '-')) base = from->first;
  }
  std::vector<DnatTarget> targets;
  for (const Address& address : addresses_of(host)) targets.push_back({.address = address, .ports = range, .base = base});
  return targets;
}

Fitting fit_ports(const std::vector<Listen>& listen, const DnatTarget& target) {
  const Ports& to = target.ports;
  if (to.first == 0) return {};
  const Ports& from = listen.front().ports;
  const bool alike = std::ranges::all_of(listen, [&](const Listen& entry) { return entry.ports == from; });
  if (alike && from == to) return {};
  if (to.count() == 1 && alike && from.count() == 1) return {.server = to, .why = {}};
  if (alike && from.count() == to.count())
    return {.server = to,
            .why =
                target.base == from.first
                    ? ""
                    : "hanat maps the two ranges one to one, from their first ports on; iptables did not: see that the server expects it"};
  if (to.first <= from.first && from.last <= to.last) return {.server = {}, .why = {}}; // the kernel keeps a port that is in the range
  if (from.count() == 1)
    return {.server = {.first = to.first, .last = to.first},
            .why = "the kernel took any port of the server's range; hanat takes its first: write another one if clients are to reach that"};
  return {.server = to, .why = "the two ranges have different lengths: write a range of the same length, or the ports one by one"};
}

std::vector<Ports> common_ports(const std::vector<Ports>& one, const std::vector<Ports>& other) {
  std::vector<Ports> common;
  for (const Ports& left : one)
    for (const Ports& right : other) {
      const Ports both{.first = std::max(left.first, right.first), .last = std::min(left.last, right.last)};
      if (both.first <= both.last) common.push_back(both);
    }
  return common;
}

} // namespace hanat::cli::imports
