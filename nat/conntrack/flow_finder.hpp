// Compares the entries of a dump with the mappings of a scan: which of them a flow belongs to, and who its client is. Pure.
// Not here: the dumps (dump_plan), what is done with a flow that was found (cut).
#pragma once

#include <optional>
#include <unordered_map>
#include <vector>

#include "nat/address.hpp"
#include "nat/conntrack/dump_plan.hpp"
#include "nat/conntrack/entry.hpp"
#include "nat/port_range.hpp"

namespace hanat::nat {

struct FoundFlow {
  const Mapping* mapping = nullptr;
  Endpoint vip; // as the client sees it: of a range, one port
  Endpoint client;
  Opener opener = Opener::client;
};

class FlowFinder {
public:
  /// The scan must outlive the finder.
  explicit FlowFinder(const Scan& scan);
  std::optional<FoundFlow> find(const Entry& entry) const;

private:
  const Mapping* find_master(const Entry& entry) const;

  const Scan& scan_;
  MappingIndex index_;
  std::unordered_map<Address, std::vector<const Mapping*>> by_server_; // for related flows
};

} // namespace hanat::nat
