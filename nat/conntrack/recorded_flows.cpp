// An entry is named by its reply tuple, zone and id, as it was shown: the kernel deletes no other.
#include "nat/conntrack/recorded_flows.hpp"

#include <set>

namespace hanat::nat {

void RecordedFlows::add(const Entry& entry, const FoundFlow& flow) {
  put_entry_delete(requests_, 0, entry, false);
  ends_.push_back(requests_.size());
  flows_.push_back(
      {.mapping = *flow.mapping, .vip = flow.vip, .client = flow.client, .phase = phase_of(entry), .offloaded = is_offloaded(entry)});
}

void RecordedFlows::truncate(std::size_t number) {
  if (number >= flows_.size()) return;
  flows_.resize(number);
  ends_.resize(number);
  requests_.resize(number == 0 ? 0 : ends_.back());
}

void RecordedFlows::delete_entries(ConntrackSocket& socket, std::span<const Mapping> mappings, const std::atomic<bool>& cancelled,
                                   const OnDeleted& on_deleted) const {
  const std::set<Mapping> chosen{mappings.begin(), mappings.end()};
  EntryDeletes batch;
  for (std::size_t index = 0; index < flows_.size() && !cancelled; ++index) {
    if (!chosen.contains(flows_[index].mapping)) continue;
    const std::size_t begin = index == 0 ? 0 : ends_[index - 1];
    batch.add(std::span{requests_}.subspan(begin, ends_[index] - begin), flows_[index].mapping, flows_[index].offloaded);
    if (batch.full()) socket.delete_entries(batch, on_deleted);
  }
  if (!cancelled) socket.delete_entries(batch, on_deleted);
}

} // namespace hanat::nat
