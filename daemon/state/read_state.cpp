// open, fstat, read.
#include "daemon/state/read_state.hpp"

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nat/fd.hpp"

namespace hanat {
namespace {

std::string in_words(int error) { return std::generic_category().message(error); }

/// Why a file is not read; empty: it can be read.
std::string why_rejected(const struct stat& info, std::uint64_t bytes_at_most) {
  if (!S_ISREG(info.st_mode)) return "is not a regular file";
  if (info.st_uid != geteuid() && info.st_uid != 0) return fmt::format("belongs to uid {}, not to the user of hanatd", info.st_uid);
  if ((info.st_mode & S_IWOTH) != 0) return "is world-writable";
  if (static_cast<std::uint64_t>(info.st_size) > bytes_at_most)
    return fmt::format("has {} bytes, which is more than hanatd writes", info.st_size);
  return {};
}

} // namespace

StateText read_state_text(const std::filesystem::path& file, std::uint64_t bytes_at_most) {
  // O_NONBLOCK: a fifo must not block the start.
  const Fd fd{open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
  if (!fd && errno == ENOENT) return {.text = {}, .error = {}, .missing = true};
  if (!fd) return {.text = {}, .error = "cannot be opened: " + in_words(errno)};
  struct stat info {};
  if (fstat(fd.get(), &info) != 0) return {.text = {}, .error = "has no readable status: " + in_words(errno)};
  if (auto error = why_rejected(info, bytes_at_most); !error.empty()) return {.text = {}, .error = std::move(error)};
  StateText content;
  std::array<char, std::size_t{64} << 10> buffer; // NOLINT(cppcoreguidelines-pro-type-member-init): written by read
  ssize_t got = 0;
  while ((got = read(fd.get(), buffer.data(), buffer.size())) > 0 && content.text.size() <= bytes_at_most)
    content.text.append(buffer.data(), static_cast<std::size_t>(got));
  if (got < 0) content.error = "cannot be read: " + in_words(errno);
  return content;
}

} // namespace hanat
