// Counts, then words.
#include "cli/totals.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "cli/listening.hpp"
#include "cli/text.hpp"

namespace hanat::cli {
namespace {

/// The name of its primary has never had an address: nothing can be sent there.
bool waits_for_name(const ServiceStatus& service) {
  if (service.servers.empty()) return false;
  const ServerStatus& primary = service.servers.front();
  return primary.name && primary.address == primary.name->name;
}

} // namespace

bool is_at_primary(const ServiceStatus& service) {
  return service.target == "primary" && !listens_nowhere(service) && !waits_for_name(service);
}

std::string totals_of(const Status& status) {
  const auto number_of = [&](const auto& counts) { return static_cast<std::size_t>(std::ranges::count_if(status.services, counts)); };
  const std::size_t all = status.services.size(), nowhere = number_of(listens_nowhere), unnamed = number_of(waits_for_name);
  const std::size_t observed = number_of([](const ServiceStatus& service) { return service.mode == "observe"; });
  std::string text = fmt::format("{} of {} at {} primary", number_of(is_at_primary), plural(all, "service"), all == 1 ? "its" : "their");
  if (nowhere > 0) text += fmt::format(", {} {} nowhere", nowhere, nowhere == 1 ? "listens" : "listen");
  if (unnamed > 0) text += fmt::format(", {} whose primary has no address", unnamed);
  if (observed > 0) text += fmt::format(", {} only observed", observed);
  return text;
}

} // namespace hanat::cli
