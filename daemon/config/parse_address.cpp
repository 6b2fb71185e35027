// Parses the addresses of the configuration: servers, listeners and single addresses, and rejects those that cannot work.
// Not here: other strings (parse_values), addresses that contradict each other (validate).
#include "daemon/config/parse_values.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <optional>
#include <utility>

namespace hanat::config {
namespace {

bool all_digits(std::string_view text) { return !text.empty() && std::ranges::all_of(text, is_digit); }

/// The name of a use in messages, and valid examples.
struct UseText {
  std::string_view name, ipv4, ipv6;
};
UseText text_for(AddressUse use) {
  switch (use) {
  case AddressUse::listener: return {.name = "a listener", .ipv4 = "203.0.113.10:443/tcp", .ipv6 = "[2001:db8::10]:443/tcp"};
  case AddressUse::server: return {.name = "a server", .ipv4 = "10.0.0.11:8443", .ipv6 = "[fd00::11]:8443"};
  case AddressUse::snat: return {.name = "snat", .ipv4 = "192.0.2.1", .ipv6 = "2001:db8::1"};
  case AddressUse::probe_address: return {.name = "probe.address", .ipv4 = "10.0.0.11", .ipv6 = "fd00::11"};
  case AddressUse::probe_source: return {.name = "probe.source", .ipv4 = "192.0.2.1", .ipv6 = "2001:db8::1"};
  }
  return {};
}

/// Why this address cannot work for this use; empty: it can.
std::string_view unusable(const Address& address, AddressUse use) {
  if (address.is_unspecified()) return "is the unspecified address, which is not a host";
  if (address.is_multicast()) return "is a multicast or broadcast address, which is not a single host";
  if (address.is_v4_mapped()) return "is an IPv4-mapped IPv6 address, which does not occur in packets";
  const bool probes_only = use == AddressUse::probe_address || use == AddressUse::probe_source;
  if (address.is_loopback() && !probes_only) return "is a loopback address, which the kernel does not forward";
  if (address.is_link_local()) return "is a link-local address, which gateways do not forward";
  return {};
}

bool looks_like_name(std::string_view host) {
  return !host.empty() && std::ranges::all_of(host, [](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' || c == '_';
  });
}

Parsed<Address> parse_address(std::string_view host, std::string_view text, AddressUse use) {
  const auto [name, ipv4, ipv6] = text_for(use);
  if (const auto address = Address::parse(host)) {
    const std::string_view why = unusable(*address, use);
    if (why.empty()) return *address;
    const bool as_ipv6 = address->family() == Family::ipv6 && !address->is_v4_mapped();
    return error("{} {}: write a routable address of one host, as in \"{}\"", shown(text), why, as_ipv6 ? ipv6 : ipv4);
  }
  if (host.find('%') != std::string_view::npos)
    return error("{} has a %interface, but gateways do not forward link-local addresses: write a routable address, as in \"{}\"",
                 shown(text), ipv6);
  if (std::ranges::all_of(host, [](char c) { return is_digit(c) || c == '.'; }))
    return error("{} is not an IPv4 address: write four numbers from 0 to 255 without leading zeros, as in \"{}\"", shown(text), ipv4);
  if (host.find(':') != std::string_view::npos)
    return error("{} is not an IPv6 address: write groups of hexadecimal digits, as in \"{}\"", shown(text), ipv6);
  if (host == "*" && use == AddressUse::listener)
    return error("{} has \"*\" as its address: list each address, as in \"{}\", or name an interface, as in \"eth0:443/tcp\"", shown(text),
                 ipv4);
  if (host == "*") return error("{} has \"*\" as its address: list each address, as in \"{}\"", shown(text), ipv4);
  if (!looks_like_name(host)) return error("{} is not an address: write it like \"{}\"", shown(text), ipv4);
  return error("{} is a name, but only servers have names: {} needs an address, as in \"{}\"{}", shown(text), name, ipv4,
               use == AddressUse::listener ? ", or an interface, as in \"eth0:443/tcp\"" : "");
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  constexpr std::size_t longest = 5;
  if (!all_digits(text) || text.size() > longest || text.front() == '0') return std::nullopt;
  unsigned value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  if (value > 65'535) return std::nullopt;
  return static_cast<std::uint16_t>(value);
}

struct HostPort {
  std::string_view host;
  std::optional<std::string_view> port;
};

/// IPv6 in brackets: "[fd00::11]:8443" or "[fd00::11]".
Parsed<HostPort> split_brackets(std::string_view body, std::string_view text, AddressUse use) {
  const auto [name, ipv4, ipv6] = text_for(use);
  const auto close = body.find(']');
  if (close == std::string_view::npos) return error("{} has no closing \"]\": write it like \"{}\"", shown(text), ipv6);
  const std::string_view host = body.substr(1, close - 1);
  const std::string_view rest = body.substr(close + 1);
  if (host.find(':') == std::string_view::npos)
    return error("{} has no IPv6 address in its brackets: write it like \"{}\", and IPv4 without brackets", shown(text), ipv6);
  if (rest.empty()) return HostPort{.host = host, .port = std::nullopt};
  if (rest.front() != ':') return error("{} has {} after its brackets: write it like \"{}\"", shown(text), shown(rest), ipv6);
  return HostPort{.host = host, .port = rest.substr(1)};
}

/// IPv6 without brackets is accepted only if its last group cannot be a port: "fd00::11:8443" is an address, but may be a mistake.
Parsed<HostPort> split_bare_ipv6(std::string_view body, std::string_view text, AddressUse use) {
  const auto colon = body.rfind(':');
  const std::string_view head = body.substr(0, colon);
  const std::string_view tail = body.substr(colon + 1);
  const bool needs_port = use == AddressUse::listener;
  const bool is_address = Address::parse(body).has_value();
  const bool with_port = Address::parse(head) && parse_port(tail);
  if (with_port && (needs_port || !is_address))
    return error("{} needs brackets around its IPv6 address: write it as \"[{}]{}\"", shown(text), head, text.substr(colon));
  if (with_port)
    return error("{} is ambiguous: write \"[{}]:{}\" for port {}, or \"[{}]\" for the address without a port", shown(text), head, tail,
                 tail, body);
  return HostPort{.host = body, .port = std::nullopt};
}

Parsed<HostPort> split_port(std::string_view body, std::string_view text, AddressUse use) {
  const auto [name, ipv4, ipv6] = text_for(use);
  if (text.empty()) return error("\"\" is empty: {} needs an address, as in \"{}\"", name, ipv4);
  if (std::ranges::any_of(text, [](char c) { return (c >= 0 && c <= ' ') || c == '\x7f'; }))
    return error("{} contains a space or a control character: remove it, as in \"{}\"", shown(text), ipv4);
  if (text.find("://") != std::string_view::npos)
    return error("{} is a URL, but {} is an address: write it like \"{}\"", shown(text), name, ipv4);
  if (body.starts_with('[')) return split_brackets(body, text, use);
  const auto colon = body.find(':');
  if (colon != body.rfind(':')) return split_bare_ipv6(body, text, use);
  if (colon == 0 || body.empty()) return error("{} has no address before its port: write it like \"{}\"", shown(text), ipv4);
  if (colon == std::string_view::npos) return HostPort{.host = body, .port = std::nullopt};
  return HostPort{.host = body.substr(0, colon), .port = body.substr(colon + 1)};
}

Error wrong_port(std::string_view port, std::string_view text, std::string_view example) {
  return error("{} has {} as its port: ports are whole numbers from 1 to 65535, as in \"{}\"", shown(text), shown(port), example);
}

struct Ports {
  std::uint16_t first, last;
};

/// "443", or "5000-5100".
Parsed<Ports> parse_ports(std::string_view ports, std::string_view text, AddressUse use) {
  const auto dash = ports.find('-');
  const auto first = parse_port(ports.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : parse_port(ports.substr(dash + 1));
  if (!first || !last) return wrong_port(ports, text, text_for(use).ipv4);
  if (*first > *last) return error("{} has a range that runs backwards: write {}-{}", shown(text), *last, *first);
  return Ports{.first = *first, .last = *last};
}

/// "443", "5000-5100", or "*".
std::optional<Error> read_ports(std::string_view ports, Listener& listener) {
  const auto parsed = ports == "*" ? Ports{.first = 1, .last = UINT16_MAX} : parse_ports(ports, listener.text, AddressUse::listener);
  if (const auto* failed = std::get_if<Error>(&parsed)) return *failed;
  listener.first = std::get<Ports>(parsed).first;
  listener.last = std::get<Ports>(parsed).last;
  return std::nullopt;
}

/// "8443"; or "6000-6100", which a listener's range is mapped to.
std::optional<Error> read_ports(std::string_view ports, std::string_view text, ServerPorts& server) {
  if (ports == "*") return error("{} has \"*\" as its port: remove \":*\", and each flow keeps its port", shown(text));
  const auto parsed = parse_ports(ports, text, AddressUse::server);
  if (const auto* failed = std::get_if<Error>(&parsed)) return *failed;
  const auto [first, last] = std::get<Ports>(parsed);
  if (const std::uint32_t count = last - first + 1U; count > most_exact_ports)
    return error("{} is a range of {} ports, but a range that a listener is mapped to has at most {}: remove \":{}\" so that flows keep "
                 "their port, or split both ranges",
                 shown(text), grouped(count), grouped(most_exact_ports), ports);
  server.endpoint.port = first;
  if (first != last) server.last = last;
  return std::nullopt;
}

constexpr std::size_t longest_name = 253, longest_label = 63; // of DNS

/// Why DNS cannot know this name; empty: one could.
std::string_view unusable_name(std::string_view name) {
  if (name == "localhost" || name.ends_with(".localhost")) return "is this gateway itself, which the kernel does not forward to";
  if (name.size() > longest_name) return "is longer than a name may be, which is 253 characters";
  if (name.ends_with('.')) name.remove_suffix(1);
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('.', begin), name.size());
    const std::string_view label = name.substr(begin, end - begin);
    if (label.empty()) return "has nothing between two dots";
    if (label.size() > longest_label) return "has a part of more than 63 characters between two dots";
    if (label.front() == '-' || label.back() == '-') return "has a part that begins or ends with \"-\"";
    begin = end + 1;
  }
  return {};
}

Error wrong_protocol(std::string_view word, std::string_view text) {
  static constexpr std::string_view known[] = {"tcp", "udp", "sctp"};
  if (all_digits(word))
    return error("{} is a network, but a listener is one address: write it without \"/{}\", as in \"203.0.113.10:443/tcp\"", shown(text),
                 word);
  return error("{} has {} as its protocol{}", shown(text), shown(word), did_you_mean(word, known));
}

} // namespace

std::string_view unusable_for_server(const Address& address) { return unusable(address, AddressUse::server); }

Parsed<Address> parse_single_address(std::string_view text, AddressUse use) {
  const auto [name, example, ipv6] = text_for(use);
  const auto split = split_port(text, text, use);
  const auto* parts = std::get_if<HostPort>(&split);
  if (Address::parse(text)) return parse_address(text, text, use); // IPv6 without a port needs no brackets
  if (text.find('/') != std::string_view::npos && text.find("://") == std::string_view::npos)
    return error("{} is a network, but {} is one address: write it like \"{}\"", shown(text), name, example);
  if (parts == nullptr) return std::get<Error>(split);
  if (parts->port) return error("{} has a port, but {} is an address without a port: write it like \"{}\"", shown(text), name, example);
  return parse_address(parts->host, text, use);
}

Parsed<ServerPorts> parse_server(std::string_view text) {
  const auto example = text_for(AddressUse::server).ipv4;
  if (const auto slash = text.rfind('/'); slash != std::string_view::npos && text.find("://") == std::string_view::npos) {
    const std::string_view tail = text.substr(slash + 1);
    if (all_digits(tail))
      return error("{} is a network, but a server is one address: write it without \"/{}\", as in \"{}\"", shown(text), tail, example);
    return error("{} has {} after its address, but a server has the protocol of its listener: write it like \"{}\"", shown(text),
                 shown(text.substr(slash)), example);
  }
  const auto split = split_port(text, text, AddressUse::server);
  const auto* parts = std::get_if<HostPort>(&split);
  if (parts == nullptr) return std::get<Error>(split);
  const auto address = parse_address(parts->host, text, AddressUse::server);
  if (const auto* failed = std::get_if<Error>(&address)) return *failed;
  ServerPorts server{.endpoint = {.address = std::get<Address>(address), .port = 0}};
  if (!parts->port) return server;
  if (auto failed = read_ports(*parts->port, text, server)) return std::move(*failed);
  return server;
}

std::optional<Parsed<HostName>> parse_host(std::string_view text) {
  const auto colon = text.find(':');
  const std::string_view name = text.substr(0, colon);
  const bool numbers = std::ranges::all_of(name, [](char c) { return is_digit(c) || c == '.'; });
  if (!looks_like_name(name) || numbers || colon != text.rfind(':')) return std::nullopt;
  if (const std::string_view why = unusable_name(name); !why.empty())
    return error("{} {}: write the server's name or address, as in \"db1.example.net:5432\" or \"10.0.0.11:8443\"", shown(text), why);
  HostName host;
  std::ranges::transform(name, std::back_inserter(host.name),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 'a' - 'A') : c; });
  if (colon == std::string_view::npos) return host;
  const std::string_view port = text.substr(colon + 1);
  if (port.find('-') != std::string_view::npos)
    return error("{} is a name with a range of ports, but a name has one port or none: remove \":{}\" so that flows keep their port, or "
                 "write the server's address",
                 shown(text), port);
  const auto number = parse_port(port);
  if (!number) return wrong_port(port, text, "db1.example.net:5432");
  host.port = *number;
  return host;
}

