// The doctor's traces, by nf_tables: whom to trace, and what the reports mean for him. Not here: tracing (tracer), naming a rule (culprit).
#pragma once

#include <deque>
#include <set>
#include <string>
#include <vector>

#include <uv.h>

#include "daemon/doctor/service_check.hpp"
#include "daemon/doctor/tracer.hpp"
#include "daemon/doctor/tracing.hpp"
#include "probes/io/uv.hpp"

namespace hanat {

class RuleTracing : public Tracing {
public:
  /// `table`: the name of hanat's table.
  RuleTracing(uv_loop_t* loop, std::string table);

  void start(const TraceTarget& target, Clock::duration limit, OnReady on_ready, OnDone on_done) override;
  void stop() override;

private:
  void refuse_next();

  std::string table_;
  Tracer tracer_;
  struct Refused {
    OnReady on_ready;
    OnDone on_done;
  };
  std::deque<Refused> refused_; // too many are traced: these are answered from the loop
  std::set<Tracer::Id> running_;
  UvHandle<uv_async_t> next_;
};

/// Rules of other programs that catch clients of these services, or may. Reads them: not on the loop.
std::vector<Finding> check_foreign_rules(const std::vector<ServiceCheck>& services, const std::string& table);

} // namespace hanat
