// Reads the keys of the kinds over a TCP connection that have a few each: tcp, tls, redis, postgres, mysql, smtp.
// Not here: http (config_probe_http), the forms of send and expect (config_probe_talk), the keys that every probe takes (config_probe).
#include <algorithm>

#include <fmt/format.h>

#include "daemon/config_probe_kinds.hpp"

namespace hanat::config {
namespace {

constexpr std::size_t longest_name = 63; // of a user or a database: PostgreSQL's bound, MariaDB's is 80 and more
constexpr DurationLimits expiry_limits{.least = day, .most = 3'650 * day, .example = "14d"};

Parsed<std::string> parse_name(std::string_view text, std::string_view key) {
  const bool printable = std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
  if (!text.empty() && text.size() <= longest_name && printable) return std::string{text};
  return complaint("probe.{} = {} is not a name: write 1 to {} printable characters without spaces, as in \"hanat\"", key, shown(text),
                   longest_name);
}

std::string read_name(TableReader& reader, std::string_view key) {
  return reader.parsed<std::string>(key, "hanat", [key](std::string_view text) { return parse_name(text, key); }).value.value_or("");
}

std::string read_host(TableReader& reader, std::string_view key, std::string_view example) {
  return reader.parsed<std::string>(key, example, [key](std::string_view text) { return parse_host(text, key); }).value.value_or("");
}

/// `writable` needs a session, and a session a user.
void read_login(TableReader& reader, probes::SqlSpec& sql) {
  const bool user_said = reader.find("user") != nullptr;
  sql.user = read_name(reader, "user");
  sql.writable = reader.flag("writable").value.value_or(false);
  if (sql.writable && !user_said)
    reader.complain(*reader.find("writable"),
                    "probe.writable = true needs a user who may log in without a password, to ask for it: write user = \"hanat\"");
}

} // namespace

void read_tcp(TableReader& reader, probes::Spec& spec) {
  probes::TalkSpec talk;
  read_talk(reader, talk);
  if (talk != probes::TalkSpec{}) spec.edit<probes::TalkSpec>() = std::move(talk);
  const auto expects = [&](std::string_view key) { return reader.find(key) != nullptr; };
  if (std::ranges::any_of(talk_keys, [&](std::string_view key) { return key.starts_with("expect") && expects(key); })) return;
  for (const std::string_view key : talk_keys)
    if (const toml::node* node = reader.find(key))
      reader.complain(*node, fmt::format("probe.{} without expect would look at no answer: write expect = \"...\" with what a right answer "
                                         "holds, or remove {}",
                                         key, key));
}

std::chrono::days read_expires_within(TableReader& reader) {
  const auto said = reader.duration("expires_within", expiry_limits);
  if (!said.value) return std::chrono::days{0};
  const auto days = std::chrono::floor<std::chrono::days>(*said.value);
  if (days != *said.value)
    reader.complain(
        *reader.find("expires_within"),
        fmt::format("probe.expires_within = \"{}\" is not a number of days: write whole days, as in \"14d\"", duration_text(*said.value)));
  return days;
}

void read_tls(TableReader& reader, probes::Spec& spec) {
  auto& tls = spec.edit<probes::TlsSpec>();
  tls.host = read_host(reader, "host", "www.example.com");
  tls.verify = reader.flag("verify").value.value_or(false);
  tls.expires_within = read_expires_within(reader);
}

void read_redis(TableReader& reader, probes::Spec& spec) {
  static constexpr Word<bool> roles[] = {{.word = "master", .value = true}};
  spec.edit<probes::RedisSpec>().master = reader.choice<bool>("role", roles).value.value_or(false);
}

void read_postgres(TableReader& reader, probes::Spec& spec) {
  auto& sql = spec.edit<probes::SqlSpec>();
  read_login(reader, sql);
  sql.database = read_name(reader, "database");
}

void read_mysql(TableReader& reader, probes::Spec& spec) { read_login(reader, spec.edit<probes::SqlSpec>()); }

void read_smtp(TableReader& reader, probes::Spec& spec) {
  if (std::string hello = read_host(reader, "hello", "mx.example.com"); !hello.empty())
    spec.edit<probes::SmtpSpec>().hello = std::move(hello);
}

} // namespace hanat::config
