// What is asked of a server, as values: one `probe = { ... }` of the configuration, and the question that becomes of it.
// Not here: the answers (probe), asking (a file a kind), pacing (engine).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "nat/address.hpp"
#include "probes/pattern.hpp"
#include "probes/shared.hpp"

namespace hanat::probes {

using Clock = std::chrono::steady_clock; // CLOCK_MONOTONIC: a clock step changes nothing

enum class Kind : std::uint8_t { tcp, tls, http, https, icmp, udp, dns, grpc, redis, postgres, mysql, smtp, exec };
std::string_view to_text(Kind kind);

/// Inclusive range of HTTP status codes.
struct StatusRange {
  std::uint16_t first = 200, last = 299;
  bool operator==(const StatusRange&) const = default;
};

// What only some kinds take.

/// tcp, udp: what is said, and what must come back.
struct TalkSpec {
  std::string send; // bytes; empty: nothing is sent
  Pattern expect;   // must occur in what comes back; empty: tcp looks at no answer, udp takes any
  bool operator==(const TalkSpec&) const = default;
};
/// tls; https and grpc take the same keys.
struct TlsSpec {
  std::string host;                    // SNI, and the name the certificate is checked for; empty: none is sent
  bool verify = false;                 // check the certificate against the system's authorities and `host`
  std::chrono::days expires_within{0}; // a certificate that ends within so many days is abnormal; 0: not looked at
  bool operator==(const TlsSpec&) const = default;
};
/// http, https.
struct HttpSpec {
  std::string method = "GET";
  std::string path = "/";
  std::string host;                    // Host header and SNI; empty: the server's address
  std::vector<std::string> headers;    // "Name: value", sent as they are
  std::vector<StatusRange> status;     // empty: 200-299
  Pattern body;                        // must occur in the first 64 KiB of the answer; empty: not looked at
  bool http2 = false;                  // HTTP/2: by ALPN over TLS, with prior knowledge without
  bool verify = false;                 // https: check the certificate against the system's authorities and `host`
  std::chrono::days expires_within{0}; // https: a certificate that ends within so many days is abnormal; 0: not looked at
  bool operator==(const HttpSpec&) const = default;
};
struct DnsSpec {
  std::string name = ".";    // what is asked for
  std::string record = "NS"; // A, AAAA, CNAME, MX, NS, PTR, SOA, SRV, TXT
  std::string answer;        // must be one of the records' texts; empty: any record
  bool operator==(const DnsSpec&) const = default;
};
/// grpc.health.v1
struct GrpcSpec {
  std::string service; // empty: the server as a whole
  std::string host;    // :authority and SNI; empty: the server's address
  bool tls = false;
  bool verify = false;
  bool operator==(const GrpcSpec&) const = default;
};
struct RedisSpec {
  bool master = false; // it must say role:master, too
  bool operator==(const RedisSpec&) const = default;
};
/// postgres, mysql. Without `writable` a refused login is an answer, too.
struct SqlSpec {
  bool writable = false; // postgres: not in recovery; mysql: read_only off
  std::string user;      // logs in without a password; empty: "hanat", who need not exist
  std::string database;  // empty: the server's choice
  bool operator==(const SqlSpec&) const = default;
};
struct SmtpSpec {
  std::string hello = "hanat.invalid"; // our name in EHLO
  bool operator==(const SmtpSpec&) const = default;
};
struct ExecSpec {
  std::vector<std::string> command; // program and arguments; no shell
  bool operator==(const ExecSpec&) const = default;
};
using Details = std::variant<TalkSpec, TlsSpec, HttpSpec, DnsSpec, GrpcSpec, RedisSpec, SqlSpec, SmtpSpec, ExecSpec>;

/// One `probe = { ... }` of the configuration. Durations are start to start (interval), absolute from start to verdict (timeout).
struct Spec {
  Kind kind = Kind::tcp;
  Clock::duration interval = std::chrono::seconds{1};
  Clock::duration fast_interval = std::chrono::milliseconds{50};
  Clock::duration timeout = std::chrono::milliseconds{500};
  std::optional<Clock::duration> slow; // a right answer later than this is abnormal
  std::optional<std::uint16_t> port;   // asked instead of the server's own
  std::optional<Address> address;      // asked instead of the server's own
  std::optional<Address> source;       // asked from
  std::string interface;               // asked through (SO_BINDTODEVICE); empty: as the routes say
  Shared<Details> details;             // of the kind; nothing: its defaults
  bool operator==(const Spec&) const = default;

  /// What the kind takes beside; its defaults where nothing was said.
  template <class Of> const Of& of() const {
    static const Of defaults{};
    const Of* held = details.get() == nullptr ? nullptr : std::get_if<Of>(details.get());
    return held == nullptr ? defaults : *held;
  }
  /// The same, to be changed.
  template <class Of> Of& edit() {
    Details& value = details.edit();
    Of* held = std::get_if<Of>(&value);
    return held == nullptr ? value.emplace<Of>() : *held;
  }
};

/// One question: a spec, asked of one address of one server.
struct Question {
  Spec spec;
  Endpoint server; // the address and port really asked
  bool operator==(const Question&) const = default;
};

} // namespace hanat::probes
