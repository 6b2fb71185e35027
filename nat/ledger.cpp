// Asked once for every entry of conntrack: what is none of hanat's endpoints must cost one lookup.
#include "nat/ledger.hpp"

#include <algorithm>

namespace hanat::nat {

std::size_t Ledger::Hash::operator()(const Vip& vip) const noexcept {
  return std::hash<Address>{}(vip.address) ^ ((std::size_t{vip.port} << 8U | static_cast<std::size_t>(vip.protocol)) * 0x9e3779b97f4a7c15U);
}

void Ledger::allow(const Vip& vip, std::span<const Endpoint> servers) {
  families_.insert(vip.address.family());
  auto& allowed = allowed_[vip];
  allowed.insert(allowed.end(), servers.begin(), servers.end());
}

void Ledger::give_up(const Mapping& mapping) {
  families_.insert(mapping.vip.address.family());
  given_up_.insert(mapping);
}

bool Ledger::strays(const Mapping& mapping) const {
  const auto allowed = allowed_.find(mapping.vip);
  if (allowed == allowed_.end()) return !given_up_.empty() && given_up_.contains(mapping) && !spared_.contains(mapping);
  return std::ranges::find(allowed->second, mapping.server) == allowed->second.end() && !spared_.contains(mapping);
}

} // namespace hanat::nat
