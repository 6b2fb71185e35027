// Examines services: sends a client of hanatd's own the whole way, looks at this machine's settings before and after, and has packets that
// get no reply traced through the rules. What it finds are values. Not here: when it is asked (path_checks, control), text of the findings
// (host_checks), the trace itself (tracing).
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <uv.h>

#include "daemon/doctor/finding.hpp"
#include "daemon/doctor/service_check.hpp"
#include "daemon/doctor/tracing.hpp"
#include "daemon/util/worker_thread.hpp"

namespace hanat {

/// What an examination did and found. Problems come first, and of these what a rule does; each fact is there once.
struct Diagnosis {
  std::vector<Finding> found;
  struct Checked {
    std::string service;
    std::size_t sent = 0, answered = 0; // flows of hanatd's own client
    Clock::duration slowest{};
    bool served = false;     // real clients got answers meanwhile: that outweighs what hanatd's own client met
    bool saw_client = false; // a packet of the client that waits was followed
  };
  std::vector<Checked> services;
  std::string interface; // by which that client came
  std::string failure;   // why nothing could be sent; empty: it could
};

class Doctor {
public:
  /// Rules that will catch clients, without a packet. Called on a worker thread.
  using CheckRules = std::function<std::vector<Finding>(const std::vector<ServiceCheck>&)>;
  struct Options {
    std::string table = "hanat"; // whose hanatd this is
    Tracing* tracing = nullptr;  // nullptr: nothing is traced
    CheckRules check_rules = {};
  };
  Doctor(uv_loop_t* loop, Options options);
  ~Doctor(); // waits some milliseconds for the worker
  Doctor(const Doctor&) = delete;
  Doctor& operator=(const Doctor&) = delete;

  using OnDone = std::function<void(Diagnosis)>;
  /// One examination runs at a time, the others wait. Calls `on_done` on the loop, not from inside, within 5 s of its turn. False: too many
  /// wait, and `on_done` is not called.
  bool examine(std::vector<ServiceCheck> services, OnDone on_done);

private:
  struct Work;
  struct Waiting {
    std::vector<ServiceCheck> services;
    OnDone on_done;
  };

  void begin();
  void run(std::function<void(Work&)> job);
  void on_job_ended();
  void trace_suspects();
  void trace_client(const ServiceCheck& service);
  void finish_if_done();
  void end();

  uv_loop_t* loop_;
  Options options_;
  std::deque<Waiting> waiting_;
  std::unique_ptr<Work> work_; // of the examination that runs
  std::atomic<bool> cancelled_ = false;
  UvHandle<uv_async_t> next_;
  WorkerThread worker_; // last: its jobs use the others
};

} // namespace hanat
