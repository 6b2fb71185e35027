// A table of words and how many values stand behind each; one that is not in it is lost, and said.
#include "cli/import/haproxy_server.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "cli/import/values.hpp"
#include "daemon/config/parse_values.hpp"

namespace hanat::cli::imports {
namespace {

struct Parameter {
  std::string_view name;
  unsigned values = 0;
};
// What only matters to a proxy: hanat needs nothing of the kind, and nothing is lost.
constexpr Parameter needless_parameters[] = {
    {"maxconn", 1},
    {"minconn", 1},
    {"maxqueue", 1},
    {"pool-max-conn", 1},
    {"pool-purge-delay", 1},
    {"pool-low-conn", 1},
    {"cookie", 1},
    {"slowstart", 1},
    {"on-marked-down", 1},
    {"on-marked-up", 1},
    {"resolvers", 1},
    {"resolve-prefer", 1},
    {"resolve-opts", 1},
    {"resolve-net", 1},
    {"init-addr", 1},
    {"observe", 1},
    {"on-error", 1},
    {"error-limit", 1},
    {"enabled"},
    {"id", 1},
    {"ca-file", 1},
    {"crt", 1},
    {"ciphers", 1},
    {"ciphersuites", 1},
    {"ssl-min-ver", 1},
    {"ssl-max-ver", 1},
    {"no-sslv3"},
    {"no-tlsv10"},
    {"no-tlsv11"},
    {"no-tlsv12"},
    {"no-tlsv13"},
    {"force-tlsv12"},
    {"force-tlsv13"},
    {"sni", 1},
    {"alpn", 1},
    {"proto", 1},
    {"tfo"},
    {"non-stick"},
    {"log-proto", 1},
    {"redir", 1},
    {"no-ssl-reuse"},
    {"no-backup"},
    {"tcp-ut", 1},
    {"namespace", 1},
    {"check-alpn", 1},
    {"check-proto", 1},
    {"ssl-reuse"},
    {"verifyhost", 1},
    {"stick"},
    {"tls-tickets"},
    {"no-tls-tickets"},
};
// What bind has beside the address, and is of no matter to hanat.
constexpr Parameter needless_of_bind[] = {
    {"name", 1}, {"id", 1},      {"maxconn", 1}, {"backlog", 1}, {"transparent"}, {"v4v6"},     {"v6only"},  {"defer-accept"}, {"tfo"},
    {"mss", 1},  {"process", 1}, {"thread", 1},  {"shards", 1},  {"nice", 1},     {"level", 1}, {"mode", 1}, {"tcp-ut", 1},
};
// Beside "ssl", which takes them all with it.
constexpr Parameter tls_of_bind[] = {
    {"crt", 1},    {"crt-list", 1},     {"alpn", 1},        {"ca-file", 1},     {"verify", 1},      {"ciphers", 1},
    {"npn", 1},    {"ciphersuites", 1}, {"ssl-min-ver", 1}, {"ssl-max-ver", 1}, {"no-sslv3"},       {"no-tlsv10"},
    {"no-tlsv11"}, {"strict-sni"},      {"ecdhe", 1},       {"curves", 1},      {"no-tls-tickets"}, {"prefer-client-ciphers"},
    {"proto", 1},
};

template <class Table> const Parameter* known(const Table& table, std::string_view name) {
  const auto found = std::ranges::find(table, name, &Parameter::name);
  return found == std::ranges::end(table) ? nullptr : &*found;
}

std::optional<unsigned> count_of(std::string_view text) {
  const auto number = whole_number(text, 1'000);
  return number && *number > 0 ? std::optional{static_cast<unsigned>(*number)} : std::nullopt;
}

/// Words without a value; false: it is none of them.
bool take_flag(std::string_view name, ServerParameters& parameters) {
  if (name == "backup")
    parameters.backup = true;
  else if (name == "check")
    parameters.check = true;
  else if (name == "no-check")
    parameters.check = false;
  else if (name == "agent-check" || name == "no-agent-check")
    parameters.agent.on = name == "agent-check";
  else if (name == "disabled")
    parameters.disabled = true;
  else if (name == "ssl")
    parameters.tls = true;
  else if (name == "no-ssl")
    parameters.tls = false;
  else if (name == "check-ssl")
    parameters.check_tls = true;
  else if (name == "send-proxy" || name == "send-proxy-v2" || name == "send-proxy-v2-ssl" || name == "send-proxy-v2-ssl-cn" ||
           name == "check-send-proxy")
    parameters.proxy_protocol = true;
  else
    return false;
  return true;
}

bool take_value(std::string_view name, const std::string& value, ServerParameters& parameters) {
  if (name == "inter")
    parameters.interval = haproxy_time(value);
  else if (name == "fastinter")
    parameters.fast_interval = haproxy_time(value);
  else if (name == "downinter")
    parameters.down_interval = haproxy_time(value);
  else if (name == "agent-inter")
    parameters.agent.interval = haproxy_time(value);
  else if (name == "agent-addr")
    parameters.agent.address = proxy_address(value + ":1").address;
  else if (name == "agent-send")
    parameters.agent.send = value;
  else if (name == "fall")
    parameters.fails = count_of(value);
  else if (name == "rise")
    parameters.passes = count_of(value);
  else if (name == "weight")
    parameters.weight = static_cast<unsigned>(whole_number(value, 256).value_or(1));
  else if (name == "verify")
    parameters.verify = value != "none";
  else if (name == "check-sni")
    parameters.host = value;
  else
    return false;
  return true;
}

/// An address that is none, for its own reasons.
std::optional<std::string> why_not(std::string_view text) {
  if (text.starts_with('/') || text.starts_with("unix@") || text.starts_with("abns@") || text.starts_with("uxst@") ||
      text.starts_with("sockpair@"))
    return "a socket of this machine, and hanat translates between machines";
  if (text.starts_with("fd@")) return "a descriptor, and hanat translates packets";
  if (text.starts_with("quic")) return "QUIC that HAProxy itself ends; with hanat the server would: write its UDP port as a listener";
  if (text.find("${") != std::string_view::npos || text.starts_with('$')) return "a variable of the environment: write the address";
  return std::nullopt;
}

} // namespace

std::optional<milliseconds> haproxy_time(std::string_view text) {
  const auto letter = text.find_first_not_of("0123456789");
  const auto number = whole_number(text.substr(0, letter), 86'400'000);
  const std::string_view unit = letter == std::string_view::npos ? "ms" : text.substr(letter);
  if (!number || *number == 0) return std::nullopt;
  constexpr std::array units{std::pair{"us", 0},     std::pair{"ms", 1},        std::pair{"s", 1'000},
                             std::pair{"m", 60'000}, std::pair{"h", 3'600'000}, std::pair{"d", 86'400'000}};
  for (const auto& [name, factor] : units)
    if (unit == name) return std::min(milliseconds{*number * static_cast<std::uint64_t>(factor)}, milliseconds{86'400'000});
  return std::nullopt;
}

void read_parameters(const ConfigLine& line, std::size_t from, ServerParameters& parameters) {
  for (std::size_t at = from; at < line.arguments.size(); ++at) {
    const std::string& name = line.arguments[at];
    const std::string& value = line.argument(at + 1);
    if (take_flag(name, parameters)) continue;
    if (take_value(name, value, parameters)) {
      ++at;
    } else if (name == "port" || name == "agent-port") {
      if (const auto ports = ports_of(value, '-')) (name == "port" ? parameters.port : parameters.agent.port) = ports->first;
      ++at;
    } else if (name == "addr") {
      parameters.address = proxy_address(value + ":1").address;
      ++at;
    } else if (name == "source") {
      for (++at; line.argument(at + 1) == "usesrc"; at += 2) parameters.client_address = line.argument(at + 2).starts_with("client");
    } else if (const Parameter* const parameter = known(needless_parameters, name)) {
      at += parameter->values;
    } else {
      std::string words = name;
      for (; at + 1 < line.arguments.size() && words.size() < 80 && known(needless_parameters, line.argument(at + 1)) == nullptr; ++at)
        words += " " + line.argument(at + 1);
      parameters.lost.push_back(words);
    }
  }
}

ProxyAddress proxy_address(std::string_view text) {
  ProxyAddress result;
  if (const auto why = why_not(text)) {
    result.why = *why;
    return result;
  }
  std::optional<Family> family;
  for (const auto& [prefix, meant] : {std::pair{"ipv4@", Family::ipv4}, std::pair{"ipv6@", Family::ipv6}, std::pair{"tcp4@", Family::ipv4},
                                      std::pair{"tcp6@", Family::ipv6}})
    if (text.starts_with(prefix)) {
      family = meant;
      text.remove_prefix(5);
    }
  if (text.starts_with("tcp@")) text.remove_prefix(4);
  std::string_view host = text, ports;
  const bool bracket = text.starts_with('[');
  const auto colon = bracket ? text.find("]:") : text.rfind(':');
  if (colon != std::string_view::npos) {
    host = text.substr(0, bracket ? colon + 1 : colon);
    ports = text.substr(bracket ? colon + 2 : colon + 1);
  }
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (!ports.empty()) {
    const auto read = ports_of(ports, '-');
    if (!read) {
      result.why = ports.starts_with('+') || ports.starts_with('-') ? "a port that is counted from the client's: write the ports as a range"
                                                                    : "no port";
      return result;
    }
    result.ports = *read;
  }
  if (host.empty() || host == "*") {
    result.any = true;
    result.any_family = family.value_or(Family::ipv4);
    return result;
  }
  result.address = Address::parse(host);
  if (!result.address)
    result.why =
        "a name, which the import does not carry over: write its address; for a server the name itself will do, as in \"db1.lan:5432\"";
  else if (result.address->is_unspecified()) {
    result.any = true;
    result.any_family = result.address->family();
    result.address.reset();
  }
  return result;
}

namespace {

/// Of "interface eth0", if hanat can listen on it; empty: none.
std::string interface_of(const ConfigLine& line) {
  const auto word = std::ranges::find(line.arguments, "interface");
  if (word == line.arguments.end() || word + 1 == line.arguments.end()) return {};
  const auto parsed = config::parse_interface(word[1], word[1]);
  return parsed && std::holds_alternative<config::InterfaceName>(*parsed) ? word[1] : std::string{};
}

void add_listeners(const ProxyAddress& read, const std::vector<Address>& any, const std::string& interface, Bind& bind) {
  std::vector<Address> addresses;
  if (read.address) addresses.push_back(*read.address);
  if (read.any)
    std::ranges::copy_if(any, std::back_inserter(addresses),
                         [&](const Address& address) { return !read.any_family || address.family() == *read.any_family; });
  for (const Address& address : addresses) bind.listen.push_back({.address = address, .protocol = Protocol::tcp, .ports = read.ports});
  if (addresses.empty() && read.any && !interface.empty())
    bind.listen.push_back({.address = Address::unspecified(read.any_family.value_or(Family::ipv4)),
                           .protocol = Protocol::tcp,
                           .ports = read.ports,
                           .interface = interface});
}

/// It was for clients that come in by this interface.
Note note_of_interface(const ConfigLine& line, const std::string& interface, const Bind& bind) {
  const bool follows = std::ranges::any_of(bind.listen, [](const Listen& listen) { return !listen.interface.empty(); });
  std::string why =
      follows ? fmt::format("it was for whatever came in by {0}; hanat serves what goes to an address of {0}, by whatever "
                            "interface it comes, and follows these addresses",
                            interface)
              : fmt::format("it was for clients that come in by {} only; hanat serves them by whatever interface they come", interface);
  return {line.place, line.text, std::move(why), follows ? Loss::hint : Loss::lost};
}

void read_bind_parameters(const ConfigLine& line, Bind& bind, std::vector<Note>& notes) {
  const auto lose = [&](std::string why) { notes.push_back({line.place, line.text, std::move(why), Loss::lost}); };
  for (std::size_t at = 2; at < line.arguments.size(); ++at) {
    const std::string& name = line.arguments[at];
    if (name == "ssl") {
      bind.tls = true;
    } else if (name == "accept-proxy") {
      lose("hanat does not read the PROXY protocol: what sends it must stop to, or its server must read it");
    } else if (name == "interface") {
      notes.push_back(note_of_interface(line, line.argument(++at), bind));
    } else if (const Parameter* const parameter = known(needless_of_bind, name)) {
      at += parameter->values;
    } else if (const Parameter* const of_tls = known(tls_of_bind, name)) {
      at += of_tls->values;
    } else {
      lose(fmt::format("hanat has nothing like \"{}\": see whether the servers need it", name));
    }
  }
}

} // namespace

Bind read_bind(const ConfigLine& line, const std::vector<Address>& any, std::vector<Note>& notes) {
  Bind bind;
  const auto lose = [&](std::string why) { notes.push_back({line.place, line.text, std::move(why), Loss::lost}); };
  const std::string interface = interface_of(line);
  std::string_view list = line.argument(1);
  if (list.empty()) lose("it has no address: write the one that clients connect to");
  while (!list.empty()) {
    const auto comma = list.find(',');
    const std::string_view text = list.substr(0, comma);
    const ProxyAddress read = proxy_address(text);
    const std::size_t before = bind.listen.size();
    if (!read.why.empty())
      lose(fmt::format("{} is {}", text, read.why));
    else if (read.ports.first == 0)
      lose(fmt::format("{} has no port: write it", text));
    else
      add_listeners(read, any, interface, bind);
    if (read.why.empty() && read.any && bind.listen.size() == before)
      lose("it is for every address of this machine, and a service has single ones: run the import again with --address ADDRESS, the one "
           "that "
           "clients connect to");
    list = comma == std::string_view::npos ? std::string_view{} : list.substr(comma + 1);
  }
  read_bind_parameters(line, bind, notes);
  return bind;
}

} // namespace hanat::cli::imports