Parsed<Listener> parse_listener(std::string_view text) {
  const auto example = text_for(AddressUse::listener).ipv4;
  const auto slash = text.find("://") == std::string_view::npos ? text.rfind('/') : std::string_view::npos;
  const std::string_view body = text.substr(0, slash);
  if (auto failed = label_error(text)) return std::move(*failed);
  const auto split = split_port(body, text, AddressUse::listener);
  const auto* parts = std::get_if<HostPort>(&split);
  if (parts == nullptr) return std::get<Error>(split);
  Listener listener{.address = {}, .text = std::string{text}};
  if (auto interface = parse_interface(parts->host, text)) {
    if (auto* failed = std::get_if<Error>(&*interface)) return std::move(*failed);
    listener.interface = std::get<InterfaceName>(std::move(*interface));
  } else {
    const auto address = parse_address(parts->host, text, AddressUse::listener);
    if (const auto* failed = std::get_if<Error>(&address)) return *failed;
    listener.address = std::get<Address>(address);
  }
  if (slash == std::string_view::npos) return error("{} has no protocol: write it like \"{}\"", shown(text), example);
  const auto protocol = parse_protocol(text.substr(slash + 1));
  if (!protocol) return wrong_protocol(text.substr(slash + 1), text);
  if (!parts->port) return error("{} has no port: write it like \"{}\"", shown(text), example);
  listener.protocol = *protocol;
  if (auto failed = read_ports(*parts->port, listener)) return std::move(*failed);
  return listener;
}

} // namespace hanat::config
