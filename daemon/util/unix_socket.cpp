// socket, bind, chown, listen: in an order that never leaves the file with wrong permissions.
#include "daemon/util/unix_socket.hpp"

#include <cerrno>
#include <cstring>
#include <system_error>

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace hanat {
namespace {

constexpr mode_t socket_mode = 0660;
constexpr int backlog = 64; // more than the connections served at once: a burst waits instead of failing

[[noreturn]] void fail(int error, const std::string& what) { throw std::system_error(error, std::generic_category(), what); }

Fd stream_socket() {
  Fd fd{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!fd) fail(errno, "make a control socket");
  return fd;
}

/// Removes the socket file of a dead daemon. Throws when a daemon listens there, or when the file is not a socket.
void remove_dead(const std::string& path, const sockaddr_un& address) {
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return;
    fail(errno, "look at " + path);
  }
  if (!S_ISSOCK(info.st_mode)) fail(EEXIST, path + " is not a socket; move it away or give another --socket");
  const Fd probe = stream_socket();
  const int result = connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  if (result == 0 || errno == EAGAIN) // EAGAIN: it runs, and its backlog is full
    fail(EADDRINUSE, "another daemon answers at " + path + "; stop it or give another --socket");
  if (errno != ECONNREFUSED && errno != ENOENT) fail(errno, "find out whether a daemon listens at " + path);
  if (unlink(path.c_str()) != 0 && errno != ENOENT) fail(errno, "remove the dead socket " + path);
}

} // namespace

sockaddr_un unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.find('\0') != std::string::npos) fail(EINVAL, "socket path");
  if (path.size() >= sizeof address.sun_path) fail(ENAMETOOLONG, "socket path " + path + " (107 bytes at most)");
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

ListeningSocket::ListeningSocket(const std::string& path, std::optional<gid_t> group) : path_(path) {
  const sockaddr_un address = unix_address(path);
  remove_dead(path, address);
  fd_ = stream_socket();
  // Set before bind() creates the file: with chmod() alone the file would first have the permissions that the umask leaves.
  if (fchmod(fd_.get(), socket_mode) != 0) fail(errno, "set the mode of the control socket");
  if (bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fail(errno, "bind the control socket " + path);
  struct stat info {};
  if (lstat(path.c_str(), &info) == 0) {
    device_ = info.st_dev;
    inode_ = info.st_ino;
  }
  // bind() applied the umask to the mode. Nobody can connect before listen().
  if (chmod(path.c_str(), socket_mode) != 0) fail(errno, "set the mode of " + path);
  // EPERM: only root and members may give a file to a group; another user's daemon is for that user alone.
  if (group && chown(path.c_str(), static_cast<uid_t>(-1), *group) != 0 && errno != EPERM) fail(errno, "give " + path + " to its group");
  if (listen(fd_.get(), backlog) != 0) fail(errno, "listen at " + path);
}

ListeningSocket::~ListeningSocket() {
  struct stat info {};
  if (lstat(path_.c_str(), &info) == 0 && info.st_dev == device_ && info.st_ino == inode_) unlink(path_.c_str());
}

} // namespace hanat
