// write() may write less than asked for, and signals interrupt it.
#include "daemon/util/durable_write.hpp"

#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

#include "nat/fd.hpp"

namespace hanat {

void write_all(int fd, std::string_view text, const std::string& name) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0 && errno != EINTR) throw std::system_error(errno, std::generic_category(), "write " + name);
    if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
  }
}

void sync_directory(const std::filesystem::path& dir) {
  const Fd fd{open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!fd || fsync(fd.get()) != 0) throw std::system_error(errno, std::generic_category(), "sync " + dir.string());
}

} // namespace hanat
