// The keys that only some kinds of probes take: which they are, and who reads them.
// Not here: the keys of every probe, and which kinds there are (config_probe).
#pragma once

#include <chrono>
#include <string_view>

#include "daemon/config_parts.hpp"

namespace hanat::config {

// Each reads its keys into `spec.details`; the reader finds what is wrong.

/// config_probe_http
inline constexpr std::string_view http_keys[] = {"method", "path", "host", "headers", "http_version", "body", "body_regex", "status"};
inline constexpr std::string_view https_keys[] = {"method", "path",       "host",   "headers", "http_version",
                                                  "body",   "body_regex", "status", "verify",  "expires_within"};
void read_http(TableReader& reader, probes::Spec& spec);
void read_https(TableReader& reader, probes::Spec& spec);
/// The name alone, for a key of any kind that takes one.
Parsed<std::string> parse_host(std::string_view text, std::string_view key);

/// config_probe_talk
inline constexpr std::string_view talk_keys[] = {"send", "send_hex", "expect", "expect_hex", "expect_regex"};
void read_talk(TableReader& reader, probes::TalkSpec& talk);

/// config_probe_tcp: the kinds over a TCP connection that have a few keys each
inline constexpr std::string_view tls_keys[] = {"host", "verify", "expires_within"};
inline constexpr std::string_view redis_keys[] = {"role"};
inline constexpr std::string_view postgres_keys[] = {"user", "database", "writable"};
inline constexpr std::string_view mysql_keys[] = {"user", "writable"};
inline constexpr std::string_view smtp_keys[] = {"hello"};
void read_tcp(TableReader& reader, probes::Spec& spec);
void read_tls(TableReader& reader, probes::Spec& spec);
void read_redis(TableReader& reader, probes::Spec& spec);
void read_postgres(TableReader& reader, probes::Spec& spec);
void read_mysql(TableReader& reader, probes::Spec& spec);
void read_smtp(TableReader& reader, probes::Spec& spec);
/// `expires_within`, of any kind that speaks TLS.
std::chrono::days read_expires_within(TableReader& reader);

/// config_probe_udp
void read_udp(TableReader& reader, probes::Spec& spec);
void read_icmp(TableReader& reader, probes::Spec& spec);

/// config_probe_dns
inline constexpr std::string_view dns_keys[] = {"name", "record", "answer"};
void read_dns(TableReader& reader, probes::Spec& spec);

/// config_probe_grpc
inline constexpr std::string_view grpc_keys[] = {"service", "host", "tls", "verify"};
void read_grpc(TableReader& reader, probes::Spec& spec);

/// config_probe_exec
inline constexpr std::string_view exec_keys[] = {"command"};
void read_exec(TableReader& reader, probes::Spec& spec);

/// config_probe_pattern. `key` is the key's name, for messages.
Parsed<std::string> parse_bytes(std::string_view key, std::string_view text);
Parsed<std::string> parse_hex(std::string_view key, std::string_view text);
Parsed<probes::Pattern> parse_expression(std::string_view key, std::string_view text);

} // namespace hanat::config
