// Who is at the other end of a unix socket, as the kernel tells it, and the names and groups of the machine that this is compared with.
// Not here: who may do what (control).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace hanat {

struct Credentials {
  uid_t uid = 0;
  pid_t pid = 0;             // 0: of another PID namespace
  std::vector<gid_t> groups; // the primary group too
};

/// What the peer's credentials were when it connected. Throws std::system_error.
Credentials credentials_of(int socket);

bool is_member(const Credentials& who, gid_t group);

/// The user's name from /etc/passwd, else "uid 1000". Never asks a directory server: that may block, and this is called on the loop.
std::string user_name(uid_t uid);

/// A group's number, from every source the machine has (at start and reload). nullopt: no such group.
std::optional<gid_t> find_group(const std::string& name);
std::string group_name(gid_t gid);

} // namespace hanat
