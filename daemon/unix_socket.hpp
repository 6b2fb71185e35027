// A unix stream socket's file: made with the right mode, taken over from a daemon that died, never from one that lives.
// Not here: accepting, bytes.
#pragma once

#include <optional>
#include <string>

#include <sys/types.h>
#include <sys/un.h>

#include "daemon/fd.hpp"

namespace hanat {

/// Throws std::system_error (ENAMETOOLONG, EINVAL) for a path that no socket can have.
sockaddr_un unix_address(const std::string& path);

/// A listening, non-blocking socket whose file is removed with it, if the file is still this one.
class ListeningSocket {
public:
  /// 0660; `group` where it may be given away. Throws std::system_error: EADDRINUSE when somebody answers at `path`, EEXIST when
  /// something else than a socket lies there.
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
