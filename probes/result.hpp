// The result of one probe, as a value.
// Not here: what a probe is (spec), running one (kinds/), when to run it (scheduling/scheduler), counting fails
// (daemon/decision/failure_window).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "probes/spec.hpp"

namespace hanat::probes {

enum class Outcome : std::uint8_t {
  pass,
  full, // the server works, and takes no more clients
  fail,
  inconclusive, // a local failure; ignored
};
std::string_view to_text(Outcome outcome);

/// Every reason has a word (status, JSON), a sentence and a usual cause (man page, DIAGNOSTICS).
enum class Reason : std::uint8_t {
  // pass
  connected, // TCP handshake completed
  answered,  // the expected reply
  // full
  full, // the server itself says that it has as many clients as it takes
  // fail
  refused,          // RST or ICMP port unreachable
  reset,            // connection reset after the handshake
  timeout,          // no reply before the deadline
  host_unreachable, // ICMP error or neighbour failure
  net_unreachable,  // no route
  no_carrier,       // the outgoing interface has no carrier or is down
  closed,           // the server closed the connection early
  wrong_status,     // HTTP status outside `status`
  wrong_answer,     // the reply lacks what is expected, or reports a failure
  garbled,          // the reply is not of this protocol
  too_large,        // the reply exceeds its size limit
  tls_failed,       // handshake or certificate
  // pass with a warning; fail where the probe is critical
  certificate_expires, // soon, or it has expired
  slow,                // the expected reply, but later than `slow`
  // inconclusive: a local failure
  no_descriptors, // EMFILE, ENFILE
  no_buffers,     // ENOBUFS, ENOMEM
  no_ports,       // EADDRNOTAVAIL, EADDRINUSE, EAGAIN of connect
  no_processes,   // too many programs of exec probes, or EAGAIN of fork
  forbidden,      // EPERM, EACCES: our own firewall or sandbox
  conntrack_full, // the conntrack table of this machine is full: it may have dropped the probe
  stalled,        // this process or machine was suspended past the deadline: a missing reply proves nothing
  local_error,    // any other failure of our own system calls
};
std::string_view to_text(Reason reason);
/// One sentence: what happened and its usual cause. A fragment without capital and full stop.
std::string_view explain(Reason reason);

/// `detail` is short text from the server or a library ("503", "self-signed certificate"), safe to print.
struct ProbeResult {
  Outcome outcome = Outcome::inconclusive;
  Reason reason = Reason::local_error;
  Clock::duration latency{};
  std::string detail;
  bool handshake = false; // of a timeout: the server's machine had completed the TCP handshake of this very probe
  std::optional<std::chrono::seconds> certificate_left = {}; // until the server's certificate expires; nullopt: none is known
  bool operator==(const ProbeResult&) const = default;
};

/// What a reply of the server means. `answered` passes, `full` is a full server's, `certificate_expires` a warning; all others fail.
struct Verdict {
  Reason reason = Reason::answered;
  std::string detail{}; // may hold the server's bytes as they came
  std::optional<std::chrono::seconds> certificate_left{};
  std::string remedy{}; // of ours, behind the detail
  bool operator==(const Verdict&) const = default;
};

/// Text of a server or a library, safe to print: every byte outside printable ASCII becomes '?', and the length is capped.
std::string sanitized(std::string_view text, std::size_t longest = 80);

ProbeResult fail_result(Reason reason, Clock::duration latency, std::string detail = {});
/// No reply before the deadline. `handshake`: the machine answered, the service did not.
ProbeResult timeout_result(Clock::duration latency, std::string detail, bool handshake);
ProbeResult inconclusive_result(Reason reason, Clock::duration latency, std::string detail = {});
/// What the server does right, with a reason to worry: a fail where the spec is critical, otherwise a pass.
ProbeResult warning_result(const ProbeSpec& spec, Reason reason, Clock::duration latency, std::string detail = {});
/// pass; with the warning `slow` when the latency exceeds the spec's.
ProbeResult pass_result(const ProbeSpec& spec, Reason reason, Clock::duration latency);
/// Sanitizes the detail.
ProbeResult result_from_verdict(const ProbeSpec& spec, const Verdict& verdict, Clock::duration latency);
/// The errno of socket(), connect(), send() or recv(): a failure of the server or a local one.
ProbeResult result_from_errno(int error, Clock::duration latency);
/// The same for connect() with a well-formed address: there EINVAL is a blackhole route, which stops clients too.
ProbeResult result_from_connect(int error, Clock::duration latency);

} // namespace hanat::probes
