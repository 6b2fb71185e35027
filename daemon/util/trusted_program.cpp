// Follows a path component by component, links as the kernel does.
#include "daemon/util/trusted_program.hpp"

#include <algorithm>
#include <cerrno>
#include <deque>
#include <filesystem>
#include <system_error>

#include <fmt/format.h>
#include <sys/stat.h>

#include "daemon/util/credentials.hpp"
#include "daemon/util/escape.hpp"

namespace hanat {
namespace {

using std::filesystem::path;

constexpr int most_links = 40; // the kernel's limit

bool is_trusted_owner(uid_t owner, std::span<const uid_t> owners) { return owner == 0 || std::ranges::find(owners, owner) != owners.end(); }

/// Empty: only root and `owners` can change what is there.
std::string changeable(const path& at, const struct stat& info, std::span<const uid_t> owners) {
  const std::string name = escaped(at.string());
  const char* const what = S_ISDIR(info.st_mode) ? "directory " : "";
  if (!is_trusted_owner(info.st_uid, owners))
    return fmt::format("{}{} belongs to {}, who could change what is run: give it to root (chown -h root {})", what, name,
                       user_name(info.st_uid), name);
  if (S_ISDIR(info.st_mode) && (info.st_mode & S_ISVTX) != 0) return {}; // as in /tmp: nobody can replace what others have there
  if (S_ISLNK(info.st_mode) || (info.st_mode & (S_IWGRP | S_IWOTH)) == 0) return {}; // a link has no permissions of its own
  return fmt::format("{}{} can be written by {}, who could change what is run: chmod go-w {}", what, name,
                     (info.st_mode & S_IWOTH) != 0 ? "everyone" : "its group", name);
}

std::string failed_at(const path& at, int error) {
  return fmt::format("{}: {}", escaped(at.string()), std::generic_category().message(error));
}

} // namespace

std::string untrusted(const std::string& program, std::span<const uid_t> owners) {
  std::deque<path> left;
  const auto prepend = [&left](const path& parts) { left.insert(left.begin(), parts.begin(), parts.end()); };
  prepend(program);
  path at;
  struct stat info {};
  for (int links = 0; !left.empty();) {
    const path next = left.front().has_root_directory() ? path{"/"} : left.front() == ".." ? at.parent_path() : at / left.front();
    left.pop_front();
    if (lstat(next.c_str(), &info) != 0) return failed_at(next, errno);
    if (auto fault = changeable(next, info, owners); !fault.empty()) return fault;
    if (!S_ISLNK(info.st_mode)) {
      at = next;
      continue;
    }
    if (++links > most_links) return failed_at(next, ELOOP);
    std::error_code error;
    const path target = std::filesystem::read_symlink(next, error);
    if (error) return failed_at(next, error.value());
    prepend(target);
  }
  if (!S_ISREG(info.st_mode)) return fmt::format("{} is not a file: name a program", escaped(at.string()));
  if ((info.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) == 0) return fmt::format("{0} is not executable: chmod +x {0}", escaped(at.string()));
  return {};
}

} // namespace hanat
