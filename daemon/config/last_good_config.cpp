// Writes a new directory, reads it back as a start would, and replaces the previous one, which is set aside until then.
#include "daemon/config/last_good_config.hpp"

#include <cerrno>
#include <string>
#include <string_view>
#include <system_error>
#include <variant>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/config/load_config.hpp"
#include "daemon/config/read_files.hpp"
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
bool copy_to(const path& directory, const path& file) {
  make_directory(directory);
  make_directory(directory / "conf.d");
  const config::FileContent main_content = config::read_main_file(file);
  const auto* text = std::get_if<std::string>(&main_content);
  if (text == nullptr) return false;
  write_file(directory / file.filename(), *text);
  for (const config::ExtraFile& extra : config::read_extra_files(file)) {
    text = std::get_if<std::string>(&extra.content);
    if (text == nullptr) return false;
    write_file(directory / "conf.d" / path{extra.name}.filename(), *text);
  }
  sync_directory(directory / "conf.d");
  sync_directory(directory);
  return true;
}

} // namespace

path last_good_config(const path& dir, const path& file) {
  const path current = dir / "accepted", previous = dir / "accepted.old";
  std::error_code ignored;
  return (!exists(current, ignored) && exists(previous, ignored) ? previous : current) / file.filename();
}

void save_last_good(const path& dir, const path& file) {
  const path current = dir / "accepted", previous = dir / "accepted.old", next = dir / "accepted.new";
  remove_all(next);
  if (!copy_to(next, file) || !std::holds_alternative<Config>(load_config(next / file.filename()))) {
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

} // namespace hanat
