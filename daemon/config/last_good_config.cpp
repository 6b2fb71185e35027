// Writes a new directory, reads it back as a start would, and replaces the previous one, which is set aside until then.
#include "daemon/config/last_good_config.hpp"

#include <cerrno>
#include <charconv>
#include <string>
#include <string_view>
#include <system_error>
#include <variant>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/config/fingerprint.hpp"
#include "daemon/util/durable_write.hpp"
#include "nat/fd.hpp"

namespace hanat {
namespace {

using std::filesystem::path;

[[noreturn]] void fail(const char* what, const path& file) {
  throw std::system_error(errno, std::generic_category(), what + (" " + file.string()));
}

void write_file(const path& file, std::string_view text) {
  const Fd fd{open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
  if (!fd) fail("create", file);
  write_all(fd.get(), text, file.string());
  if (fsync(fd.get()) != 0) fail("sync", file); // a power failure must not leave an empty file, which is a valid configuration
}

void make_directory(const path& directory) {
  if (mkdir(directory.c_str(), 0700) != 0) fail("create", directory);
}

/// False: a file cannot be read, and the copy is incomplete.
bool copy_to(const path& directory, const config::ConfigFiles& files) {
  make_directory(directory);
  make_directory(directory / "conf.d");
  const auto* text = std::get_if<std::string>(&files.content);
  if (text == nullptr) return false;
  write_file(directory / files.main.filename(), *text);
  for (const config::ExtraFile& extra : files.extra) {
    text = std::get_if<std::string>(&extra.content);
    if (text == nullptr) return false;
    write_file(directory / "conf.d" / path{extra.name}.filename(), *text);
  }
  sync_directory(directory / "conf.d");
  sync_directory(directory);
  return true;
}

constexpr const char* unconfirmed_name = "unconfirmed";

} // namespace

path last_good_config(const path& dir, const path& file) {
  const path current = dir / "accepted", previous = dir / "accepted.old";
  std::error_code ignored;
  return (!exists(current, ignored) && exists(previous, ignored) ? previous : current) / file.filename();
}

void save_last_good(const path& dir, const config::ConfigFiles& files) {
  const path current = dir / "accepted", previous = dir / "accepted.old", next = dir / "accepted.new";
  remove_all(next);
  if (!copy_to(next, files) || config_content_hash(next / files.main.filename()) != config_content_hash(files)) {
    remove_all(next);
    return;
  }
  // Two renames instead of one exchange (RENAME_EXCHANGE), which not all file systems support.
  if (exists(current)) {
    remove_all(previous);
    rename(current, previous);
  }
  rename(next, current);
  sync_directory(dir);
  remove_all(previous);
}

void save_unconfirmed(const path& dir, std::uint64_t content) {
  const path next = dir / "unconfirmed.new";
  std::error_code ignored;
  remove(next, ignored);
  write_file(next, std::to_string(content) + "\n");
  rename(next, dir / unconfirmed_name);
  sync_directory(dir);
}

void forget_unconfirmed(const path& dir) {
  if (remove(dir / unconfirmed_name)) sync_directory(dir);
}

std::optional<std::uint64_t> unconfirmed_content(const path& dir) {
  const config::FileContent content = config::read_main_file(dir / unconfirmed_name);
  const auto* text = std::get_if<std::string>(&content);
  std::uint64_t number = 0;
  if (text == nullptr || std::from_chars(text->data(), text->data() + text->size(), number).ec != std::errc{}) return std::nullopt;
  return number;
}

} // namespace hanat
