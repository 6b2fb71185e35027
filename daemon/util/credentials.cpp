// SO_PEERCRED, SO_PEERGROUPS, and the user and group files.
#include "daemon/util/credentials.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <tuple>
#include <utility>

#include <grp.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>

namespace hanat {
namespace {

constexpr std::size_t entry_bytes = std::size_t{64} << 10; // a line of passwd or group with many members

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

std::vector<gid_t> supplementary_groups(int socket) {
  std::vector<gid_t> groups(64);
  for (;;) {
    auto bytes = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
    const int result = getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &bytes);
    const std::size_t count = bytes / sizeof(gid_t); // ERANGE: the kernel says how much it needs
    if (result != 0 && (errno != ERANGE || count <= groups.size()))
      throw std::system_error(errno, std::generic_category(), "the groups of a client (SO_PEERGROUPS)");
    groups.resize(count);
    if (result == 0) return groups;
  }
}

constexpr const char* passwd_file = "/etc/passwd";

std::map<uid_t, std::string> read_user_names() {
  std::map<uid_t, std::string> names;
  const std::unique_ptr<std::FILE, CloseFile> file{std::fopen(passwd_file, "re")};
  std::vector<char> buffer(entry_bytes);
  passwd entry{};
  passwd* found = nullptr;
  while (file && fgetpwent_r(file.get(), &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr)
    names.emplace(found->pw_uid, found->pw_name); // the first of a number
  return names;
}

/// /etc/passwd in memory: a thread reads it again, the loop looks it up.
class UserNames {
public:
  UserNames() { refresh(); }

  std::string of(uid_t uid) {
    const std::scoped_lock lock{mutex_};
    const auto found = names_.find(uid);
    return found == names_.end() ? "uid " + std::to_string(uid) : found->second;
  }
  void refresh() {
    struct stat status {};
    if (stat(passwd_file, &status) != 0 || !S_ISREG(status.st_mode)) return;
    const auto version = std::tuple{status.st_ino, status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
    {
      const std::scoped_lock lock{mutex_};
      if (version == version_) return;
    }
    auto names = read_user_names();
    const std::scoped_lock lock{mutex_};
    names_ = std::move(names);
    version_ = version;
  }

private:
  std::mutex mutex_;
  std::map<uid_t, std::string> names_;
  std::tuple<ino_t, off_t, time_t, long> version_{};
};

/// Never destroyed: a thread that hangs may outlive main().
UserNames& user_names() {
  static UserNames& names = *std::make_unique<UserNames>().release();
  return names;
}

std::optional<gid_t> find_local_group(const std::string& name) {
  const std::unique_ptr<std::FILE, CloseFile> file{std::fopen("/etc/group", "re")};
  std::vector<char> buffer(entry_bytes);
  group entry{};
  group* found = nullptr;
  while (file && fgetgrent_r(file.get(), &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr)
    if (found->gr_name == name) return found->gr_gid;
  return std::nullopt;
}

} // namespace

Credentials credentials_of(int socket) {
  ucred peer{};
  socklen_t bytes = sizeof peer;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) != 0)
    throw std::system_error(errno, std::generic_category(), "who a client is (SO_PEERCRED)");
  Credentials who{.uid = peer.uid, .pid = peer.pid, .groups = supplementary_groups(socket)};
  who.groups.push_back(peer.gid);
  return who;
}

bool is_member(const Credentials& who, gid_t group) { return std::find(who.groups.begin(), who.groups.end(), group) != who.groups.end(); }

std::string user_name(uid_t uid) {
  if (uid == 0) return "root";
  return user_names().of(uid);
}

void refresh_user_names() { user_names().refresh(); }

std::optional<uid_t> find_local_user(const std::string& name) {
  for (const auto& [uid, user] : read_user_names())
    if (user == name) return uid;
  return std::nullopt;
}

std::optional<gid_t> find_group(const std::string& name) {
  std::vector<char> buffer(entry_bytes);
  group entry{};
  group* found = nullptr;
  int result = 0;
  while ((result = getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found)) == ERANGE) buffer.resize(buffer.size() * 2);
  if (result != 0 || found == nullptr) return std::nullopt;
  return found->gr_gid;
}

std::optional<gid_t> find_group_at_start(const std::string& name) {
  constexpr std::chrono::seconds patience{2};
  if (name.empty()) return std::nullopt;
  if (const auto local = find_local_group(name)) return local;
  std::packaged_task<std::optional<gid_t>()> look_up{[name] { return find_group(name); }};
  auto found = look_up.get_future();
  std::thread{std::move(look_up)}.detach(); // it may hang for ever
  return found.wait_for(patience) == std::future_status::ready ? found.get() : std::nullopt;
}

std::string operators_error(const std::string& group) {
  if (group.empty() || find_group(group)) return {};
  return "no group \"" + group + "\" (operators): make it with groupadd " + group + ", or name another";
}

std::string group_name(gid_t gid) {
  std::vector<char> buffer(entry_bytes);
  group entry{};
  group* found = nullptr;
  int result = 0;
  while ((result = getgrgid_r(gid, &entry, buffer.data(), buffer.size(), &found)) == ERANGE) buffer.resize(buffer.size() * 2);
  if (result != 0 || found == nullptr) return "gid " + std::to_string(gid);
  return found->gr_name;
}

} // namespace hanat
