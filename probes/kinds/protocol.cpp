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
  // What comes with the permission to start TLS was sent by anybody: it must not count as secured.
  if (step.start_tls && !unread_.empty()) return {.send = {}, .verdict = Verdict{Reason::garbled, "data in front of the TLS handshake"}};
  if (!step.verdict && received_ == limit_) step.verdict = overflow();
  return step;
}

Step LineProtocolClient::read(std::string_view& unread) {
  Step step;
  while (!step.verdict && !step.start_tls) {
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

namespace {

std::unique_ptr<ProtocolClient> plain_client_for(const Probe& probe, bool tls) {
  const ProbeSpec& spec = probe.spec;
  switch (spec.kind) {
  case Kind::tcp: return send_expect(spec.of<SendExpectSpec>());
  case Kind::tls: return probes::tls(spec.of<TlsSpec>());
  case Kind::redis: return redis(spec.of<RedisSpec>());
  case Kind::postgres: return postgres(spec.of<SqlSpec>(), tls);
  case Kind::mysql: return mysql(spec.of<SqlSpec>(), tls);
  case Kind::smtp: return smtp(spec.of<SmtpSpec>(), tls);
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

/// The keys of the kind tls are older than the table.
TlsOptions options_of(const ProbeSpec& spec) {
  TlsOptions options = spec.tls.get() == nullptr ? TlsOptions{} : *spec.tls.get();
  if (spec.kind != Kind::tls) return options;
  options.name = spec.of<TlsSpec>().host;
  options.verify = spec.of<TlsSpec>().verify;
  return options;
}

} // namespace

std::unique_ptr<ProtocolClient> protocol_client_for(const Probe& probe, TlsSessions* sessions) {
  const bool tls = probe.spec.kind == Kind::tls || probe.spec.tls.get() != nullptr;
  auto client = plain_client_for(probe, tls);
  if (!tls || !client) return client;
  if (probe.spec.kind == Kind::tls) sessions = nullptr; // it is about the handshake: each is a whole one
  return tls_client(std::move(client), options_of(probe.spec), probe, sessions);
}

} // namespace hanat::probes
