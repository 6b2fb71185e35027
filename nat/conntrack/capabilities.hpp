// Checks which of conntrack's filters the running kernel supports, with scratch entries that belong to no real flow. A kernel that ignores
// the filter of a delete flushes everything; one that inverts its IPv6 addresses (Linux 6.18 and 7.2; not 6.12 and 7.3.4) deletes all flows
// except the intended ones. Both report success, and fixes come with any stable version, so a version number is not enough.
// Not here: cutting real flows (cut), the messages (messages).
#pragma once

#include <cstdint>
#include <future>
#include <string>
#include <string_view>

#include "nat/conntrack/dump_plan.hpp"
#include "nat/conntrack/socket.hpp"

namespace hanat::nat {

/// The methods to delete, best first. A method is used only if the checks of this process passed for that family.
enum class DeleteMethod : std::uint8_t {
  filtered_delete, // one CT_DELETE with CTA_FILTER: Linux 6.12 for both families, 6.18 for IPv4, not 6.1
  filtered_dump,   // the kernel filters the dump; hanat compares again and deletes entry by entry, in batches
  full_dump,       // hanat compares every entry itself
};
std::string_view to_text(DeleteMethod method);

struct Capabilities {
  DeleteMethod method = DeleteMethod::full_dump;
  Filters filters = {}; // of dumps
  std::string why;      // why no better method is used; empty for the best one
};

/// Checks no method better than `best`. Scratch entries have addresses of 240.0.0.0/4 and 100::/64 and a random mark, live for seconds and
/// are removed on every path. Throws std::system_error only for missing privileges; any other error means a lesser method.
Capabilities detect(ConntrackSocket& socket, Family family, DeleteMethod best);

struct KernelFilters {
  Capabilities ipv4 = {}, ipv6 = {};
  const Capabilities& of(Family family) const { return family == Family::ipv4 ? ipv4 : ipv6; }
};
using ProvenFilters = std::shared_future<KernelFilters>;

/// Checks both families on a thread of their own, one after the other, which takes tenths of a second: each of some forty dumps goes
/// through the whole table of conntrack. Whatever fails, missing privileges too, means a lesser method.
ProvenFilters prove_filters();
/// Before that is over: that every entry is compared, by no filter.
const Capabilities& proven_by_now(const ProvenFilters& filters, Family family);

} // namespace hanat::nat
