// Preloaded into hanatd (LD_PRELOAD): looks for groups hang, as with a directory service that does not answer, for as long as the file
// exists that HANAT_GROUPS_HANG names. Not here: netlink's faults (netlink_faults).
#include <cerrno>
#include <cstdlib>
#include <ctime>

#include <grp.h>
#include <unistd.h>

extern "C" int getgrnam_r(const char* name, group* entry, char* buffer, size_t bytes, group** found) {
  const char* const file = std::getenv("HANAT_GROUPS_HANG");
  while (file != nullptr && access(file, F_OK) == 0) {
    const timespec moment{.tv_sec = 0, .tv_nsec = 10'000'000};
    nanosleep(&moment, nullptr);
  }
  *found = nullptr;
  setgrent();
  int error = 0;
  while ((error = getgrent_r(entry, buffer, bytes, found)) == 0)
    if (const char *one = entry->gr_name, *other = name; true) {
      while (*one != '\0' && *one == *other) ++one, ++other;
      if (*one == *other) break;
    }
  endgrent();
  if (error == 0) return 0;
  *found = nullptr;
  return error == ERANGE ? ERANGE : 0;
}
