// Judges how the program of an exec probe ended, and what it wrote. Pure. Not here: programs (exec).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "probes/probe.hpp"

namespace hanat::probes {

/// What a program wrote: its first line, and whether it wrote too much.
class ExecOutput {
public:
  /// False: enough, end it.
  bool add(std::string_view piece);
  bool too_large() const { return bytes_ > longest; }
  std::string first_line() const { return sanitized(first_line_.substr(0, first_line_.find('\n'))); }

  static constexpr std::size_t longest = std::size_t{64} << 10; // a sane check writes a line or two

private:
  std::size_t bytes_ = 0;
  std::string first_line_; // at least, and no more than is shown
};

/// `exited`: `status` is its exit status; else the signal that ended it.
Answer answer_from_exit(const Spec& spec, bool exited, int status, const ExecOutput& output, Clock::duration latency);

} // namespace hanat::probes
