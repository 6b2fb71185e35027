// A folder is written beside, read back as a start would read it, and put in the place of the one of before, which lies aside meanwhile.
#include "daemon/accepted_config.hpp"

#include <cerrno>
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

/// False: one of the files cannot be read now; the copy is not whole.
bool copy_to(const path& folder, const path& file) {
  make_folder(folder);
  make_folder(folder / "conf.d");
  const config::FileText main_text = config::read_main_file(file);
  const auto* text = std::get_if<std::string>(&main_text);
  if (text == nullptr) return false;
  write_whole(folder / file.filename(), *text);
  for (const config::ExtraFile& extra : config::read_extra_files(file)) {
    text = std::get_if<std::string>(&extra.text);
    if (text == nullptr) return false;
    write_whole(folder / "conf.d" / path{extra.name}.filename(), *text);
  }
  sync_directory(folder / "conf.d");
  sync_directory(folder);
  return true;
}

} // namespace

path accepted_config(const path& dir, const path& file) {
  const path kept = dir / "accepted", old = dir / "accepted.old";
  std::error_code unknown;
  return (!exists(kept, unknown) && exists(old, unknown) ? old : kept) / file.filename();
}

void keep_accepted(const path& dir, const path& file) {
  const path kept = dir / "accepted", old = dir / "accepted.old", fresh = dir / "accepted.new";
  remove_all(fresh);
  if (!copy_to(fresh, file) || !std::holds_alternative<Config>(load_config(fresh / file.filename()))) {
    remove_all(fresh);
    return;
  }
  // Not one exchange of both, which not every file system can.
  if (exists(kept)) {
    remove_all(old);
    rename(kept, old);
  }
  rename(fresh, kept);
  sync_directory(dir);
  remove_all(old);
}

} // namespace hanat
