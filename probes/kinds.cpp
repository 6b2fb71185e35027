// One line a kind.
#include "probes/kinds.hpp"

#include <utility>

#include "probes/conversation.hpp"
#include "probes/dns.hpp"
#include "probes/exec.hpp"
#include "probes/http.hpp"
#include "probes/icmp.hpp"
#include "probes/tcp.hpp"
#include "probes/udp.hpp"

namespace hanat::probes {
namespace {

bool is_curls(Kind kind) { return kind == Kind::http || kind == Kind::https || kind == Kind::grpc; }

template <class Shared> Shared& made(std::unique_ptr<Shared>& shared, uv_loop_t* loop) {
  if (!shared) shared = std::make_unique<Shared>(loop);
  return *shared;
}

} // namespace

Kinds::Kinds(uv_loop_t* loop) : loop_(loop) {}
Kinds::~Kinds() = default;

void Kinds::add(const Question& question) { count_http(question, true); }
void Kinds::remove(const Question& question) { count_http(question, false); }

void Kinds::count_http(const Question& question, bool more) {
  if (!is_curls(question.spec.kind)) return;
  http_questions_ = more ? http_questions_ + 1 : http_questions_ - 1;
  made(http_, loop_).set_questions(http_questions_);
}

Asked Kinds::ask(const Question& question, Done done) {
  switch (question.spec.kind) {
  case Kind::tcp:
    if (question.spec.of<TalkSpec>() == TalkSpec{}) return ask_tcp(loop_, question, std::move(done));
    [[fallthrough]];
  case Kind::tls:
  case Kind::redis:
  case Kind::postgres:
  case Kind::mysql:
  case Kind::smtp: return converse(loop_, question, std::move(done));
  case Kind::http:
  case Kind::https:
  case Kind::grpc: return made(http_, loop_).ask(question, std::move(done));
  case Kind::icmp: return made(icmp_, loop_).ask(question, std::move(done));
  case Kind::exec: return made(exec_, loop_).ask(question, std::move(done));
  case Kind::udp: return ask_udp(loop_, question, std::move(done));
  case Kind::dns: return ask_dns(loop_, question, std::move(done));
  }
  return Answer{};
}

} // namespace hanat::probes
