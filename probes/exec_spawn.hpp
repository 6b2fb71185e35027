// Starts programs on a thread of its own: until a program has begun to run, the thread that starts it stands still, on a busy machine for
// many milliseconds, and the loop has better things to do. Not here: what becomes of the programs (exec).
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

#include "probes/loop.hpp"
#include "probes/socket.hpp"

namespace hanat::probes {

using Descriptor = Socket; // closes itself; pidfds and pipes, too

struct ProgramOrder {
  std::uint64_t id;
  std::vector<std::string> command, environment;
  Descriptor output; // where it writes to
};
/// A program in a session and a process group of its own, or why there is none.
struct StartedProgram {
  std::uint64_t id = 0;
  int error = 0; // errno; 0: it runs
  pid_t pid = -1;
  Descriptor pidfd{};
};

class Spawner {
public:
  using Heard = std::function<void(StartedProgram)>; // called on the loop

  Spawner(uv_loop_t* loop, Heard heard);
  ~Spawner();
  Spawner(const Spawner&) = delete;
  Spawner& operator=(const Spawner&) = delete;

  void start(ProgramOrder order);
  /// Starts nothing any more, and gives what was started and not yet heard of.
  std::deque<StartedProgram> stop();

private:
  void run();
  void on_wake();

  using Async = std::unique_ptr<uv_async_t, CloseHandle>;

  Heard heard_;
  Async wake_;
  std::mutex mutex_; // of the three below
  bool over_ = false;
  std::deque<ProgramOrder> orders_;
  std::deque<StartedProgram> started_;
  std::condition_variable ordered_;
  std::thread thread_; // last: it uses all of them
};

} // namespace hanat::probes
