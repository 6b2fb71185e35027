// A program that a test started: its end, its exit status, what it wrote. It never outlives the test: the kernel kills it when the thread
// that started it ends. Not here: where it runs (lab).
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace hanat::test {

struct Output {
  int exit = -1; // 128 + signal for a program that a signal ended
  std::string out, err;
};

class Process {
public:
  /// Starts argv[0] (looked up in PATH) with these descriptors as stdout and stderr (-1: /dev/null), in a process group of its own.
  /// It is killed when the calling thread ends.
  Process(const std::vector<std::string>& argv, int out, int err);
  ~Process(); // SIGKILL to its group, and reaped
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;

  pid_t pid() const { return pid_; }
  bool running() { return !wait(std::chrono::milliseconds{0}).has_value(); }
  void signal(int number) const;
  /// The exit status, or nullopt when it still runs at the deadline.
  std::optional<int> wait(std::chrono::milliseconds deadline);
  /// SIGKILL to the whole group, and waits for the end.
  void kill();

private:
  pid_t pid_ = -1;
  std::optional<int> exit_;
};

/// Starts argv, collects what it writes, and kills it at the deadline (err then ends with a line that says so). `input`: its stdin.
Output collect(const std::vector<std::string>& argv, std::chrono::milliseconds deadline, const std::string& input = {});

} // namespace hanat::test
