// Preloaded into hanatd (LD_PRELOAD): sendto() and recvmsg() as the C library has them, but for netfilter's netlink sockets, which meet
// the fault that a test asks for. Not here: when and which (the test, through netlink_faults.hpp).
#include "tests/shim/netlink_faults.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>

namespace hanat::test {
namespace {

NetlinkFault* map_fault() {
  const char* path = std::getenv(faults_variable);
  if (path == nullptr) return nullptr;
  const int fd = open(path, O_RDWR | O_CLOEXEC);
  void* const memory = fd < 0 ? MAP_FAILED : mmap(nullptr, sizeof(NetlinkFault), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) {
    std::perror(path);
    std::abort(); // a test that believes in faults which never come would pass
  }
  close(fd);
  return static_cast<NetlinkFault*>(memory);
}

NetlinkFault* fault() {
  static NetlinkFault* const mapped = map_fault();
  return mapped;
}

/// Asked at every call: the numbers of descriptors are used again.
bool speaks_netfilter(int fd) {
  int domain = 0, protocol = 0;
  socklen_t length = sizeof domain;
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) != 0 || domain != AF_NETLINK) return false;
  return getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &length) == 0 && protocol == NETLINK_NETFILTER;
}

bool is_meant(const NetlinkFault& wanted, const nlmsghdr& header) {
  const bool dump = (header.nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
  if (header.nlmsg_type == NFNL_MSG_BATCH_BEGIN) {
    const auto* family = reinterpret_cast<const nfgenmsg*>(&header + 1);
    return wanted.requests == Requests::changes && wanted.subsystem == ntohs(family->res_id);
  }
  if (wanted.subsystem != NFNL_SUBSYS_ID(header.nlmsg_type)) return false;
  if (wanted.requests == Requests::dumps) return dump;
  const auto type = NFNL_MSG_TYPE(header.nlmsg_type);
  return wanted.subsystem == NFNL_SUBSYS_CTNETLINK && (type == IPCTNL_MSG_CT_NEW || type == IPCTNL_MSG_CT_DELETE);
}

bool take_hit(NetlinkFault& wanted, const nlmsghdr& header) {
  if (wanted.times == 0 || !is_meant(wanted, header)) return false;
  if (wanted.pass > 0) {
    --wanted.pass;
    return false;
  }
  --wanted.times;
  ++wanted.hits;
  return true;
}

/// What the next recvmsg() of this thread on that socket is to do: who sends a request reads its answers, one exchange after the other.
struct Pending {
  int fd = -1;
  FaultAt at{};
  int error = 0;
  nlmsghdr request{};
};
thread_local Pending pending;

ssize_t really_receive(int fd, msghdr* message, int flags) { return syscall(SYS_recvmsg, fd, message, flags); }

ssize_t fail(int error) {
  errno = error;
  return -1;
}

/// The kernel's refusal of the request's first message, which of a batch is its begin.
ssize_t refuse(msghdr& message) {
  sockaddr_nl own{};
  socklen_t length = sizeof own;
  getsockname(pending.fd, reinterpret_cast<sockaddr*>(&own), &length);
  struct {
    nlmsghdr header;
    nlmsgerr body;
  } refusal{};
  refusal.header = {.nlmsg_len = sizeof refusal,
                    .nlmsg_type = NLMSG_ERROR,
                    .nlmsg_flags = NLM_F_CAPPED,
                    .nlmsg_seq = pending.request.nlmsg_seq,
                    .nlmsg_pid = own.nl_pid};
  refusal.body.error = -pending.error;
  refusal.body.msg = pending.request;
  const std::size_t bytes = std::min(message.msg_iov[0].iov_len, sizeof refusal);
  std::memcpy(message.msg_iov[0].iov_base, &refusal, bytes);
  const sockaddr_nl kernel{.nl_family = AF_NETLINK, .nl_pad = 0, .nl_pid = 0, .nl_groups = 0};
  std::memcpy(message.msg_name, &kernel, std::min(std::size_t{message.msg_namelen}, sizeof kernel));
  message.msg_flags = 0;
  return static_cast<ssize_t>(bytes);
}

} // namespace
} // namespace hanat::test

using namespace hanat::test;

extern "C" ssize_t sendto(int fd, const void* bytes, std::size_t length, int flags, const sockaddr* to, socklen_t to_length) {
  NetlinkFault* const wanted = fault();
  if (wanted != nullptr && length >= sizeof(nlmsghdr) + sizeof(nfgenmsg) && speaks_netfilter(fd)) {
    if (pending.fd == fd) pending = {};
    const auto& header = *static_cast<const nlmsghdr*>(bytes);
    if (take_hit(*wanted, header)) {
      const FaultAt at = wanted->at;
      if (at == FaultAt::send) return fail(wanted->error);
      pending = {.fd = fd, .at = at, .error = wanted->error, .request = header};
      if (at == FaultAt::answer || at == FaultAt::request) return static_cast<ssize_t>(length);
    }
  }
  return syscall(SYS_sendto, fd, bytes, length, flags, to, to_length);
}

extern "C" ssize_t recvmsg(int fd, msghdr* message, int flags) {
  if (pending.fd != fd) return really_receive(fd, message, flags);
  if (pending.at == FaultAt::silence) { // until the next request
    while (really_receive(fd, message, MSG_DONTWAIT) >= 0) {
    }
    return fail(EAGAIN);
  }
  const ssize_t refused = pending.at == FaultAt::answer ? refuse(*message) : -1;
  if (pending.at == FaultAt::lost) really_receive(fd, message, MSG_DONTWAIT);
  pending.fd = -1;
  return refused >= 0 ? refused : fail(pending.error);
}
