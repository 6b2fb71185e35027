// One line per kind.
#include "probes/scheduling/prober.hpp"

#include <utility>

#include "probes/kinds/dns.hpp"
#include "probes/kinds/exec.hpp"
#include "probes/kinds/http.hpp"
#include "probes/kinds/icmp.hpp"
#include "probes/kinds/tcp.hpp"
#include "probes/kinds/tcp_session.hpp"
#include "probes/kinds/tls_sessions.hpp"
#include "probes/kinds/udp.hpp"

namespace hanat::probes {
namespace {

bool uses_curl(Kind kind) { return kind == Kind::http || kind == Kind::https || kind == Kind::grpc; }

template <class Client> Client& get_or_make(std::unique_ptr<Client>& client, Timers& timers) {
  if (!client) client = std::make_unique<Client>(timers);
  return *client;
}

} // namespace

Prober::Prober(uv_loop_t* loop) : timers_(loop), tls_sessions_(std::make_unique<TlsSessions>()) {}
Prober::~Prober() = default;

void Prober::add(const Probe& probe) { count_http(probe, true); }
void Prober::remove(const Probe& probe) {
  count_http(probe, false);
  tls_sessions_->forget(probe);
}

void Prober::count_http(const Probe& probe, bool added) {
  if (!uses_curl(probe.spec.kind)) return;
  http_probes_ = added ? http_probes_ + 1 : http_probes_ - 1;
  get_or_make(http_, timers_).set_probes(http_probes_);
}

StartResult Prober::start(const Probe& probe, OnResult on_result) {
  switch (probe.spec.kind) {
  case Kind::tcp:
    if (probe.spec.of<SendExpectSpec>() == SendExpectSpec{} && probe.spec.tls.get() == nullptr)
      return get_or_make(tcp_, timers_).start(probe, std::move(on_result));
    [[fallthrough]];
  case Kind::tls:
  case Kind::redis:
  case Kind::postgres:
  case Kind::mysql:
  case Kind::smtp:
  case Kind::agent: return tcp_session(timers_, probe, *tls_sessions_, std::move(on_result));
  case Kind::http:
  case Kind::https:
  case Kind::grpc: return get_or_make(http_, timers_).start(probe, std::move(on_result));
  case Kind::icmp: return get_or_make(icmp_, timers_).start(probe, std::move(on_result));
  case Kind::exec: return get_or_make(exec_, timers_).start(probe, std::move(on_result));
  case Kind::udp: return probe_udp(timers_, probe, std::move(on_result));
  case Kind::dns: return probe_dns(timers_, probe, std::move(on_result));
  }
  return ProbeResult{};
}

} // namespace hanat::probes
