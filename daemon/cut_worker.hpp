// Runs one conntrack cut at a time on a thread of libuv's pool, so that a long one never holds up a decision.
// Not here: which flows, and when (gateway).
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <uv.h>

#include "nat/cut.hpp"

namespace hanat {

struct CutResult {
  std::map<Mapping, std::uint64_t> deleted; // entries that went, by mapping
  std::chrono::microseconds took{};
  bool cancelled = false;
  std::string failure; // empty: done
};

class CutWorker {
public:
  using Done = std::function<void(const CutResult&)>;
  /// `done` is called on the loop after every job.
  CutWorker(uv_loop_t* loop, nat::Cutter cutter, Done done);
  ~CutWorker(); // ends a running job, and runs the loop until it has
  CutWorker(const CutWorker&) = delete;
  CutWorker& operator=(const CutWorker&) = delete;

  bool busy() const { return busy_; }
  void start(std::vector<Mapping> mappings, nat::Streams streams);
  /// The running job ends early; done() still comes.
  void cancel() { cancelled_ = true; }

private:
  void work();

  uv_loop_t* loop_;
  nat::Cutter cutter_;
  Done done_;
  uv_work_t request_{};
  std::vector<Mapping> mappings_;
  nat::Streams streams_ = nat::Streams::all;
  std::atomic<bool> cancelled_ = false;
  bool busy_ = false;
  CutResult result_;
};

} // namespace hanat
