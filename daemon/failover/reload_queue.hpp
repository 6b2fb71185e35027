// Reloads and plans, one after the other and each in slices: the loop gives them some milliseconds at a time, and what is decided meanwhile
// goes first. Not here: what a reload changes (reload), what it would change (rehearsal), reading a configuration (config/config_reads).
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/failover/outbox.hpp"
#include "daemon/failover/rehearsal.hpp"
#include "daemon/failover/reload.hpp"
#include "daemon/failover/service_registry.hpp"
#include "daemon/report/event.hpp"

namespace hanat {

class ReloadQueue {
public:
  struct Order {
    std::shared_ptr<const Config> next;
    std::string by = {};         // who asked for the reload
    std::vector<Event> why = {}; // instead of a reload: names have other addresses than before
    bool addresses_only = false;
    bool plan_only = false;
    std::function<void(Reloaded)> done = {}; // all services are changed, and what moves at once has been committed; or the plan is there
  };
  /// `clock`: a step takes time, and so many of them are made that they take less than a slice may.
  ReloadQueue(ServiceRegistry& registry, Reload& reload, Outbox& outbox, std::function<Time()> clock);

  void add(Order order);
  /// The next slice, unless the last one was a moment ago. `table_is_busy`: a transaction is under way, so no service may be changed. True:
  /// it did something; services that it changed are to be decided now, in a transaction of their own.
  bool run(bool table_is_busy);
  std::optional<Time> next_wakeup() const;

private:
  struct Running {
    Order order;
    Rehearsal rehearsal;
    Reloaded result = {};
    bool planned = false;
    std::size_t applied = 0; // slices
  };

  void plan(Running& running, Time begin);
  void announce(Running& running, Time now);
  void apply(Running& running, Time now);
  void end(Running& running);

  ServiceRegistry& registry_;
  Reload& reload_;
  Outbox& outbox_;
  std::function<Time()> clock_;
  std::deque<Order> waiting_;
  std::unique_ptr<Running> running_;
  Time next_at_{}; // of a slice
};

} // namespace hanat
