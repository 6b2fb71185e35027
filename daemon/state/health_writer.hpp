// Writes what is known of the servers on a thread of its own: soon after it has changed, several changes at once, and at some seconds that
// all of it is still so. Thousands of services go in slices, so that the loop never stops for long.
// Not here: the file (health_file), what is known (failover/saved_health).
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <uv.h>

#include "daemon/state/health_file.hpp"
#include "daemon/util/worker_thread.hpp"
#include "probes/io/uv.hpp"

namespace hanat {

class HealthWriter {
public:
  /// All are called on the loop.
  struct Source {
    std::function<std::optional<SavedService>(const std::string& service)> describe; // nullopt: it is gone
    std::function<std::vector<std::string>()> services;                              // their names
    std::function<void(const std::string& error)> on_failure;                        // once, until it works again
  };
  /// How often the file says that it is up to date: what a start believes is older by as much at the most.
  static constexpr std::chrono::seconds period{5};

  HealthWriter(uv_loop_t* loop, std::filesystem::path dir, Source source);

  /// Writes a new file, which replaces that of an earlier run when all services are in it.
  void begin();
  /// Something of these services changed.
  void note(std::set<std::string> services);
  /// Writes the last results of all services, and nothing any more. Does not wait long for the disk.
  void finish();

private:
  void write(std::size_t at_most);
  void ended();
  void start_anew();
  void wake_in(Clock::duration wait);

  Source source_;
  HealthFile file_; // belongs to the thread while it is busy, like the two below
  std::string error_;
  bool lost_ = false;
  std::set<std::string> unsaved_;
  bool is_open_ = false, failing_ = false, finished_ = false;
  Time written_at_{};
  UvHandle<uv_timer_t> timer_;
  WorkerThread thread_;
};

} // namespace hanat
