// Opens and reads configuration files.
#include "daemon/config_file.hpp"

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

namespace hanat::config {
namespace {

constexpr std::size_t most_bytes = std::size_t{16} << 20; // ten thousand services take less

class Descriptor {
public:
  explicit Descriptor(int fd) : fd_{fd} {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

private:
  int fd_;
};

std::string_view kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a fifo";
  if (S_ISSOCK(mode)) return "a socket";
  if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device";
  return "not a regular file";
}

Complaint cannot_open(int error) {
  switch (error) {
  case ENOENT: return complaint("there is no such file: write it, or name another one");
  case EACCES:
  case EPERM: return complaint("permission denied: let the user that reads it in, as in `chgrp hanat FILE` and `chmod 640 FILE`");
  case ELOOP: return complaint("this is a symbolic link, which is not followed here: put the file itself into conf.d");
  case ENXIO: return complaint("this is a socket: name a regular file");
  default: return complaint("cannot open it: {}: name a readable file", std::strerror(error));
  }
}

/// Who may own an extra file; nullopt: nobody is asked.
using AllowedOwner = std::optional<uid_t>;

std::optional<Complaint> wrong_status(const struct stat& status, const AllowedOwner& allowed) {
  if (!S_ISREG(status.st_mode)) return complaint("this is {}: name a regular file", kind_of(status.st_mode));
  if ((status.st_mode & S_IWOTH) != 0)
    return complaint(
        "everybody may write to this file, and so redirect traffic: take that away with `chmod o-w FILE`, after a look at what it says");
  if (allowed && status.st_uid != 0 && status.st_uid != *allowed && status.st_uid != ::geteuid())
    return complaint("this file belongs to uid {}, who could redirect traffic with it: give it to root with `chown root FILE`",
                     status.st_uid);
  if (static_cast<std::uint64_t>(status.st_size) > most_bytes)
    return complaint("the file has {} bytes, and the most is {}: this is hardly a configuration; name the right file",
                     grouped(static_cast<std::uint64_t>(status.st_size)), grouped(most_bytes));
  return std::nullopt;
}

FileText read_open_file(int fd, const AllowedOwner& allowed) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return complaint("cannot look at it: {}: name a readable file", std::strerror(errno));
  if (auto wrong = wrong_status(status, allowed)) return std::move(*wrong);
  std::string text;
  std::string block(std::size_t{64} << 10, '\0');
  while (true) {
    const ssize_t got = ::read(fd, block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return complaint("cannot read it: {}: name a readable file", std::strerror(errno));
    if (got == 0) return text;
    text.append(block, 0, static_cast<std::size_t>(got));
    if (text.size() > most_bytes) // it grows while we read
      return complaint("the file has more than {} bytes: this is hardly a configuration; name the right file", grouped(most_bytes));
  }
}

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

/// Hidden files are left alone: editors keep their own beside the one that is edited.
bool is_extra_name(std::string_view name) { return !name.starts_with('.') && name.ends_with(".toml"); }

std::vector<std::string> extra_names(DIR* directory) {
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(directory)) // only this thread reads this directory stream
    if (is_extra_name(entry->d_name)) names.emplace_back(entry->d_name);
  std::ranges::sort(names);
  return names;
}

} // namespace

FileText read_main_file(const std::filesystem::path& file) {
  // Non-blocking: opening a fifo must not wait for its writer.
  const Descriptor opened{::open(file.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)};
  if (opened.get() < 0) return cannot_open(errno);
  return read_open_file(opened.get(), std::nullopt);
}

std::vector<ExtraFile> read_extra_files(const std::filesystem::path& main_file) {
  const std::filesystem::path folder = main_file.parent_path() / "conf.d";
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return {};
  if (fd < 0 && errno == ENOTDIR) return {{.name = folder, .text = complaint("this is not a directory: make it one, or remove it")}};
  if (fd < 0)
    return {{.name = folder, .text = complaint("cannot open this directory: {}: let the user that reads it in", std::strerror(errno))}};
  const std::unique_ptr<DIR, CloseDirectory> directory{::fdopendir(fd)};
  if (!directory) {
    ::close(fd);
    return {{.name = folder, .text = complaint("cannot read this directory: out of memory; try again")}};
  }
  struct stat status {};
  if (::fstat(fd, &status) == 0 && (status.st_mode & S_IWOTH) != 0)
    return {
        {.name = folder,
         .text = complaint("everybody may put files into this directory: take that away with `chmod o-w`, after a look at what is in it")}};

  struct stat main_status {};
  const uid_t owner = ::stat(main_file.c_str(), &main_status) == 0 ? main_status.st_uid : 0;
  std::vector<ExtraFile> files;
  for (const std::string& name : extra_names(directory.get())) {
    const Descriptor opened{::openat(fd, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)};
    files.push_back({.name = folder / name, .text = opened.get() < 0 ? FileText{cannot_open(errno)} : read_open_file(opened.get(), owner)});
  }
  return files;
}

} // namespace hanat::config
