// SO_PEERCRED, SO_PEERGROUPS, and the user and group files.
#include "daemon/util/credentials.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>

#include <grp.h>
#include <pwd.h>
#include <sys/socket.h>

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
  const std::unique_ptr<std::FILE, CloseFile> file{std::fopen("/etc/passwd", "re")};
  if (file) {
    std::vector<char> buffer(entry_bytes);
    passwd entry{};
    passwd* found = nullptr;
    while (fgetpwent_r(file.get(), &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr)
      if (found->pw_uid == uid) return found->pw_name;
  }
  return "uid " + std::to_string(uid);
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
