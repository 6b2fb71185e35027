// How much memory a process has. Not here: what of it grows (soak).
#pragma once

#include <fstream>
#include <stdexcept>
#include <string>

#include <fmt/format.h>
#include <sys/types.h>

namespace hanat::bench {

/// VmRSS of a process, in MB of 1,048,576 bytes.
inline double memory_of(pid_t process) {
  std::ifstream file(fmt::format("/proc/{}/status", process));
  for (std::string word; file >> word;)
    if (double kilobytes = 0; word == "VmRSS:" && file >> kilobytes) return kilobytes / 1024;
  throw std::runtime_error(fmt::format("process {} has no VmRSS: it has ended", process));
}

} // namespace hanat::bench
