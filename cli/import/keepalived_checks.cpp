// One function for each check that hanat has a probe for.
#include "cli/import/keepalived_checks.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "cli/import/values.hpp"

namespace hanat::cli::imports {
namespace {

constexpr milliseconds usual_timeout{5'000}; // keepalived's own

void lose_check(std::vector<Note>& notes, const Block& block, std::string why) {
  notes.push_back({block.place, block.text(), std::move(why), Loss::lost});
}

void add_key(ProbeText& probe, std::string name, std::string value) {
  probe.keys.push_back({.name = std::move(name), .value = std::move(value)});
}

bool is_name_of_host(std::string_view text) {
  return !text.empty() && text.size() <= 253 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
  });
}

/// How often, how long, where.
class CommonKeys {
public:
  CommonKeys(const CheckDefaults& defaults, std::vector<Note>& notes) : defaults_{defaults}, notes_{notes} {}

  void add(const Block& check, ProbeText& probe) const {
    const auto time = [&](std::string_view name) { return seconds_of(check.value(name)); };
    if (const auto interval = check.child("delay_loop") != nullptr ? time("delay_loop") : defaults_.interval)
      probe.interval = std::max(*interval, milliseconds{10});
    const auto retry_delay = check.child("delay_before_retry") != nullptr ? time("delay_before_retry") : defaults_.retry_delay;
    if (retry_delay && *retry_delay > milliseconds{0})
      probe.fast_interval = std::min(*retry_delay, probe.interval.value_or(milliseconds{1'000}));
    const auto timeout = check.child("connect_timeout") != nullptr ? time("connect_timeout") : defaults_.timeout;
    probe.timeout = std::max(timeout.value_or(usual_timeout), milliseconds{1});
    if (probe.type != "icmp" && probe.type != "exec")
      if (const auto port = ports_of(check.value("connect_port"), '-')) add_key(probe, "port", fmt::format("{}", port->first));
    if (probe.type == "exec") return;
    if (const auto address = Address::parse(check.value("connect_ip")); address && !address->is_unspecified()) {
      if (!address->is_multicast() && !address->is_v4_mapped() && !address->is_link_local())
        add_key(probe, "address", toml_string(address->text()));
    }
    if (const auto source = Address::parse(check.value("bindto")); source && is_usable(*source))
      add_key(probe, "source", toml_string(source->text()));
    if (const Block* const port = check.child("bind_port"))
      lose_check(notes_, *port, "hanat's probes take any port of their own: the server must not rely on one");
    for (const std::string_view name : {"fwmark", "warmup", "ha_suspend"})
      if (const Block* const child = check.child(name); child != nullptr && name == "fwmark")
        lose_check(notes_, *child, "hanat sets a mark of its own on probes: route them by source or interface");
  }

private:
  const CheckDefaults& defaults_;
  std::vector<Note>& notes_;
};

class CheckParser {
public:
  CheckParser(const CheckDefaults& defaults, std::vector<Note>& notes) : defaults_{defaults}, common_{defaults, notes}, notes_{notes} {}

  std::vector<ProbeText> read(const Block& check) {
    const std::string& name = check.argument(0);
    if (name == "TCP_CHECK") return {common(check, "tcp")};
    if (name == "HTTP_GET") return http(check, "http");
    if (name == "SSL_GET") return http(check, "https");
    if (name == "SMTP_CHECK") return {smtp(check)};
    if (name == "DNS_CHECK") return {dns(check)};
    if (name == "PING_CHECK") return {common(check, "icmp")};
    if (name == "MISC_CHECK") return misc(check);
    if (name == "UDP_CHECK") return udp(check);
    lose_check(notes_, check,
               name == "FILE_CHECK"
                   ? "hanat watches no file: let a program read it (type = \"exec\"), or run hanatctl disable and enable instead"
                   : "hanat has no such check: look for the service's own protocol in hanat.toml(5)");
    return {};
  }

private:
  ProbeText common(const Block& check, std::string type) {
    ProbeText probe;
    probe.type = std::move(type);
    common_.add(check, probe);
    return probe;
  }

  std::vector<ProbeText> http(const Block& check, const std::string& type) {
    std::vector<ProbeText> probes;
    for (const Block& url : check.children)
      if (url.argument(0) == "url" && probes.size() < 8) probes.push_back(http_url(check, url, type));
    if (probes.empty()) probes.push_back(common(check, type));
    return probes;
  }

  ProbeText http_url(const Block& check, const Block& url, const std::string& type) {
    ProbeText probe = common(check, type);
    std::string path = url.value("path");
    if (path.empty() || path.front() != '/') path = "/" + path;
    const bool printable = path.size() <= 2'048 && std::ranges::all_of(path, [](char c) { return c > ' ' && c <= '~'; });
    if (printable)
      add_key(probe, "path", toml_string(path));
    else
      lose_check(notes_, url, "hanat asks for a path without blanks, here for /: write path with %20 for a blank");
    std::string host = url.value("virtualhost");
    if (host.empty()) host = check.value("virtualhost");
    if (host.empty()) host = defaults_.virtualhost;
    if (is_name_of_host(host)) add_key(probe, "host", toml_string(host));
    for (const Block& child : url.children) url_key(child, probe);
    return probe;
  }

  void url_key(const Block& child, ProbeText& probe) {
    const std::string& name = child.argument(0);
    if (name == "status_code") {
      std::vector<std::string> codes;
      for (std::size_t index = 1; index < child.arguments.size(); ++index) {
        const auto range = ports_of(child.arguments[index], '-');
        if (range && range->first >= 100 && range->last <= 599) codes.push_back(child.arguments[index]);
      }
      if (!codes.empty()) add_key(probe, "status", toml_list(codes));
    } else if (name == "digest") {
      lose_check(notes_, child, "hanat does not compare the whole page by its digest: write body = \"...\" with a text of it");
    } else if (name == "regex") {
      const std::string& pattern = child.argument(1);
      if (is_plain(pattern) && !pattern.empty() && pattern.size() <= 1'000) add_key(probe, "body_regex", toml_string(pattern));
    } else if (name.starts_with("regex") || name == "tls_compliant") {
      lose_check(notes_, child, "hanat's expressions are those of RE2, without such options: adapt body_regex");
    }
  }

  ProbeText smtp(const Block& check) {
    const Block* const host = check.child("host");
    ProbeText probe = common(check, "smtp");
    if (host != nullptr && std::ranges::none_of(probe.keys, [](const ProbeKey& key) { return key.name == "port"; }))
      if (const auto port = ports_of(host->value("connect_port"), '-')) add_key(probe, "port", fmt::format("{}", port->first));
    if (const std::string hello = check.value("helo_name"); is_name_of_host(hello)) add_key(probe, "hello", toml_string(hello));
    return probe;
  }

  ProbeText dns(const Block& check) {
    static constexpr std::array records{"A", "AAAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT"};
    ProbeText probe = common(check, "dns");
    const std::string name = check.value("name").empty() ? "." : check.value("name");
    std::string record = check.value("type").empty() ? "SOA" : check.value("type");
    std::ranges::transform(record, record.begin(), [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
    if (name == "." || is_name_of_host(name)) add_key(probe, "name", toml_string(name));
    if (std::ranges::find(records, record) != records.end())
      add_key(probe, "record", toml_string(record));
    else
      lose_check(notes_, check, fmt::format("hanat does not ask for records of type {}, here for the default one: write record", record));
    return probe;
  }

  std::vector<ProbeText> misc(const Block& check) {
    std::vector<std::string> command;
    const std::string path = check.value("misc_path");
    for (std::size_t at = 0; at < path.size();) {
      const auto end = std::min(path.find(' ', at), path.size());
      if (end > at) command.push_back(path.substr(at, end - at));
      at = end + 1;
    }
    const Block* const given = check.child("misc_path");
    for (std::size_t index = 2; given != nullptr && index < given->arguments.size(); ++index) command.push_back(given->arguments[index]);
    const bool usable = !command.empty() && command.front().starts_with('/') && command.size() <= 64 &&
                        std::ranges::all_of(command, is_plain) && path.find_first_of("'\"|&;<>$`\\") == std::string::npos;
    if (!usable) {
      lose_check(notes_, check,
                 "the program cannot be taken over as it is: hanat runs a program by its whole path, without a shell: write a probe of "
                 "type \"exec\" with command = [\"/path\", \"argument\"]");
      return {};
    }
    ProbeText probe = common(check, "exec");
    if (const auto timeout = seconds_of(check.value("misc_timeout")); timeout && *timeout > milliseconds{0}) probe.timeout = *timeout;
    std::string list;
    for (const std::string& word : command) list += (list.empty() ? "" : ", ") + toml_string(word);
    add_key(probe, "command", fmt::format("[{}]", list));
    if (const Block* const dynamic = check.child("misc_dynamic"))
      lose_check(notes_, *dynamic,
                 "hanat has no weights: status 0 is up, and every other one is down. Adapt the program if it says a weight by its status");
    notes_.push_back(
        {check.place, check.text(),
         "the program runs as the user hanat in the sandbox of hanatd's unit: try it there (/usr/share/doc/hanat/README.Debian)",
         Loss::hint});
    return {probe};
  }

  std::vector<ProbeText> udp(const Block& check) {
    std::string payload = check.value("payload");
    std::erase(payload, ' ');
    const bool hex = !payload.empty() && payload.size() % 2 == 0 && payload.size() <= 2'000 &&
                     payload.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
    if (!hex) {
      lose_check(notes_, check,
                 "hanat's udp probe needs something to send that the server answers: write send = \"...\" or send_hex, and expect");
      return {};
    }
    ProbeText probe = common(check, "udp");
    add_key(probe, "send_hex", toml_string(payload));
    return {probe};
  }

  const CheckDefaults& defaults_;
  CommonKeys common_;
  std::vector<Note>& notes_;
};

} // namespace

std::optional<unsigned> retries_of(std::string_view text) {
  const auto number = whole_number(text, 999);
  return number ? std::optional{static_cast<unsigned>(*number)} : std::nullopt;
}

ServerChecks read_checks(const Block& server, const CheckDefaults& defaults, std::vector<Note>& notes) {
  ServerChecks checks;
  CheckParser parser{defaults, notes};
  for (const Block& check : server.children) {
    if (!check.argument(0).ends_with("_CHECK") && !check.argument(0).ends_with("_GET")) continue;
    for (ProbeText& probe : parser.read(check))
      if (checks.probes.size() < 16) checks.probes.push_back(std::move(probe));
    const auto retries = check.child("retry") != nullptr          ? retries_of(check.value("retry"))
                         : check.child("nb_get_retry") != nullptr ? retries_of(check.value("nb_get_retry"))
                                                                  : defaults.retries;
    if (retries) checks.fails = std::max(checks.fails.value_or(1), *retries + 1);
  }
  return checks;
}

} // namespace hanat::cli::imports
