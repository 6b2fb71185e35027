// Starts programs on a thread of its own: posix_spawn() blocks until the program runs, which takes many milliseconds on a busy machine, and
// the loop must not wait for that. Not here: output, exit and deadline of the programs (exec).
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <uv.h>

#include "nat/fd.hpp"
#include "probes/io/uv.hpp"

namespace hanat::probes {

struct ProgramOrder {
  std::uint64_t id;
  std::vector<std::string> command, environment;
  Fd output;     // its stdout and stderr
  Fd input = {}; // none: /dev/null
  /// Asked on the thread before the start: why the program may not be run; empty: it may.
  std::function<std::string()> refusal = {};
};
/// A program in a session and process group of its own, or the error that prevented it.
struct StartedProgram {
  std::uint64_t id = 0;
  int error = 0;            // errno; 0: it runs, or was refused
  std::string refused = {}; // why it was not started
  pid_t pid = -1;
  Fd pidfd{};
};

class Spawner {
public:
  using OnStarted = std::function<void(StartedProgram)>; // called on the loop

  Spawner(uv_loop_t* loop, OnStarted on_started);
  ~Spawner();
  Spawner(const Spawner&) = delete;
  Spawner& operator=(const Spawner&) = delete;

  void start(ProgramOrder order);
  /// The program was reaped: what it left behind is ended, too.
  void ended(pid_t program);
  /// Starts nothing any more; returns the programs that were started and not yet reported.
  std::deque<StartedProgram> stop();

private:
  void run();
  bool work(std::unique_lock<std::mutex>& lock);
  void on_wake();

  using Async = UvHandle<uv_async_t>;

  OnStarted on_started_;
  Async wake_;
  std::mutex mutex_; // guards the four below
  bool stopping_ = false;
  std::deque<ProgramOrder> orders_;
  std::deque<pid_t> ended_;
  std::deque<StartedProgram> started_;
  std::condition_variable has_order_;
  std::thread thread_; // last: it uses all of them
};

} // namespace hanat::probes
