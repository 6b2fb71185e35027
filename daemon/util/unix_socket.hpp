// A listening unix stream socket and its file: created with the right mode; the file of a dead daemon is replaced, that of a running one is
// not. Not here: accepting connections (control/server), the protocol (api/varlink).
#pragma once

#include <optional>
#include <string>

#include <sys/types.h>
#include <sys/un.h>

#include "nat/fd.hpp"

namespace hanat {

/// Throws std::system_error (ENAMETOOLONG, EINVAL) for a path that no socket can have.
sockaddr_un unix_address(const std::string& path);

/// A listening, non-blocking socket whose file is removed with it, if the file is still this one.
class ListeningSocket {
public:
  /// Mode 0660, owned by `group` where this process may set it. Throws std::system_error: EADDRINUSE when a daemon listens at `path`,
  /// EEXIST when `path` is not a socket.
  ListeningSocket(const std::string& path, std::optional<gid_t> group);
  ~ListeningSocket();
  ListeningSocket(const ListeningSocket&) = delete;
  ListeningSocket& operator=(const ListeningSocket&) = delete;

  int fd() const { return fd_.get(); }

private:
  Fd fd_;
  std::string path_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

} // namespace hanat
