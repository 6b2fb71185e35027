// The credentials of the peer of a unix socket, as the kernel reports them, and lookups of the machine's users and groups.
// Not here: who may do what (control).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace hanat {

struct Credentials {
  uid_t uid = 0;
  pid_t pid = 0;             // 0: in another PID namespace
  std::vector<gid_t> groups; // with the primary group
};

/// The peer's credentials when it connected. Throws std::system_error.
Credentials credentials_of(int socket);

bool is_member(const Credentials& who, gid_t group);

/// The user's name as /etc/passwd had it when it was read last, otherwise "uid 1000". Reads no file but the first time, and never queries a
/// directory server: that may block, and the loop calls this.
std::string user_name(uid_t uid);
/// Reads /etc/passwd again if it has changed. From any thread.
void refresh_user_names();

/// A user's number, by /etc/passwd alone. It reads the file. nullopt: no such user.
std::optional<uid_t> find_local_user(const std::string& name);
/// A group's number, from every source that the machine uses. It may hang, so the loop does not call it. nullopt: no such group.
std::optional<gid_t> find_group(const std::string& name);
/// The same before the loop runs: /etc/group first, then the other sources, which get two seconds. nullopt: none, or no answer.
std::optional<gid_t> find_group_at_start(const std::string& name);
std::string group_name(gid_t gid);

/// Why this group cannot be that of the operators; empty: it can, or none is named.
std::string operators_error(const std::string& group);

} // namespace hanat
