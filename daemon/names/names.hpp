// The names of the configuration: asks for each again when its answer no longer holds, and keeps the last good address as long as nobody
// has another one.
// Not here: what an answer changes (name_record), servers with addresses (fill_in), queries (resolver).
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include <uv.h>

#include "daemon/config/config.hpp"
#include "daemon/names/fill_in.hpp"
#include "daemon/names/name_record.hpp"
#include "daemon/names/resolver.hpp"
#include "daemon/state/state_file.hpp"
#include "probes/io/uv.hpp"

namespace hanat {

class Names {
public:
  struct Owner {
    /// What servers have may be something else now: fill in again. Once for all that changed together.
    std::function<void()> changed;
    /// A query came to nothing, and the one before did not; what is in use stays.
    std::function<void(const NameQuery& query, const NameRecord& record)> fails = {};
    /// An answer came again.
    std::function<void(const NameQuery& query, const NameRecord& record)> recovers = {};
  };
  Names(uv_loop_t* loop, Owner owner);
  Names(const Names&) = delete;
  Names& operator=(const Names&) = delete;

  /// Addresses of before the start, before the first configure().
  void restore(const std::vector<SavedName>& saved);
  /// Asks for the names of this configuration, and for no others any more. Reads the servers of DNS anew.
  void configure(const Config& config);
  /// The same configuration where it has no names.
  std::shared_ptr<const Config> fill(const std::shared_ptr<const Config>& config) const;

  /// nullptr: nobody has asked for it.
  const NameRecord* find(const NameQuery& query) const;
  /// How many names fail because no resolver answers, or none does well.
  std::size_t failing_by_resolver() const { return failing_by_resolver_; }
  std::vector<SavedName> saved() const;

private:
  void run();
  void take(const NameQuery& query, NameAnswer answer);
  void tell_soon();
  void plan(const NameQuery& query, const NameRecord& record);
  void wake_up();

  Owner owner_;
  std::map<NameQuery, NameRecord> records_;
  std::multimap<Time, NameQuery> agenda_; // when to look at which; one that has other plans by now is looked at in vain
  std::size_t failing_by_resolver_ = 0;
  std::optional<Endpoint> server_;
  bool servers_in_doubt_ = false; // they failed: /etc/resolv.conf may have others by now
  Time servers_read_at_{};
  UvHandle<uv_timer_t> timer_, changed_;
  Resolver resolver_;
};

} // namespace hanat
