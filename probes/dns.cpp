// A random id for every question: nobody who does not see it can answer in the server's place.
#include "probes/dns.hpp"

#include <random>
#include <utility>

#include "probes/datagram.hpp"
#include "probes/dns_message.hpp"

namespace hanat::probes {

Asked ask_dns(uv_loop_t* loop, const Question& question, Done done) {
  const auto id = static_cast<std::uint16_t>(std::random_device{}());
  const std::string query = dns_query(question.spec.of<DnsSpec>(), id);
  if (query.empty()) // refused by the configuration
    return Answer{
        .outcome = Outcome::blind, .reason = Reason::local_error, .latency = {}, .detail = "no DNS message can ask for this name"};
  const auto judge = [&spec = question.spec, id](std::string_view datagram, Clock::duration latency) -> std::optional<Answer> {
    auto verdict = judge_dns(spec.of<DnsSpec>(), id, datagram);
    if (!verdict) return std::nullopt;
    if (verdict->reason == Reason::answered) return right_answer(spec, Reason::answered, latency);
    return Answer{.outcome = Outcome::abnormal, .reason = verdict->reason, .latency = latency, .detail = std::move(verdict->detail)};
  };
  return ask_datagram(loop, question, query, judge, std::move(done));
}

} // namespace hanat::probes
