// Called for every conntrack entry, so an entry of no endpoint of hanat costs one lookup.
#include "nat/conntrack/expected_flows.hpp"

#include <algorithm>

namespace hanat::nat {
namespace {

bool contains(const std::vector<Endpoint>& servers, const Endpoint& server) { return std::ranges::find(servers, server) != servers.end(); }

} // namespace

std::size_t ExpectedFlows::Hash::operator()(const Vip& vip) const noexcept {
  return std::hash<Address>{}(vip.address) ^ ((std::size_t{vip.port} << 8U | static_cast<std::size_t>(vip.protocol)) * 0x9e3779b97f4a7c15U);
}

void ExpectedFlows::expect(const Vip& vip, std::span<const Endpoint> servers, std::span<const Endpoint> all) {
  families_.insert(vip.address.family());
  auto& known = is_range(vip) ? expected_ranges_[vip] : expected_[vip];
  known.expected.insert(known.expected.end(), servers.begin(), servers.end());
  known.all.insert(known.all.end(), all.begin(), all.end());
}

void ExpectedFlows::disown(const Mapping& mapping) {
  families_.insert(mapping.vip.address.family());
  disowned_.insert(mapping);
}

ExpectedFlows::Listed ExpectedFlows::find(const Vip& vip) const {
  if (const auto same = expected_.find(vip); same != expected_.end()) return {.vip = same->first, .servers = &same->second};
  if (expected_ranges_.empty()) return {};
  const auto range = find_covering(expected_ranges_, vip);
  if (range == expected_ranges_.end()) return {};
  return {.vip = range->first, .servers = &range->second};
}

std::optional<Mapping> ExpectedFlows::unexpected(const Mapping& entry) const {
  const auto [vip, servers] = find(entry.vip);
  if (servers == nullptr) {
    const Mapping* disowned = disowned_.meeting(entry);
    return disowned == nullptr || ignored_.meeting(entry) != nullptr ? std::nullopt : std::optional{*disowned};
  }
  if (ignored_.meeting(entry) != nullptr) return std::nullopt;
  const bool keeps_port = is_range(vip) && entry.server.port == entry.vip.port;
  const Mapping mapping = keeps_port ? Mapping{.vip = vip, .server = {.address = entry.server.address, .port = 0}} : entry;
  if (contains(servers->expected, mapping.server)) return std::nullopt;
  return mapping;
}

std::optional<Mapping> ExpectedFlows::unexpected_from_server(const Mapping& entry) const {
  const auto [vip, servers] = find(entry.vip);
  if (servers == nullptr || ignored_.meeting(entry) != nullptr) return std::nullopt;
  Mapping mapping = entry;
  if (is_range(vip)) {
    if (entry.server.port != entry.vip.port || !may_open_from(vip, entry.vip.port)) return std::nullopt;
    mapping = {.vip = vip, .server = {.address = entry.server.address, .port = 0}};
  }
  if (contains(servers->expected, mapping.server) || !contains(servers->all, mapping.server)) return std::nullopt;
  return mapping;
}

} // namespace hanat::nat
