// What a probe checks, as values: one `probe = { ... }` of the configuration, and the probe of one server made from it.
// Not here: results (result), running probes (kinds/), when to run them (scheduling/scheduler).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "nat/address.hpp"
#include "nat/clock.hpp"
#include "probes/copy_on_write.hpp"
#include "probes/pattern.hpp"
#include "probes/secret.hpp"

namespace hanat::probes {

enum class Kind : std::uint8_t { tcp, tls, http, https, icmp, udp, dns, grpc, redis, postgres, mysql, smtp, agent, exec };
std::string_view to_text(Kind kind);
/// Whether probes of this kind open a connection of their own each time, by a socket whose packets bypass conntrack.
bool opens_untracked(Kind kind);

/// Inclusive range of HTTP status codes.
struct StatusRange {
  std::uint16_t first = 200, last = 299;
  bool operator==(const StatusRange&) const = default;
};

class TlsContext; // kinds/tls_context

enum class TlsVersion : std::uint8_t { any, tls12, tls13 }; // any: what this machine's OpenSSL allows

/// How a probe speaks TLS.
struct TlsOptions {
  bool verify = false;   // check the certificate against `ca`, or the system's authorities, and the name
  std::string name = {}; // SNI and the expected name; empty: the server's own, or its address, without SNI
  TlsVersion min = TlsVersion::any;
  std::string ca = {}, cert = {}, key = {};       // paths; empty: the system's authorities, no certificate of ours
  std::shared_ptr<const TlsContext> context = {}; // of what the files held; null: made where it is needed, without files
  bool operator==(const TlsOptions&) const = default;
};

/// What a probe logs in with.
struct Password {
  std::string file = {}; // its path; empty: none
  Secret secret = {};
  bool operator==(const Password&) const = default;
};

// Keys that only some kinds take.

/// tcp, udp.
struct SendExpectSpec {
  std::string send; // bytes; empty: send nothing
  Pattern expect;   // must occur in the reply; empty: tcp reads no reply, udp accepts any
  bool operator==(const SendExpectSpec&) const = default;
};
/// tls.
struct TlsSpec {
  std::string host;                    // SNI and the expected name of the certificate; empty: as for TlsOptions::name
  bool verify = false;                 // check the certificate against the system's authorities and `host`
  std::chrono::days expires_within{0}; // a certificate that expires within so many days is a warning; 0: not checked
  bool operator==(const TlsSpec&) const = default;
};
/// http, https.
struct HttpSpec {
  std::string method = "GET";
  std::string path = "/";
  std::string host;                    // Host header and SNI; empty: the server's name, or its address
  std::vector<std::string> headers;    // "Name: value", sent as they are
  std::string request_body = {};       // bytes; empty: none
  std::vector<StatusRange> status;     // empty: 200-299
  std::vector<StatusRange> full;       // by which the server says that it takes no more clients; empty: none
  Pattern body;                        // must occur in the first 64 KiB of the response's body; empty: not checked
  bool http2 = false;                  // HTTP/2: by ALPN over TLS, with prior knowledge without
  bool verify = false;                 // https: check the certificate against the system's authorities and `host`
  std::chrono::days expires_within{0}; // https: a certificate that expires within so many days is a warning; 0: not checked
  bool operator==(const HttpSpec&) const = default;
};
struct DnsSpec {
  std::string name = ".";    // to query
  std::string record = "NS"; // A, AAAA, CNAME, MX, NS, PTR, SOA, SRV, TXT
  std::string answer;        // must equal one of the records; empty: any record passes
  bool operator==(const DnsSpec&) const = default;
};
/// grpc.health.v1
struct GrpcSpec {
  std::string service; // empty: the server as a whole
  std::string host;    // :authority and SNI; empty: the server's name, or its address
  bool tls = false;
  bool verify = false;
  bool operator==(const GrpcSpec&) const = default;
};
struct RedisSpec {
  bool master = false;   // the server must report role:master, too
  bool replica = false;  // or that of a replica
  bool linked = false;   // and that its link to the master is up
  std::string user = {}; // of the ACL; empty with a password: the default user
  Password password = {};
  bool operator==(const RedisSpec&) const = default;
};
/// postgres, mysql. Without a password and a key that needs a session, a rejected login passes, too.
struct SqlSpec {
  bool writable = false;     // postgres: not in recovery; mysql: read_only off
  std::string user = {};     // empty: "hanat", which need not exist
  std::string database = {}; // empty: the server's default
  Password password = {};
  std::optional<bool> in_recovery = {};        // postgres: it must be a standby, or must not be one
  std::optional<Clock::duration> max_lag = {}; // postgres: of a standby
  bool wsrep_ready = false;                    // mysql: a node of Galera that takes queries
  bool member_online = false;                  // mysql: a member of group replication that is ONLINE
  /// Whether it asks for anything beyond a login.
  bool needs_session() const { return writable || in_recovery || max_lag || wsrep_ready || member_online; }
  bool operator==(const SqlSpec&) const = default;
};
struct SmtpSpec {
  std::string hello = "hanat.invalid"; // our name in EHLO
  bool operator==(const SmtpSpec&) const = default;
};
/// The words of HAProxy's agent-check.
struct AgentSpec {
  std::string send; // bytes, before the agent answers; empty: it speaks first
  bool operator==(const AgentSpec&) const = default;
};
struct ExecSpec {
  std::vector<std::string> command; // program and arguments; no shell
  bool operator==(const ExecSpec&) const = default;
};
using Details = std::variant<SendExpectSpec, TlsSpec, HttpSpec, DnsSpec, GrpcSpec, RedisSpec, SqlSpec, SmtpSpec, AgentSpec, ExecSpec>;

/// One `probe = { ... }` of the configuration. An interval is measured from start to start, a timeout from the start of the probe.
struct ProbeSpec {
  Kind kind = Kind::tcp;
  Clock::duration interval = std::chrono::seconds{1};
  Clock::duration fast_interval = std::chrono::milliseconds{50};
  std::optional<Clock::duration> down_interval; // while the server is down by this probe, and another has the traffic; none: `interval`
  Clock::duration timeout = std::chrono::milliseconds{500};
  std::optional<Clock::duration> slow; // the expected reply passes with a warning when it comes later than this
  bool critical = false;               // what would be a warning is a fail
  bool advisory = false;               // a fail is only a warning: the server's health does not depend on it
  std::uint8_t any_of = 0;             // of the server's probes with the same number one is enough; 0: this one has to pass
  std::optional<std::uint16_t> port;   // instead of the server's own
  std::optional<Address> address;      // instead of the server's own
  std::optional<Address> source;       // source address
  std::string interface;               // SO_BINDTODEVICE; empty: chosen by routing
  CopyOnWrite<Details> details;        // keys of the kind; empty: its defaults
  CopyOnWrite<TlsOptions> tls;         // empty: tls, https and grpc have their own keys; others speak no TLS
  bool operator==(const ProbeSpec&) const = default;

  /// The keys of the kind, or its defaults.
  template <class Of> const Of& of() const {
    static const Of defaults{};
    const Of* own = details.get() == nullptr ? nullptr : std::get_if<Of>(details.get());
    return own == nullptr ? defaults : *own;
  }
  /// The same, to edit.
  template <class Of> Of& edit() {
    Details& value = details.edit();
    Of* own = std::get_if<Of>(&value);
    return own == nullptr ? value.emplace<Of>() : *own;
  }
};

/// A spec applied to one address of one server.
struct Probe {
  ProbeSpec spec;
  Endpoint server;       // the address and port that are probed
  std::string name = {}; // the server's in DNS: what TLS and HTTP ask for unless the spec names something else; empty: it has none
  bool operator==(const Probe&) const = default;
};

} // namespace hanat::probes
