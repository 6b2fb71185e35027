// Called for every entry that a dump shows, so an entry of no mapping costs one lookup.
#include "nat/conntrack/flow_finder.hpp"

#include <algorithm>

namespace hanat::nat {
namespace {

/// Whether the tuple is the original one of a flow of the mapping that a client opened.
bool is_to(const Mapping& mapping, const Tuple& original) {
  const Endpoint& to = original.destination;
  return covers(mapping.vip, {.address = to.address, .protocol = original.protocol, .port = to.port, .last = 0});
}

/// The same for a flow that the server opened; that tuple does not have the endpoint's address.
bool is_from(const Mapping& mapping, const Tuple& original) {
  const Endpoint& from = original.source;
  if (original.protocol != mapping.vip.protocol || from.address != mapping.server.address) return false;
  if (!is_range(mapping.vip)) return from.port == mapping.server.port;
  return mapping.vip.port <= from.port && from.port <= mapping.vip.last && may_open_from(mapping.vip, from.port);
}

} // namespace

FlowFinder::FlowFinder(const Scan& scan) : scan_(scan), index_(scan.mappings) {
  if (!scan.related) return;
  for (const Mapping& mapping : scan.mappings) by_server_[mapping.server.address].push_back(&mapping);
}

std::optional<FoundFlow> FlowFinder::find(const Entry& entry) const {
  if (scan_.opened_by_client)
    if (const Mapping* mapping = index_.find(entry.mapping))
      return FoundFlow{.mapping = mapping,
                       .vip = {.address = entry.mapping.vip.address, .port = entry.mapping.vip.port},
                       .client = entry.client,
                       .opener = Opener::client};
  if (scan_.opened_by_server)
    if (const auto mirrored = mapping_opened_by_server(entry))
      if (const Mapping* mapping = index_.find_opened_by_server(*mirrored))
        return FoundFlow{.mapping = mapping, .vip = entry.reply_to, .client = entry.mapping.server, .opener = Opener::server};
  if (scan_.related && entry.master != nullptr)
    if (const Mapping* mapping = find_master(entry))
      return FoundFlow{.mapping = mapping,
                       .vip = {.address = entry.mapping.vip.address, .port = entry.mapping.vip.port},
                       .client = entry.client,
                       .opener = Opener::client};
  return std::nullopt;
}

/// The mapping of the flow that the entry is related to. Its master may be gone: conntrack keeps its tuple for the related ones. Server and
/// virtual endpoint are at the ends of the related flow, too.
const Mapping* FlowFinder::find_master(const Entry& entry) const {
  const auto master = master_of(entry);
  if (!master) return nullptr;
  const auto is_master_of = [&](const Mapping* mapping) {
    const Address& vip = mapping->vip.address;
    return is_to(*mapping, *master) || (is_from(*mapping, *master) && (entry.mapping.vip.address == vip || entry.reply_to.address == vip));
  };
  for (const Endpoint& server : {entry.mapping.server, entry.client}) { // it opened the related flow, or it did not
    const auto found = by_server_.find(server.address);
    if (found == by_server_.end()) continue;
    const auto same = std::ranges::find_if(found->second, is_master_of);
    if (same != found->second.end()) return *same;
  }
  return nullptr;
}

} // namespace hanat::nat
