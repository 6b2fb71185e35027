// What came back of a question that was asked of a server, as values. An answer judges nothing.
// Not here: what is asked (spec), asking (a file a kind), pacing (engine), counting abnormal answers (daemon/health).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "probes/spec.hpp"

namespace hanat::probes {

enum class Outcome : std::uint8_t {
  normal,
  abnormal,
  blind, // we could not ask: counts for nothing
};
std::string_view to_text(Outcome outcome);

/// Every reason has a word (status, JSON), a sentence and a usual cause (man page, DIAGNOSTICS).
enum class Reason : std::uint8_t {
  // normal
  connected, // TCP handshake done
  answered,  // the right answer
  // abnormal
  refused,             // RST or ICMP port unreachable
  reset,               // connection reset after it was made
  timeout,             // no answer before the deadline
  host_unreachable,    // ICMP or neighbour failure
  net_unreachable,     // no route
  no_carrier,          // the link by which the way leaves is down
  closed,              // the server closed early
  wrong_status,        // HTTP status outside `status`
  wrong_answer,        // not what it must hold, or the server says that it is not fit
  garbled,             // not the protocol
  too_large,           // more than a sane answer has
  tls_failed,          // handshake or certificate
  certificate_expires, // soon, or it has
  slow,                // right, but later than `slow`
  // blind: our own failure
  no_descriptors, // EMFILE, ENFILE
  no_buffers,     // ENOBUFS, ENOMEM
  no_ports,       // EADDRNOTAVAIL, EADDRINUSE, EAGAIN of connect
  no_processes,   // too many programs of probes, or EAGAIN of fork
  forbidden,      // EPERM, EACCES: our own firewall or sandbox
  conntrack_full, // this machine's table of connections: the question may have been dropped here
  stalled,        // this process or machine stood still over the deadline: silence proves nothing
  local_error,    // any other failure of our own system calls
};
std::string_view to_text(Reason reason);
/// One sentence: what happened and its usual cause. A fragment without capital and full stop.
std::string_view explain(Reason reason);

/// `detail` is short text from the server or the library ("503", "self-signed certificate"); unprintable bytes already replaced by '?'.
struct Answer {
  Outcome outcome = Outcome::blind;
  Reason reason = Reason::local_error;
  Clock::duration latency{};
  std::string detail;
  bool operator==(const Answer&) const = default;
};

/// Text of a server or a library made fit for a terminal: every byte outside printable ASCII becomes '?', the length is capped.
std::string sanitized(std::string_view text, std::size_t longest = 80);

/// Sorts the errno of socket(), connect(), send() or recv() into the server's failures and our own.
Answer answer_from_errno(int error, Clock::duration latency);
/// The same for connect() with an address that is known to be well formed: its EINVAL is a blackhole route, which no client gets past
/// either.
Answer answer_from_connect(int error, Clock::duration latency);

} // namespace hanat::probes
