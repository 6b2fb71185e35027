// Exit status, signal, first line.
#include "probes/exec_answer.hpp"

#include <utility>

#include <fmt/format.h>

#include "probes/asking.hpp"

namespace hanat::probes {
namespace {

constexpr std::size_t longest_shown = 80;

} // namespace

bool ExecOutput::add(std::string_view piece) {
  bytes_ += piece.size();
  first_line_ += piece.substr(0, longest_shown - first_line_.size());
  return !too_large();
}

Answer answer_from_exit(const Spec& spec, bool exited, int status, const ExecOutput& output, Clock::duration latency) {
  const auto abnormal = [latency](Reason reason, std::string detail) {
    return Answer{.outcome = Outcome::abnormal, .reason = reason, .latency = latency, .detail = std::move(detail)};
  };
  if (output.too_large()) return abnormal(Reason::too_large, output.first_line());
  if (exited && status == 0) return right_answer(spec, Reason::answered, latency);
  const std::string line = output.first_line();
  return abnormal(Reason::wrong_answer, fmt::format("{} {}{}{}", exited ? "exit" : "signal", status, line.empty() ? "" : ": ", line));
}

} // namespace hanat::probes
