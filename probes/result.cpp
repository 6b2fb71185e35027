// Text of kinds, outcomes and reasons; which errno values are failures of the server and which are local.
// Not here: sockets (io/).
#include "probes/result.hpp"

#include <cerrno>
#include <cstring>
#include <utility>

#include "nat/printable.hpp"

namespace hanat::probes {
namespace {

Reason reason_of(int error) {
  switch (error) {
  // Failures of the server.
  case ECONNREFUSED:
  case ENOPROTOOPT: return Reason::refused; // ENOPROTOOPT: ICMP protocol unreachable
  case ECONNRESET:
  case ECONNABORTED:
  case EPIPE: return Reason::reset;
  case ETIMEDOUT: return Reason::timeout;
  case EHOSTUNREACH:
  case EHOSTDOWN:
  case ENONET: return Reason::host_unreachable;
  case ENETUNREACH:
  case ENETDOWN: return Reason::net_unreachable;
  // Local failures.
  case EMFILE:
  case ENFILE: return Reason::no_descriptors;
  case ENOBUFS:
  case ENOMEM: return Reason::no_buffers;
  case EADDRNOTAVAIL:
  case EADDRINUSE:
  case EAGAIN: return Reason::no_ports;
  case EPERM:
  case EACCES: return Reason::forbidden;
  default: return Reason::local_error;
  }
}

bool is_local(Reason reason) { return reason >= Reason::no_descriptors; }

} // namespace

std::string_view to_text(Kind kind) {
  switch (kind) {
  case Kind::tcp: return "tcp";
  case Kind::tls: return "tls";
  case Kind::http: return "http";
  case Kind::https: return "https";
  case Kind::icmp: return "icmp";
  case Kind::udp: return "udp";
  case Kind::dns: return "dns";
  case Kind::grpc: return "grpc";
  case Kind::redis: return "redis";
  case Kind::postgres: return "postgres";
  case Kind::mysql: return "mysql";
  case Kind::smtp: return "smtp";
  case Kind::agent: return "agent";
  case Kind::exec: return "exec";
  }
  return "?";
}

bool opens_untracked(Kind kind) {
  switch (kind) {
  case Kind::https:
  case Kind::grpc:
  case Kind::icmp:
  case Kind::exec: return false;
  case Kind::tcp:
  case Kind::tls:
  case Kind::http:
  case Kind::udp:
  case Kind::dns:
  case Kind::redis:
  case Kind::postgres:
  case Kind::mysql:
  case Kind::smtp:
  case Kind::agent: return true;
  }
  return false;
}

std::string_view to_text(Outcome outcome) {
  switch (outcome) {
  case Outcome::pass: return "pass";
  case Outcome::full: return "full";
  case Outcome::fail: return "fail";
  case Outcome::inconclusive: return "inconclusive";
  }
  return "?";
}

std::string_view to_text(Reason reason) {
  switch (reason) {
  case Reason::connected: return "connected";
  case Reason::answered: return "answered";
  case Reason::full: return "full";
  case Reason::refused: return "refused";
  case Reason::reset: return "reset";
  case Reason::timeout: return "timeout";
  case Reason::host_unreachable: return "host-unreachable";
  case Reason::net_unreachable: return "net-unreachable";
  case Reason::no_carrier: return "no-carrier";
  case Reason::closed: return "closed";
  case Reason::wrong_status: return "wrong-status";
  case Reason::wrong_answer: return "wrong-answer";
  case Reason::garbled: return "garbled";
  case Reason::too_large: return "too-large";
  case Reason::tls_failed: return "tls-failed";
  case Reason::certificate_expires: return "certificate-expires";
  case Reason::slow: return "slow";
  case Reason::no_descriptors: return "no-descriptors";
  case Reason::no_buffers: return "no-buffers";
  case Reason::no_ports: return "no-ports";
  case Reason::no_processes: return "no-processes";
  case Reason::forbidden: return "forbidden";
  case Reason::conntrack_full: return "conntrack-full";
  case Reason::stalled: return "stalled";
  case Reason::local_error: return "local-error";
  }
  return "?";
}

std::string_view explain(Reason reason) {
  switch (reason) {
  case Reason::connected: return "the TCP handshake completed; this probe does not check the service behind the port";
  case Reason::answered: return "the server sent the expected reply in time";
  case Reason::full:
    return "the server works and says that it takes no more clients: it has reached its own limit, which may be too low, or they are too "
           "many";
  case Reason::refused:
    return "the server's machine reported that nothing listens on the port: the service is stopped, or a firewall rejects the probe";
  case Reason::reset:
    return "the server reset the connection after the handshake: the service crashed, is overloaded, or rejects this gateway";
  case Reason::timeout:
    return "no complete reply before the deadline: the server is off or hangs, or a firewall drops the probe or its reply";
  case Reason::host_unreachable:
    return "the server's address does not answer ARP or neighbour discovery, or a router reports it unreachable: the machine is off, "
           "unplugged or has another address";
  case Reason::net_unreachable:
    return "this gateway has no route to the server: its link is down, the route is missing, or it is a blackhole route";
  case Reason::no_carrier:
    return "this gateway's interface towards the server is down or has no carrier: check the cable, the switch port and the other machine";
  case Reason::closed:
    return "the server closed the connection before its reply was complete: the service is starting, stopping or overloaded";
  case Reason::wrong_status: return "the server replied with an HTTP status outside `status`: the service reports a failure";
  case Reason::wrong_answer:
    return "the reply lacks what is expected, or reports a failure: the service is starting, in another role or broken";
  case Reason::garbled: return "the reply is not of the probe's protocol: another service listens on the port, or the service expects TLS";
  case Reason::too_large: return "the reply exceeds its size limit, for most protocols 64 KiB: the service is broken or hostile";
  case Reason::tls_failed:
    return "the TLS handshake failed: not a TLS port, no common version, or the certificate is expired, untrusted or for another name";
  case Reason::certificate_expires:
    return "the server's certificate expires within `expires_within`, or has expired: renew it and make the server load it";
  case Reason::slow: return "the expected reply came later than `slow`: the server or the path to it is overloaded";
  case Reason::no_descriptors: return "hanatd cannot open more files: raise LimitNOFILE of the unit; the probe was not sent";
  case Reason::no_buffers: return "this machine's kernel had no memory for the probe; it was not sent";
  case Reason::no_ports:
    return "no free source port, or the `source` address is not on this machine: check ip_local_port_range and the address";
  case Reason::no_processes:
    return "64 programs of exec probes are running, or this machine allows no more processes: shorten their timeout; the probe did not run";
  case Reason::forbidden: return "this machine's own firewall, a prohibit route or the unit's sandbox blocks the probe";
  case Reason::conntrack_full:
    return "no reply while this machine's conntrack table is full, which drops new connections: raise nf_conntrack_max, or find out what "
           "fills it";
  case Reason::stalled: return "hanatd or the whole machine was suspended past the deadline: a missing reply proves nothing";
  case Reason::local_error: return "a local system call failed, as the detail says; nothing is known about the server";
  }
  return "?";
}

std::string sanitized(std::string_view text, std::size_t longest) { return printable(text.substr(0, longest)); }

ProbeResult fail_result(Reason reason, Clock::duration latency, std::string detail) {
  return {.outcome = Outcome::fail, .reason = reason, .latency = latency, .detail = std::move(detail)};
}

ProbeResult timeout_result(Clock::duration latency, std::string detail, bool handshake) {
  ProbeResult result = fail_result(Reason::timeout, latency, std::move(detail));
  result.handshake = handshake;
  return result;
}

ProbeResult inconclusive_result(Reason reason, Clock::duration latency, std::string detail) {
  return {.outcome = Outcome::inconclusive, .reason = reason, .latency = latency, .detail = std::move(detail)};
}

ProbeResult warning_result(const ProbeSpec& spec, Reason reason, Clock::duration latency, std::string detail) {
  return {.outcome = spec.critical ? Outcome::fail : Outcome::pass, .reason = reason, .latency = latency, .detail = std::move(detail)};
}

ProbeResult pass_result(const ProbeSpec& spec, Reason reason, Clock::duration latency) {
  if (spec.slow && latency > *spec.slow) return warning_result(spec, Reason::slow, latency);
  return {.outcome = Outcome::pass, .reason = reason, .latency = latency, .detail = {}};
}

namespace {

constexpr std::size_t longest_remedy = 160; // a sentence

ProbeResult judged(const ProbeSpec& spec, const Verdict& verdict, Clock::duration latency) {
  if (verdict.reason == Reason::answered) return pass_result(spec, Reason::answered, latency);
  std::string detail = sanitized(verdict.detail);
  if (!verdict.remedy.empty()) detail += (detail.empty() ? "" : ": ") + sanitized(verdict.remedy, longest_remedy);
  if (verdict.reason == Reason::full)
    return {.outcome = Outcome::full, .reason = Reason::full, .latency = latency, .detail = std::move(detail)};
  if (verdict.reason == Reason::certificate_expires) return warning_result(spec, verdict.reason, latency, std::move(detail));
  return fail_result(verdict.reason, latency, std::move(detail));
}

} // namespace

ProbeResult result_from_verdict(const ProbeSpec& spec, const Verdict& verdict, Clock::duration latency) {
  ProbeResult result = judged(spec, verdict, latency);
  result.certificate_left = verdict.certificate_left;
  return result;
}

ProbeResult result_from_errno(int error, Clock::duration latency) {
  const Reason reason = reason_of(error);
  if (!is_local(reason)) return fail_result(reason, latency);
  return inconclusive_result(reason, latency, sanitized(std::strerror(error))); // several errors share a reason
}

ProbeResult result_from_connect(int error, Clock::duration latency) {
  if (error == EINVAL) return fail_result(Reason::net_unreachable, latency, "blackhole route");
  return result_from_errno(error, latency);
}

} // namespace hanat::probes
