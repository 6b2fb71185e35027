// Reads the keys that several kinds of probes have: host names, logins, passwords, the expiry of certificates.
// Not here: send and expect (send_expect), the keys of every probe (read_probe).
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "daemon/config/credential_files.hpp"
#include "daemon/config/probe/keys.hpp"

namespace hanat::config {
namespace {

constexpr std::size_t longest_name = 63;  // of a user or a database: the limit of PostgreSQL; that of MariaDB is at least 80
constexpr std::size_t longest_host = 253; // of a DNS name
constexpr DurationLimits expiry_limits{.least = day, .most = 3'650 * day, .example = "14d"};

Parsed<std::string> parse_name(std::string_view text, std::string_view key) {
  const bool printable = std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
  if (!text.empty() && text.size() <= longest_name && printable) return std::string{text};
  return error("probe.{} = {} is not a name: write 1 to {} printable characters without spaces, as in \"hanat\"", key, shown(text),
               longest_name);
}

} // namespace

Parsed<std::string> parse_host(std::string_view text, std::string_view key) {
  const bool valid = std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
  });
  if (!text.empty() && text.size() <= longest_host && valid) return std::string{text};
  return error("probe.{} = {} is not a host name: write only the name, as in \"www.example.com\", and the port as probe.port", key,
               shown(text));
}

std::string read_name(TableReader& reader, std::string_view key) {
  return reader.parsed<std::string>(key, "hanat", [key](std::string_view text) { return parse_name(text, key); }).value.value_or("");
}

std::string read_host(TableReader& reader, std::string_view key, std::string_view example) {
  return reader.parsed<std::string>(key, example, [key](std::string_view text) { return parse_host(text, key); }).value.value_or("");
}

probes::Password read_password_file(TableReader& reader) {
  const auto file = reader.text("password_file", "/etc/hanat/password");
  probes::Password password;
  if (!file.value) return password;
  const toml::node& node = *reader.find("password_file");
  const auto report = [&](std::string_view why) {
    reader.report_error(node, fmt::format("probe.password_file = {}: {}", shown(*file.value), why));
  };
  if (!file.value->starts_with('/')) {
    report("this is not a path from the root: write one like \"/etc/hanat/password\"");
    return password;
  }
  auto read = read_password(*file.value);
  if (const auto* failed = std::get_if<Error>(&read)) {
    report(failed->text);
    return password;
  }
  return {.file = *file.value, .secret = std::move(std::get<probes::Secret>(read))};
}

/// `writable` needs a session, and a session needs a user.
void read_login(TableReader& reader, probes::SqlSpec& sql) {
  const bool has_user = reader.find("user") != nullptr;
  sql.user = read_name(reader, "user");
  sql.password = read_password_file(reader);
  if (!sql.password.file.empty() && !has_user)
    reader.report_error(*reader.find("password_file"), "probe.password_file is of a user: write user = \"hanat\" as well");
  sql.writable = reader.flag("writable").value.value_or(false);
  if (sql.writable) require_user(reader, "writable");
}

void require_user(TableReader& reader, std::string_view key) {
  if (reader.find("user") != nullptr) return;
  if (const toml::node* node = reader.find(key))
    reader.report_error(
        *node, fmt::format("probe.{} needs a user that can log in: write user = \"hanat\", and password_file if it has a password", key));
}

std::chrono::days read_expires_within(TableReader& reader) {
  const auto field = reader.duration("expires_within", expiry_limits);
  if (!field.value) return std::chrono::days{0};
  const auto days = std::chrono::floor<std::chrono::days>(*field.value);
  if (days != *field.value)
    reader.report_error(
        *reader.find("expires_within"),
        fmt::format("probe.expires_within = \"{}\" is not a number of days: write whole days, as in \"14d\"", duration_text(*field.value)));
  return days;
}

} // namespace hanat::config
