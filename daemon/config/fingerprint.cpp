// stat() of every file; the text of every file.
#include "daemon/config/fingerprint.hpp"

#include <algorithm>
#include <functional>
#include <system_error>
#include <variant>

#include <sys/stat.h>

#include "daemon/config/read_files.hpp"

namespace hanat {
namespace {

FileStatus status_of(const std::filesystem::path& file) {
  constexpr std::int64_t second = 1'000'000'000;
  FileStatus status{.name = file};
  struct stat info {};
  if (stat(file.c_str(), &info) != 0) return status;
  status.size = info.st_size;
  status.modified_ns = info.st_mtim.tv_sec * second + info.st_mtim.tv_nsec;
  status.changed_ns = info.st_ctim.tv_sec * second + info.st_ctim.tv_nsec;
  status.inode = info.st_ino;
  return status;
}

std::string content_of(const config::FileContent& content) {
  const auto* text = std::get_if<std::string>(&content);
  return text != nullptr ? *text : std::get<config::Error>(content).text;
}

} // namespace

std::vector<FileStatus> config_file_status(const std::filesystem::path& file) {
  const std::filesystem::path folder = file.parent_path() / "conf.d";
  std::vector<FileStatus> all{status_of(file), status_of(folder)};
  std::error_code ignored;
  for (std::filesystem::directory_iterator entry{folder, ignored}, end; !ignored && entry != end; entry.increment(ignored))
    all.push_back(status_of(entry->path()));
  std::ranges::sort(all.begin() + 2, all.end(), {}, &FileStatus::name);
  return all;
}

std::uint64_t config_content_hash(const std::filesystem::path& file) {
  std::string all = content_of(config::read_main_file(file));
  for (const config::ExtraFile& extra : config::read_extra_files(file))
    all += '\0' + std::filesystem::path{extra.name}.filename().string() + '\0' + content_of(extra.content);
  return std::hash<std::string>{}(all);
}

} // namespace hanat
