// Opens and reads configuration files with checks of type, size, owner and mode.
#include "daemon/config/read_files.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nat/fd.hpp"

namespace hanat::config {
namespace {

constexpr std::size_t most_bytes = std::size_t{16} << 20;       // ten thousand services need less
constexpr std::size_t most_extra_bytes = std::size_t{64} << 20; // of all files in conf.d together

std::string_view kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a fifo";
  if (S_ISSOCK(mode)) return "a socket";
  if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device";
  return "not a regular file";
}

Error cannot_open(int code) {
  switch (code) {
  case ENOENT: return error("no such file: create it, or name another file");
  case EACCES:
  case EPERM: return error("permission denied: allow the user that reads it, as in `chgrp hanat FILE` and `chmod 640 FILE`");
  case ELOOP: return error("this is a symbolic link, which is not followed here: put the file itself into conf.d");
  case ENXIO: return error("this is a socket: name a regular file");
  default: return error("cannot open it: {}: name a readable file", std::strerror(code));
  }
}

/// Who may own the file, besides root and this user; nullopt: anyone.
using AllowedOwner = std::optional<uid_t>;

std::optional<Error> check_status(const struct stat& status, const AllowedOwner& allowed) {
  if (!S_ISREG(status.st_mode)) return error("this is {}: name a regular file", kind_of(status.st_mode));
  if ((status.st_mode & S_IWOTH) != 0)
    return error("this file is world-writable, so anyone could redirect traffic: check its content, then run `chmod o-w FILE`");
  if (allowed && status.st_uid != 0 && status.st_uid != *allowed && status.st_uid != ::geteuid())
    return error("this file belongs to uid {}, who could redirect traffic: check its content, then run `chown root FILE`", status.st_uid);
  if (static_cast<std::uint64_t>(status.st_size) > most_bytes)
    return error("the file has {} bytes, but the maximum is {}: name a configuration file",
                 grouped(static_cast<std::uint64_t>(status.st_size)), grouped(most_bytes));
  return std::nullopt;
}

FileContent read_open_file(int fd, const AllowedOwner& allowed) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return error("cannot read its status: {}: name a readable file", std::strerror(errno));
  if (auto failed = check_status(status, allowed)) return std::move(*failed);
  std::string text;
  std::string block(std::size_t{64} << 10, '\0');
  while (true) {
    const ssize_t got = ::read(fd, block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return error("cannot read it: {}: name a readable file", std::strerror(errno));
    if (got == 0) return text;
    text.append(block, 0, static_cast<std::size_t>(got));
    if (text.size() > most_bytes) // it grows while it is read
      return error("the file has more than {} bytes, which is the maximum: name a configuration file", grouped(most_bytes));
  }
}

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

/// Hidden files are ignored: editors keep theirs beside the file that is edited.
bool is_extra_name(std::string_view name) { return !name.starts_with('.') && name.ends_with(".toml"); }

std::vector<std::string> extra_names(DIR* directory) {
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(directory)) // only this thread reads this directory stream
    if (is_extra_name(entry->d_name)) names.emplace_back(entry->d_name);
  std::ranges::sort(names);
  return names;
}

} // namespace

FileContent read_main_file(const std::filesystem::path& file) {
  // Non-blocking: opening a fifo must not wait for its writer.
  const Fd opened{::open(file.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)};
  if (!opened) return cannot_open(errno);
  return read_open_file(opened.get(), std::nullopt);
}

std::vector<ExtraFile> read_extra_files(const std::filesystem::path& main_file) {
  const std::filesystem::path folder = main_file.parent_path() / "conf.d";
  const std::unique_ptr<DIR, CloseDirectory> directory{::opendir(folder.c_str())}; // with O_CLOEXEC and O_NONBLOCK
  if (!directory && errno == ENOENT) return {};
  if (!directory && errno == ENOTDIR) return {{.name = folder, .content = error("this is not a directory: make it one, or remove it")}};
  if (!directory)
    return {{.name = folder, .content = error("cannot open this directory: {}: allow the user that reads it", std::strerror(errno))}};
  const int fd = ::dirfd(directory.get());
  struct stat status {};
  if (::fstat(fd, &status) == 0 && (status.st_mode & S_IWOTH) != 0)
    return {{.name = folder,
             .content =
                 error("this directory is world-writable, so anyone could redirect traffic: check its files, then run `chmod o-w DIR`")}};

  struct stat main_status {};
  const uid_t owner = ::stat(main_file.c_str(), &main_status) == 0 ? main_status.st_uid : 0;
  std::vector<ExtraFile> files;
  std::size_t bytes = 0;
  for (const std::string& name : extra_names(directory.get())) {
    const Fd opened{::openat(fd, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)};
    files.push_back({.name = folder / name, .content = opened ? read_open_file(opened.get(), owner) : FileContent{cannot_open(errno)}});
    if (const auto* text = std::get_if<std::string>(&files.back().content)) bytes += text->size();
    if (bytes <= most_extra_bytes) continue;
    files.back().content =
        error("the files of this directory up to this one have more than {} bytes together, which is the maximum: remove "
              "what is no configuration; the files behind it were not read",
              grouped(most_extra_bytes));
    break;
  }
  return files;
}

ConfigFiles read_config_files(const std::filesystem::path& main_file) {
  return {.main = main_file, .content = read_main_file(main_file), .extra = read_extra_files(main_file)};
}

} // namespace hanat::config
