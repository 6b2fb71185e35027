// What all dialogues share: bytes kept until they are understood, and a bound on them.
#include "probes/dialogue.hpp"

#include <utility>

namespace hanat::probes {

Turn Dialogue::hear(std::string_view bytes) {
  bytes = bytes.substr(0, most_ - heard_);
  heard_ += bytes.size();
  unread_.append(bytes);
  std::string_view unread{unread_};
  Turn turn = read(unread);
  unread_.erase(0, unread_.size() - unread.size());
  if (!turn.verdict && heard_ == most_) turn.verdict = overflow();
  return turn;
}

Turn LineDialogue::read(std::string_view& unread) {
  Turn turn;
  while (!turn.verdict) {
    const auto end = unread.find('\n');
    std::string_view line = unread.substr(0, end);
    if (line.size() > longest_) turn.verdict = Verdict{Reason::garbled, std::string{line.substr(0, longest_)}};
    if (end == std::string_view::npos || turn.verdict) break;
    unread.remove_prefix(end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    hear_line(line, turn);
  }
  return turn;
}

std::unique_ptr<Dialogue> dialogue_for(const Question& question) {
  const Spec& spec = question.spec;
  switch (spec.kind) {
  case Kind::tcp: return talk(spec.of<TalkSpec>());
  case Kind::tls: return tls(spec.of<TlsSpec>(), question.server.address);
  case Kind::redis: return redis(spec.of<RedisSpec>());
  case Kind::postgres: return postgres(spec.of<SqlSpec>());
  case Kind::mysql: return mysql(spec.of<SqlSpec>());
  case Kind::smtp: return smtp(spec.of<SmtpSpec>());
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
