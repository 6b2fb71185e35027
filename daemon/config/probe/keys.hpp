// The keys that only some kinds of probes have, and the functions that read them.
// Not here: the keys of every probe, and the list of kinds (read_probe).
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "daemon/config/raw_config.hpp"

namespace hanat::config {

// One function per kind, each in the file of its kind. It reads the keys of the kind into `spec.details` and reports errors to the reader.

inline constexpr std::string_view tcp_keys[] = {"send", "send_hex", "expect", "expect_hex", "expect_regex", "tls"};
inline constexpr std::string_view send_expect_keys[] = {"send", "send_hex", "expect", "expect_hex", "expect_regex"}; // udp, and of tcp
void read_tcp(TableReader& reader, probes::ProbeSpec& spec);
void read_udp(TableReader& reader, probes::ProbeSpec& spec);
void read_icmp(TableReader& reader, probes::ProbeSpec& spec);

inline constexpr std::string_view tls_keys[] = {"host", "verify", "expires_within", "tls"};
void read_tls(TableReader& reader, probes::ProbeSpec& spec);

inline constexpr std::string_view http_keys[] = {"method", "path",       "host",   "headers", "http_version",
                                                 "body",   "body_regex", "status", "full",    "request_body"};
inline constexpr std::string_view https_keys[] = {"method", "path", "host",   "headers",        "http_version", "body",        "body_regex",
                                                  "status", "full", "verify", "expires_within", "tls",          "request_body"};
void read_http(TableReader& reader, probes::ProbeSpec& spec);
void read_https(TableReader& reader, probes::ProbeSpec& spec);

inline constexpr std::string_view grpc_keys[] = {"service", "host", "tls", "verify"};
void read_grpc(TableReader& reader, probes::ProbeSpec& spec);

inline constexpr std::string_view dns_keys[] = {"name", "record", "answer"};
void read_dns(TableReader& reader, probes::ProbeSpec& spec);

inline constexpr std::string_view redis_keys[] = {"role", "master_link_status", "user", "password_file", "tls"};
void read_redis(TableReader& reader, probes::ProbeSpec& spec);

inline constexpr std::string_view postgres_keys[] = {"user", "password_file", "database", "writable", "in_recovery", "max_lag", "tls"};
void read_postgres(TableReader& reader, probes::ProbeSpec& spec);

inline constexpr std::string_view mysql_keys[] = {"user", "password_file", "writable", "wsrep_ready", "member_state", "tls"};
void read_mysql(TableReader& reader, probes::ProbeSpec& spec);

inline constexpr std::string_view smtp_keys[] = {"hello", "tls"};
void read_smtp(TableReader& reader, probes::ProbeSpec& spec);

inline constexpr std::string_view agent_keys[] = {"send", "send_hex"};
void read_agent(TableReader& reader, probes::ProbeSpec& spec);

inline constexpr std::string_view exec_keys[] = {"command"};
void read_exec(TableReader& reader, probes::ProbeSpec& spec);

// send_expect.cpp
void read_send(TableReader& reader, std::string& send);
void read_send_expect(TableReader& reader, probes::SendExpectSpec& send_expect);

// shared_keys.cpp: keys that several kinds have.
Parsed<std::string> parse_host(std::string_view text, std::string_view key);
std::string read_host(TableReader& reader, std::string_view key, std::string_view example);
/// The name of a user or a database.
std::string read_name(TableReader& reader, std::string_view key);
/// `password_file`, and what is in it.
probes::Password read_password_file(TableReader& reader);
/// `user`, `password_file` and `writable`.
void read_login(TableReader& reader, probes::SqlSpec& sql);
/// A key that needs a session: an error without a user.
void require_user(TableReader& reader, std::string_view key);
std::chrono::days read_expires_within(TableReader& reader);

// tls_table.cpp: `tls`, for every type that has this key. The older keys have been read: `host` and `verify` of tls, https and grpc.
void read_tls_table(TableReader& reader, probes::ProbeSpec& spec, Diagnostics& diagnostics);

// pattern.cpp. `key` is the name of the key, for messages.
Parsed<std::string> parse_bytes(std::string_view key, std::string_view text);
Parsed<std::string> parse_hex(std::string_view key, std::string_view text);
Parsed<probes::Pattern> parse_expression(std::string_view key, std::string_view text);

} // namespace hanat::config
