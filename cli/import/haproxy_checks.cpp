// Each check that hanat has a probe for; the others become a connection, and that is said.
#include "cli/import/haproxy_checks.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "cli/import/haproxy_server.hpp"
#include "cli/import/values.hpp"

namespace hanat::cli::imports {
namespace {

void lose(std::vector<Note>& notes, const ConfigLine& line, std::string why) {
  notes.push_back({line.place, line.text, std::move(why), Loss::lost});
}

bool is_host(std::string_view text) {
  return !text.empty() && text.size() <= 253 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
  });
}

bool has_no_blank(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
}

void set_key(ProbeText& probe, const std::string& name, const std::string& value) {
  std::erase_if(probe.keys, [&](const ProbeKey& key) { return key.name == name; });
  probe.keys.push_back({.name = name, .value = value});
}

/// "Host: www" at the end of the version, as it was written before there was http-check send.
void read_version(ProbeText& probe, std::string_view version) {
  constexpr std::string_view header = "\r\nHost:";
  const auto at = version.find(header);
  if (at == std::string_view::npos) return;
  std::string_view host = trimmed(version.substr(at + header.size()));
  host = host.substr(0, host.find_first_of("\r\n: "));
  if (is_host(host)) set_key(probe, "host", toml_string(host));
}

void set_method(ProbeText& probe, const std::string& method) {
  const bool capitals = !method.empty() && method.size() <= 20 && std::ranges::all_of(method, [](char c) { return c >= 'A' && c <= 'Z'; });
  if (method == "GET")
    std::erase_if(probe.keys, [](const ProbeKey& key) { return key.name == "method"; });
  else if (capitals)
    set_key(probe, "method", toml_string(method));
}

