// The words of probes: texts of kinds, outcomes and reasons, and the sorting of errno values into the server's failures and our own.
// Not here: sockets.
#include "probes/probe.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "probes/asking.hpp"

namespace hanat::probes {
namespace {

Reason reason_of(int error) {
  switch (error) {
  // The server's.
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
  // Our own.
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

bool is_ours(Reason reason) { return reason >= Reason::no_descriptors; }

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
  case Kind::exec: return "exec";
  }
  return "?";
}

std::string_view to_text(Outcome outcome) {
  switch (outcome) {
  case Outcome::normal: return "normal";
  case Outcome::abnormal: return "abnormal";
  case Outcome::blind: return "blind";
  }
  return "?";
}

std::string_view to_text(Reason reason) {
  switch (reason) {
  case Reason::connected: return "connected";
  case Reason::answered: return "answered";
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
  case Reason::connected: return "the TCP handshake was completed; whether the service behind the port works was not asked";
  case Reason::answered: return "the server gave the right answer in time";
  case Reason::refused:
    return "the server's machine answered that nobody listens on the port: the service is stopped, or a firewall rejects us";
  case Reason::reset:
    return "the server broke the connection off after it was made: the service crashed, is overloaded, or does not want us";
  case Reason::timeout:
    return "no complete answer before the deadline: the server is off, hangs, or a firewall drops our packets or its answers";
  case Reason::host_unreachable:
    return "nobody on the server's network answers to its address, or a router says so: the machine is off, unplugged or has another "
           "address";
  case Reason::net_unreachable:
    return "this gateway has no route to the server: its link is down, the route is missing, or it is a blackhole";
  case Reason::no_carrier:
    return "this gateway's link towards the server is down or has lost its carrier: a cable, a switch port, or the other machine is off";
  case Reason::closed:
    return "the server closed the connection before its answer was complete: the service is starting, stopping or overloaded";
  case Reason::wrong_status: return "the server answered with an HTTP status outside `status`: the service says that it is not fit";
  case Reason::wrong_answer:
    return "the answer does not hold what it must, or says that the server is not fit: it is starting, full, of another role or broken";
  case Reason::garbled: return "the answer is not of the protocol asked: another service listens on the port, or it wants TLS";
  case Reason::too_large: return "the answer is longer than a sane one ever is (64 KiB): the service is broken or hostile";
  case Reason::tls_failed:
    return "the TLS handshake failed: not a TLS port, no common version, or the certificate is expired, unknown or for another name";
  case Reason::certificate_expires:
    return "the server's certificate ends within `expires_within`, or has ended: renew it, and let the server load it";
  case Reason::slow: return "the right answer came later than `slow`: the server or the way to it is overloaded";
  case Reason::no_descriptors: return "this process may not open more files: raise LimitNOFILE of the unit; nothing was asked";
  case Reason::no_buffers: return "this machine's kernel had no memory for the question; nothing was asked";
  case Reason::no_ports:
    return "no free source port, or the `source` address is not on this machine: look at ip_local_port_range and at the address";
  case Reason::no_processes:
    return "64 programs of exec probes are running, or this machine allows no more processes: shorten their timeout; nothing was asked";
  case Reason::forbidden: return "this machine's own firewall, a prohibit route or the unit's sandbox does not let us ask";
  case Reason::conntrack_full:
    return "no answer while this machine's table of connections is full, which drops whatever is new: raise nf_conntrack_max, or find out "
           "who "
           "fills it";
  case Reason::stalled: return "this process or the whole machine stood still while it should have listened: silence proves nothing";
  case Reason::local_error: return "a system call of ours failed; the detail says how, nothing is known about the server";
  }
  return "?";
}

std::string sanitized(std::string_view text, std::size_t longest) {
  std::string result{text.substr(0, longest)};
  std::ranges::replace_if(
      result, [](char byte) { return byte < ' ' || byte > '~'; }, '?');
  return result;
}

Answer answer_from_errno(int error, Clock::duration latency) {
  const Reason reason = reason_of(error);
  Answer answer{.outcome = is_ours(reason) ? Outcome::blind : Outcome::abnormal, .reason = reason, .latency = latency, .detail = {}};
  if (is_ours(reason)) answer.detail = sanitized(std::strerror(error)); // the word alone does not say which of several errors it was
  return answer;
}

Answer answer_from_connect(int error, Clock::duration latency) {
  if (error != EINVAL) return answer_from_errno(error, latency);
  return {.outcome = Outcome::abnormal, .reason = Reason::net_unreachable, .latency = latency, .detail = "blackhole route"};
}

Answer right_answer(const Spec& spec, Reason reason, Clock::duration latency) {
  if (spec.slow && latency > *spec.slow) return {.outcome = Outcome::abnormal, .reason = Reason::slow, .latency = latency, .detail = {}};
  return {.outcome = Outcome::normal, .reason = reason, .latency = latency, .detail = {}};
}

} // namespace hanat::probes
