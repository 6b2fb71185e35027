// A fingerprint for each service, by name.
#include "daemon/peer/changed_services.hpp"

#include <utility>

#include "daemon/peer/make_peer_service.hpp"

namespace hanat {

void ChangedServices::forget_all() {
  for (const auto& [name, fingerprint] : std::exchange(fingerprints_, {})) names_.insert(name);
}

std::string ChangedServices::take() { return std::move(names_.extract(names_.begin()).value()); }

bool ChangedServices::is_new(const std::string& name, const ServiceState* service) {
  if (service == nullptr) {
    fingerprints_.erase(name);
    return true;
  }
  const std::uint64_t fingerprint = peer_fingerprint(*service);
  const auto [known, fresh] = fingerprints_.try_emplace(name, fingerprint);
  return std::exchange(known->second, fingerprint) != fingerprint || fresh;
}

} // namespace hanat
