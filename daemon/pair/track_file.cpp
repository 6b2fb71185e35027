// A file beside it, then a rename.
#include "daemon/pair/track_file.hpp"

#include <cerrno>
#include <cstdio>
#include <exception>
#include <memory>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/util/durable_write.hpp"
#include "nat/fd.hpp"

namespace hanat {

void write_track_file(const std::string& path, bool reaches_a_server) {
  constexpr mode_t mode = 0644; // whoever keepalived runs as
  const std::string next = path + ".new";
  const auto fail = [](const std::string& what) { throw std::system_error(errno, std::generic_category(), what); };
  const Fd fd{open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, mode)};
  if (!fd) fail("open " + next);
  if (fchmod(fd.get(), mode) != 0) fail("chmod " + next); // whatever the umask is
  write_all(fd.get(), reaches_a_server ? "0\n" : "1\n", next);
  if (rename(next.c_str(), path.c_str()) != 0) fail("rename " + next);
}

TrackFile::TrackFile(uv_loop_t* loop, std::function<void(const std::string&)> on_failure)
    : on_failure_(std::move(on_failure)), jobs_(loop, WorkerThread::AtEnd::leave) {}

void TrackFile::set_path(const std::string& path) {
  if (path == path_) return;
  path_ = path;
  written_.reset();
  failed_ = false;
  write();
}

void TrackFile::set(bool reaches_a_server) {
  wanted_ = reaches_a_server;
  write();
}

void TrackFile::write() {
  if (path_.empty() || !wanted_ || wanted_ == written_) return;
  written_ = wanted_;
  const auto error = std::make_shared<std::string>();
  const auto job = [error, path = path_, reaches = *wanted_] {
    try {
      write_track_file(path, reaches);
    } catch (const std::exception& failure) {
      *error = failure.what();
    }
  };
  jobs_.run(job, [this, error, path = path_] {
    if (path != path_) return;
    if (!error->empty()) written_.reset();
    if (!std::exchange(failed_, !error->empty()) && failed_) on_failure_(*error);
  });
}

} // namespace hanat
