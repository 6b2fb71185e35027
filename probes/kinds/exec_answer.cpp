// Turns exit status, signal and output into a result.
#include "probes/kinds/exec_answer.hpp"

#include <utility>

#include <fmt/format.h>

namespace hanat::probes {
namespace {

constexpr std::size_t longest_shown = 80;

} // namespace

bool ExecOutput::add(std::string_view piece) {
  bytes_ += piece.size();
  first_line_ += piece.substr(0, longest_shown - first_line_.size());
  return !too_large();
}

ProbeResult result_from_exit(const ProbeSpec& spec, bool exited, int status, const ExecOutput& output, Clock::duration latency) {
  if (output.too_large()) return fail_result(Reason::too_large, latency, output.first_line());
  if (exited && status == 0) return pass_result(spec, Reason::answered, latency);
  const std::string line = output.first_line();
  return fail_result(Reason::wrong_answer, latency,
                     fmt::format("{} {}{}{}", exited ? "exit status" : "killed by signal", status, line.empty() ? "" : ": ", line));
}

} // namespace hanat::probes
