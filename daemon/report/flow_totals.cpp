// Differences of two reads.
#include "daemon/report/flow_totals.hpp"

#include <unordered_set>
#include <utility>

namespace hanat {
namespace {

std::string service_in(const std::string& server) { return server.substr(0, server.find(' ')); }

} // namespace

std::uint64_t sum_of(const FlowTotals::Sums& sums, const std::string& service, const std::string& server) {
  const auto found = sums.find(service + " " + server);
  return found == sums.end() ? 0 : found->second;
}

void FlowTotals::add(std::span<const nat::FlowCount> counts) {
  std::unordered_map<std::string, Seen> now;
  std::unordered_set<std::string> services;
  now.reserve(counts.size());
  for (const nat::FlowCount& count : counts) {
    const auto before = last_.find(count.element);
    const bool same = before != last_.end() && (before->second.server == count.comment || !count.restarts);
    const bool goes_on = same && before->second.flows <= count.flows;
    const std::uint64_t fresh = !begun_ ? 0 : goes_on ? count.flows - before->second.flows : count.flows;
    if (!count.comment.empty()) {
      totals_[count.comment] += fresh;
      services.insert(service_in(count.comment));
    }
    now.emplace(count.element, Seen{.server = count.comment, .flows = count.flows});
  }
  last_ = std::move(now);
  begun_ = true;
  // A service without any element refuses its clients or is gone; if it comes back, it counts from zero.
  std::erase_if(totals_, [&](const auto& total) { return !services.contains(service_in(total.first)); });
}

} // namespace hanat
