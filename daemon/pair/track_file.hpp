// The file by which keepalived learns whether this gateway reaches a server: 0 while it does, otherwise 1. Written on a thread of its own.
// Not here: when it does (decision/service_state).
#pragma once

#include <functional>
#include <optional>
#include <string>

#include <uv.h>

#include "daemon/util/job_queue.hpp"

namespace hanat {

/// Replaces the file: whoever reads it sees the old content or the new one. Throws std::system_error.
void write_track_file(const std::string& path, bool reaches_a_server);

class TrackFile {
public:
  /// `on_failure`: called on the loop when it cannot be written, once until it can.
  TrackFile(uv_loop_t* loop, std::function<void(const std::string& error)> on_failure);

  /// Empty: there is none. The file of before stays as it is.
  void set_path(const std::string& path);
  /// What it is to say. The same as before is not written again, unless that failed.
  void set(bool reaches_a_server);
  /// Waits until it is written.
  void finish() { jobs_.finish(); }

private:
  void write();

  std::function<void(const std::string&)> on_failure_;
  std::string path_;
  std::optional<bool> wanted_, written_; // nullopt: not known yet; not written yet, or not with success
  bool failed_ = false;
  JobQueue jobs_;
};

} // namespace hanat
