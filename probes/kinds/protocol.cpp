// What all protocol clients share: unread bytes kept until they are complete, and a limit on input.
#include "probes/kinds/protocol.hpp"

#include <utility>

namespace hanat::probes {

Step ProtocolClient::on_data(std::string_view bytes) {
  bytes = bytes.substr(0, limit_ - received_);
  received_ += bytes.size();
  unread_.append(bytes);
  std::string_view unread{unread_};
  Step step = read(unread);
  unread_.erase(0, unread_.size() - unread.size());
  if (!step.verdict && received_ == limit_) step.verdict = overflow();
  return step;
}

Step LineProtocolClient::read(std::string_view& unread) {
  Step step;
  while (!step.verdict) {
    const auto end = unread.find('\n');
    std::string_view line = unread.substr(0, end);
    if (line.size() > longest_) step.verdict = Verdict{Reason::garbled, std::string{line.substr(0, longest_)}};
    if (end == std::string_view::npos || step.verdict) break;
    unread.remove_prefix(end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    on_line(line, step);
  }
  return step;
}

std::unique_ptr<ProtocolClient> protocol_client_for(const Probe& probe) {
  const ProbeSpec& spec = probe.spec;
  switch (spec.kind) {
  case Kind::tcp: return send_expect(spec.of<SendExpectSpec>());
  case Kind::tls: return tls(spec.of<TlsSpec>(), probe.server.address);
  case Kind::redis: return redis(spec.of<RedisSpec>());
  case Kind::postgres: return postgres(spec.of<SqlSpec>());
  case Kind::mysql: return mysql(spec.of<SqlSpec>());
  case Kind::smtp: return smtp(spec.of<SmtpSpec>());
  case Kind::agent: return agent(spec.of<AgentSpec>());
  case Kind::http:
  case Kind::https:
  case Kind::icmp:
  case Kind::udp:
  case Kind::dns:
  case Kind::grpc:
  case Kind::exec: return nullptr;
  }
  return nullptr;
}

} // namespace hanat::probes
