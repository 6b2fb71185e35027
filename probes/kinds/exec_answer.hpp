// Judges the exit status and the output of an exec probe's program. Pure. Not here: running programs (exec).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "probes/result.hpp"

namespace hanat::probes {

/// The output of a program: its first line, and whether it is too long.
class ExecOutput {
public:
  /// False: too long, kill the program.
  bool add(std::string_view piece);
  bool too_large() const { return bytes_ > longest; }
  std::string first_line() const { return sanitized(first_line_.substr(0, first_line_.find('\n'))); }

  static constexpr std::size_t longest = std::size_t{64} << 10; // a real check writes a line or two

private:
  std::size_t bytes_ = 0;
  std::string first_line_; // the beginning of the output
};

/// `status` is the exit status if the program `exited`; otherwise the signal that killed it.
ProbeResult result_from_exit(const ProbeSpec& spec, bool exited, int status, const ExecOutput& output, Clock::duration latency);

} // namespace hanat::probes
