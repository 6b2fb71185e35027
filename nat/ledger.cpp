// Asked once for every entry of conntrack: what is none of hanat's endpoints must cost one lookup.
#include "nat/ledger.hpp"

#include <algorithm>

namespace hanat::nat {

std::size_t Ledger::Hash::operator()(const Vip& vip) const noexcept {
  return std::hash<Address>{}(vip.address) ^ ((std::size_t{vip.port} << 8U | static_cast<std::size_t>(vip.protocol)) * 0x9e3779b97f4a7c15U);
}

void Ledger::allow(const Vip& vip, std::span<const Endpoint> servers) {
  families_.insert(vip.address.family());
  auto& allowed = is_range(vip) ? allowed_ranges_[vip] : allowed_[vip];
  allowed.insert(allowed.end(), servers.begin(), servers.end());
}

void Ledger::give_up(const Mapping& mapping) {
  families_.insert(mapping.vip.address.family());
  given_up_.insert(mapping);
}

Ledger::Known Ledger::known(const Vip& vip) const {
  if (const auto same = allowed_.find(vip); same != allowed_.end()) return {.vip = same->first, .servers = &same->second};
  if (allowed_ranges_.empty()) return {};
  const auto range = find_covering(allowed_ranges_, vip);
  if (range == allowed_ranges_.end()) return {};
  return {.vip = range->first, .servers = &range->second};
}

std::optional<Mapping> Ledger::stray(const Mapping& entry) const {
  const auto [vip, servers] = known(entry.vip);
  if (servers == nullptr) {
    const Mapping* given_up = given_up_.meeting(entry);
    return given_up == nullptr || spared_.meeting(entry) != nullptr ? std::nullopt : std::optional{*given_up};
  }
  if (spared_.meeting(entry) != nullptr) return std::nullopt;
  const bool keeps_port = is_range(vip) && entry.server.port == entry.vip.port;
  const Mapping of = keeps_port ? Mapping{.vip = vip, .server = {.address = entry.server.address, .port = 0}} : entry;
  if (std::ranges::find(*servers, of.server) != servers->end()) return std::nullopt;
  return of;
}

} // namespace hanat::nat
