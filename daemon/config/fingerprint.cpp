// stat() of every file; the text of every file.
#include "daemon/config/fingerprint.hpp"

#include <algorithm>
#include <string_view>
#include <system_error>
#include <variant>

#include <sys/stat.h>

namespace hanat {
namespace {

/// FNV-1a: it is kept over a restart, perhaps by another build.
std::uint64_t fnv1a(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char letter : text) hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100000001b3;
  return hash;
}

std::string content_of(const config::FileContent& content) {
  const auto* text = std::get_if<std::string>(&content);
  return text != nullptr ? *text : std::get<config::Error>(content).text;
}

} // namespace

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

std::vector<FileStatus> config_file_status(const std::filesystem::path& file) {
  const std::filesystem::path folder = file.parent_path() / "conf.d";
  std::vector<FileStatus> all{status_of(file), status_of(folder)};
  std::error_code ignored;
  for (std::filesystem::directory_iterator entry{folder, ignored}, end; !ignored && entry != end; entry.increment(ignored))
    all.push_back(status_of(entry->path()));
  std::ranges::sort(all.begin() + 2, all.end(), {}, &FileStatus::name);
  return all;
}

std::uint64_t config_content_hash(const std::filesystem::path& file) { return config_content_hash(config::read_config_files(file)); }

std::uint64_t config_content_hash(const config::ConfigFiles& files) {
  std::string all = content_of(files.content);
  for (const config::ExtraFile& extra : files.extra)
    all += '\0' + std::filesystem::path{extra.name}.filename().string() + '\0' + content_of(extra.content);
  return fnv1a(all);
}

} // namespace hanat
