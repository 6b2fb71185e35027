// unshare(CLONE_NEWNET) on a thread.
#include "tests/netns/lab/isolated.hpp"

#include <cerrno>
#include <exception>
#include <system_error>
#include <thread>

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace hanat::test {
namespace {

void raise_loopback() {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request{};
  request.ifr_name[0] = 'l';
  request.ifr_name[1] = 'o';
  request.ifr_flags = IFF_UP;
  const int result = ioctl(fd, SIOCSIFFLAGS, &request);
  close(fd);
  if (result != 0) throw std::system_error(errno, std::generic_category(), "raise loopback");
}

} // namespace

void isolated(const std::function<void()>& body) {
  std::exception_ptr failure;
  std::thread worker([&] {
    try {
      if (unshare(CLONE_NEWNET) != 0) throw std::system_error(errno, std::generic_category(), "a network namespace (root is needed)");
      raise_loopback();
      body();
    } catch (...) {
      failure = std::current_exception();
    }
  });
  worker.join();
  if (failure) std::rethrow_exception(failure);
}

} // namespace hanat::test
