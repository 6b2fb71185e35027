// File descriptors in tests: the product's own, and system calls that throw. Not here: what they are open on.
#pragma once

#include <cerrno>
#include <string>
#include <system_error>

#include "nat/fd.hpp"

namespace hanat::test {

/// The result of a system call that answers -1 with errno: passed through, or thrown as std::system_error naming `what`.
inline int checked(int result, const std::string& what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return result;
}

} // namespace hanat::test
