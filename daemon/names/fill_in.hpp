// Servers that are configured by their names get the addresses that their names have now. Pure.
// Not here: what the names have (name_record), what follows from another address (failover/reload).
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/config/config.hpp"
#include "daemon/names/name_record.hpp"

namespace hanat {

/// The families that the names of a service are asked for: those of its listeners.
std::vector<Family> families_of(const ServiceConfig& service);
/// Every query that the configuration needs.
std::set<NameQuery> queries_of(const Config& config);
bool has_names(const Config& config);

/// nullptr: nobody has asked for it yet.
using FindRecord = std::function<const NameRecord*(const NameQuery&)>;
/// A server that would be another one of its service, or that would be a listener of this gateway, gets no address.
Config fill_in(Config config, const FindRecord& find);

} // namespace hanat