void set_path(ProbeText& probe, const ConfigLine& line, const std::string& path, std::vector<Note>& notes) {
  if (path.starts_with('/') && path.size() <= 2'048 && has_no_blank(path))
    set_key(probe, "path", toml_string(path));
  else if (path != "*")
    lose(notes, line, "hanat asks for a path that begins with / and has no blanks, here for /: write path");
}

/// "200", "200-399", "200,204": as a list of codes.
std::optional<std::string> status_list(std::string_view text) {
  std::vector<std::string> codes;
  while (!text.empty()) {
    const auto comma = text.find(',');
    const auto range = ports_of(text.substr(0, comma), '-');
    if (!range || range->first < 100 || range->last > 599) return std::nullopt;
    codes.emplace_back(text.substr(0, comma));
    text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
  }
  if (codes.empty()) return std::nullopt;
  return toml_list(codes);
}

/// The last argument is the pattern; "comment", "min-recv" and so on may stand before it.
void read_expect_line(ProbeText& probe, const ConfigLine& line, std::vector<Note>& notes) {
  const std::string& kind = line.argument(2);
  const std::string& pattern = line.arguments.back();
  const bool plain = line.arguments.size() == 4 && is_plain(pattern) && !pattern.empty() && pattern.size() <= 1'000;
  if (kind == "status" && plain) {
    if (const auto codes = status_list(pattern)) return set_key(probe, "status", *codes);
  } else if (kind == "string" && plain) {
    return set_key(probe, "body", toml_string(pattern));
  } else if (kind == "rstring" && plain) {
    return set_key(probe, "body_regex", toml_string(pattern));
  } else if (kind == "rstatus" && plain && pattern.size() == 4 && pattern.substr(1) == "..") {
    return;
  }
  if (kind == "rstatus" &&
      (pattern == "^2" || pattern == "2.." || pattern == "^2.." || pattern == "2[0-9][0-9]" || pattern == "^2[0-9][0-9]$"))
    return set_key(probe, "status", toml_string("200-299"));
  if (kind == "rstatus" && (pattern == "(2|3)[0-9][0-9]" || pattern == "^[23]" || pattern == "[23].." || pattern == "^[23]..")) return;
  lose(notes, line,
       "hanat expects a status (status = \"200-399\"), a text (body) or an expression (body_regex): write the probe's own key");
}

/// HAProxy sends one with any method.
bool takes_body(const ProbeText& probe) {
  const auto method = std::ranges::find(probe.keys, "method", &ProbeKey::name);
  if (method == probe.keys.end()) return false;
  return std::ranges::none_of(std::array{"HEAD", "DELETE", "TRACE", "CONNECT"},
                              [&](const char* without) { return method->value == toml_string(without); });
}

void read_send_line(ProbeText& probe, const ConfigLine& line, std::vector<Note>& notes) {
  std::vector<std::string> headers;
  std::string body;
  for (std::size_t at = 2; at < line.arguments.size(); at += 2) {
    const std::string& name = line.arguments[at];
    const std::string& value = line.argument(at + 1);
    if (name == "meth") {
      set_method(probe, value);
    } else if (name == "uri") {
      set_path(probe, line, value, notes);
    } else if (name == "body" && is_plain(value) && value.size() <= 16'384) {
      body = value;
    } else if (name == "hdr") {
      const std::string& text = line.argument(++at + 1);
      const bool host = value == "Host" || value == "host";
      if (host && is_host(text))
        set_key(probe, "host", toml_string(text));
      else if (!host && is_host(value) && is_plain(text) && !text.empty() && headers.size() < 32)
        headers.push_back(toml_string(fmt::format("{}: {}", value, text)));
      else
        lose(notes, line, fmt::format("the header {} cannot be sent by a probe: leave it out, or write it into headers by hand", value));
    } else if (name != "ver" && name != "comment") {
      lose(notes, line, fmt::format("hanat's probe has nothing like \"{}\": see whether the server needs it", name));
    }
  }
  std::string list;
  for (const std::string& header : headers) list += (list.empty() ? "" : ", ") + header;
  if (!list.empty()) set_key(probe, "headers", fmt::format("[{}]", list));
  if (body.empty()) return;
  if (takes_body(probe))
    set_key(probe, "request_body", toml_string(body));
  else
    lose(notes, line, "hanat sends a body with POST, PUT and the like: see whether the server answers one of them, and write request_body");
}

std::string hex_pairs(std::string_view text) {
  std::string pairs;
  for (std::size_t at = 0; at < text.size(); ++at) pairs += (at != 0 && at % 2 == 0 ? " " : "") + std::string{text.substr(at, 1)};
  return pairs;
}

bool is_hex(std::string_view text) {
  return !text.empty() && text.size() % 2 == 0 && text.size() <= 2'000 &&
         text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

/// One step of tcp-check as a key of the probe; false: there is none.
bool set_step(ProbeText& probe, const ConfigLine& line) {
  const std::string& step = line.argument(1);
  const bool expect = step == "expect";
  const std::string& kind = expect ? line.argument(2) : step;
  if (line.arguments.size() != (expect ? 4U : 3U)) return false;
  const std::string& text = line.arguments.back();
  const bool plain = is_plain(text) && !text.empty() && text.size() <= 1'000;
  if (!expect && kind == "send" && plain)
    set_key(probe, "send", toml_string(text));
  else if (!expect && kind == "send-binary" && is_hex(text))
    set_key(probe, "send_hex", toml_string(hex_pairs(text)));
  else if (expect && kind == "string" && plain)
    set_key(probe, "expect", toml_string(text));
  else if (expect && kind == "rstring" && plain)
    set_key(probe, "expect_regex", toml_string(text));
  else if (expect && kind == "binary" && is_hex(text))
    set_key(probe, "expect_hex", toml_string(hex_pairs(text)));
  else
    return false;
  return true;
}

} // namespace

bool CheckLines::take(const ConfigLine& line) {
  static constexpr std::string_view options[] = {"httpchk", "tcp-check",  "pgsql-check",   "mysql-check",    "redis-check",
                                                 "smtpchk", "ldap-check", "ssl-hello-chk", "external-check", "spop-check"};
  const std::string& first = line.argument(0);
  if (first == "option" && std::ranges::find(options, line.argument(1)) != std::ranges::end(options)) {
    option_ = line;
  } else if (line.begins_with("no option") && std::ranges::find(options, line.argument(2)) != std::ranges::end(options)) {
    option_.reset();
  } else if (first == "http-check") {
    http_.push_back(line);
  } else if (first == "tcp-check") {
    tcp_.push_back(line);
  } else if (line.begins_with("timeout check")) {
    timeout = haproxy_time(line.argument(2));
  } else {
    return false;
  }
  return true;
}

void CheckLines::read_http_lines(ProbeText& probe, std::vector<Note>& notes) const {
  for (const ConfigLine& line : http_) {
    const std::string& step = line.argument(1);
    if (step == "expect" && line.arguments.size() > 3)
      read_expect_line(probe, line, notes);
    else if (step == "send")
      read_send_line(probe, line, notes);
    else if (step != "disable-on-404" && step != "comment")
      lose(notes, line, "a probe of hanat is one request: write its own keys (http in hanat.toml(5))");
  }
}

ProbeText CheckLines::http_probe(const ConfigLine& option, bool tls, std::vector<Note>& notes) const {
  ProbeText probe;
  probe.type = tls ? "https" : "http";
  const std::string& second = option.argument(2);
  if (option.arguments.size() == 3) {
    set_path(probe, option, second, notes);
  } else if (option.arguments.size() > 3) {
    set_method(probe, second);
    set_path(probe, option, option.argument(3), notes);
    read_version(probe, option.argument(4));
  } else {
    set_method(probe, "OPTIONS");
  }
  set_key(probe, "status", toml_string("200-399")); // what HAProxy takes for right
  read_http_lines(probe, notes);
  return probe;
}

ProbeText CheckLines::tcp_probe(bool tls, std::vector<Note>& notes) const {
  ProbeText probe;
  if (tls) probe.type = "tls";
  std::vector<const ConfigLine*> steps;
  for (const ConfigLine& line : tcp_)
    if (line.argument(1) == "send" || line.argument(1) == "send-binary" || line.argument(1) == "expect") steps.push_back(&line);
  const auto has_step = [&](std::string_view begin) {
    return std::ranges::any_of(steps, [&](const ConfigLine* line) { return line->arguments.back().starts_with(begin); });
  };
  if (!tls && has_step("PING")) {
    probe.type = "redis";
    if (has_step("role:master") && !has_step("AUTH")) set_key(probe, "role", toml_string("master"));
    if (has_step("role:master") && has_step("AUTH"))
      lose(notes, *steps.front(),
           "hanat's probe of Redis has no password, and without one it cannot ask for the role: let a connection from this "
           "gateway read it without a password, and write role = \"master\"");
    return probe;
  }
  const bool one_exchange = steps.size() <= 2 && (steps.empty() || steps.back()->argument(1) == "expect") &&
                            (steps.size() < 2 || steps.front()->argument(1) != "expect");
  bool all = one_exchange && !tls;
  for (const ConfigLine* step : steps) all = all && set_step(probe, *step);
  if (!all && !steps.empty()) {
    probe.keys.clear();
    for (const ConfigLine* step : steps)
      lose(notes, *step,
           "a probe of hanat sends once and expects once (send, expect): here it only connects; look for a type of the "
           "service's own protocol in hanat.toml(5)");
  }
  for (const ConfigLine& line : tcp_)
    if (line.begins_with("tcp-check connect") && line.arguments.size() > 2)
      lose(notes, line, "how to connect: write port, or type = \"tls\", into the probe");
  return probe;
}

ProbeText CheckLines::probe(bool tls, std::vector<Note>& notes) const {
  ProbeText probe;
  static const ConfigLine none{};
  const ConfigLine& option = option_ ? *option_ : none;
  const std::string kind = option_ ? option.argument(1) : std::string{};
  const auto named = [&](std::string_view word) {
    const auto at = std::ranges::find(option.arguments, word);
    return at != option.arguments.end() && at + 1 != option.arguments.end() ? *(at + 1) : std::string{};
  };
  const auto set_user = [&] {
    const std::string user = named("user");
    if (!user.empty() && user.size() <= 63 && has_no_blank(user)) set_key(probe, "user", toml_string(user));
  };
  if (kind == "httpchk") return http_probe(option, tls, notes);
  if (kind == "tcp-check" || kind == "ssl-hello-chk") return tcp_probe(tls || kind == "ssl-hello-chk", notes);
  if (tls && !kind.empty())
    lose(notes, option, "here it is a TLS handshake; for more write a probe of the protocol's type with tls = true (hanat.toml(5))");
  if (tls) {
    probe.type = "tls";
  } else if (kind == "pgsql-check" || kind == "mysql-check") {
    probe.type = kind == "pgsql-check" ? "postgres" : "mysql";
    set_user();
  } else if (kind == "redis-check") {
    probe.type = "redis";
  } else if (kind == "smtpchk") {
    probe.type = "smtp";
    if (is_host(option.argument(3))) set_key(probe, "hello", toml_string(option.argument(3)));
  } else if (kind == "ldap-check") { // an anonymous bind, and any reply to it
    set_key(probe, "send_hex", toml_string("30 0c 02 01 01 60 07 02 01 03 04 00 80 00"));
    set_key(probe, "expect_hex", toml_string("02 01 01 61"));
  } else if (kind == "external-check") {
    lose(notes, option,
         "HAProxy's program gets the addresses as arguments; hanat's (type = \"exec\") has HANAT_ADDRESS and HANAT_PORT in its "
         "environment: adapt the program, and write command = [\"/path\"]; here the probe only connects");
  } else if (!kind.empty()) {
    lose(notes, option, "hanat has no such probe, and here it only connects: look for the service's own protocol in hanat.toml(5)");
  }
  return probe;
}

} // namespace hanat::cli::imports
