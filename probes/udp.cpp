// What an answer to the said bytes is worth.
#include "probes/udp.hpp"

#include <utility>

#include "probes/datagram.hpp"

namespace hanat::probes {

Asked ask_udp(uv_loop_t* loop, const Question& question, Done done) {
  const auto judge = [&spec = question.spec](std::string_view datagram, Clock::duration latency) -> std::optional<Answer> {
    const Pattern& expect = spec.of<TalkSpec>().expect;
    if (expect.empty() || expect.found_in(datagram)) return right_answer(spec, Reason::answered, latency);
    return Answer{.outcome = Outcome::abnormal, .reason = Reason::wrong_answer, .latency = latency, .detail = sanitized(datagram)};
  };
  return ask_datagram(loop, question, question.spec.of<TalkSpec>().send, judge, std::move(done));
}

} // namespace hanat::probes
