// Looks every other second whether the files on disk are still those of the configuration in use. On a thread of its own: a disk that hangs
// delays nothing. It also keeps the names of users up to date. Not here: how files are compared (config/fingerprint), what is said of it
// (api/status).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include <uv.h>

#include "daemon/config/fingerprint.hpp"
#include "daemon/util/worker_thread.hpp"
#include "probes/io/uv.hpp"

namespace hanat {

class ConfigWatch {
public:
  /// `changed` is called when the files differ from what is in use, with true, and when they no longer do.
  ConfigWatch(uv_loop_t* loop, std::filesystem::path file, std::function<void(bool)> changed);
  ConfigWatch(const ConfigWatch&) = delete;
  ConfigWatch& operator=(const ConfigWatch&) = delete;

  /// The configuration in use now, as config_content_hash() has it.
  void set_in_use(std::uint64_t content);

private:
  struct Look {
    std::vector<FileStatus> status; // of the files whose content is known
    std::uint64_t content = 0;
  };

  void look();
  void looked();

  std::filesystem::path file_;
  std::function<void(bool)> changed_;
  std::uint64_t in_use_ = 0;
  bool differs_ = false;                                  // and reported
  std::shared_ptr<Look> look_ = std::make_shared<Look>(); // the thread's while it is busy; it may hang
  UvHandle<uv_timer_t> timer_;
  WorkerThread thread_; // last: it uses the others
};

} // namespace hanat
