// A folder is written beside, read back as a start would read it, and exchanged with the one of before.
#include "daemon/accepted_config.hpp"

#include <cerrno>
#include <cstdio>
#include <string>
#include <string_view>
#include <system_error>
#include <variant>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/config.hpp"
#include "daemon/config_file.hpp"
#include "daemon/disk.hpp"
#include "daemon/fd.hpp"

namespace hanat {
namespace {

using std::filesystem::path;

[[noreturn]] void fail(const char* what, const path& file) {
  throw std::system_error(errno, std::generic_category(), what + (" " + file.string()));
}

void write_whole(const path& file, std::string_view text) {
  const Fd fd{open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
  if (!fd) fail("make", file);
  write_all(fd.get(), text, file.string());
  if (fsync(fd.get()) != 0) fail("sync", file); // a loss of power must not leave an empty file: it would be a right configuration
}

void make_folder(const path& folder) {
  if (mkdir(folder.c_str(), 0700) != 0) fail("make", folder);
}

} // namespace

path accepted_config(const path& dir, const path& file) { return dir / "accepted" / file.filename(); }

void keep_accepted(const path& dir, const path& file) {
  const path kept = dir / "accepted", fresh = dir / "accepted.new";
  std::filesystem::remove_all(fresh);
  make_folder(fresh);
  make_folder(fresh / "conf.d");
  const config::FileText main_text = config::read_main_file(file);
  if (const auto* text = std::get_if<std::string>(&main_text)) write_whole(fresh / file.filename(), *text);
  for (const config::ExtraFile& extra : config::read_extra_files(file))
    if (const auto* text = std::get_if<std::string>(&extra.text)) write_whole(fresh / "conf.d" / path{extra.name}.filename(), *text);
  sync_directory(fresh / "conf.d");
  sync_directory(fresh);
  if (!std::holds_alternative<Config>(load_config(fresh / file.filename()))) {
    std::filesystem::remove_all(fresh);
    return;
  }
  if (renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, kept.c_str(), RENAME_EXCHANGE) != 0 &&
      (errno != ENOENT || rename(fresh.c_str(), kept.c_str()) != 0))
    fail("put in place", kept);
  sync_directory(dir);
  std::filesystem::remove_all(fresh);
}

} // namespace hanat
