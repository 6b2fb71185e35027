// Addresses of the configuration: servers, listeners and single addresses, and why one of them cannot work.
// Not here: other kinds of text (config_text), addresses that contradict each other (config_check).
#include "daemon/config_text.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

namespace hanat::config {
namespace {

bool all_digits(std::string_view text) { return !text.empty() && std::ranges::all_of(text, is_digit); }

/// What messages call it, and right ones to copy.
struct UseWords {
  std::string_view name, ipv4, ipv6;
};
UseWords words(AddressUse use) {
  switch (use) {
  case AddressUse::listener: return {.name = "a listener", .ipv4 = "203.0.113.10:443/tcp", .ipv6 = "[2001:db8::10]:443/tcp"};
  case AddressUse::server: return {.name = "a server", .ipv4 = "10.0.0.11:8443", .ipv6 = "[fd00::11]:8443"};
  case AddressUse::snat: return {.name = "snat", .ipv4 = "192.0.2.1", .ipv6 = "2001:db8::1"};
  case AddressUse::probe_address: return {.name = "probe.address", .ipv4 = "10.0.0.11", .ipv6 = "fd00::11"};
  case AddressUse::probe_source: return {.name = "probe.source", .ipv4 = "192.0.2.1", .ipv6 = "2001:db8::1"};
  }
  return {};
}

/// Why this address can never work there; empty when it can.
std::string_view unusable(const Address& address, AddressUse use) {
  if (address.is_unspecified()) return "is the unspecified address, which is no host";
  if (address.is_multicast()) return "is a multicast or broadcast address, which is no single host";
  if (address.is_v4_mapped()) return "is an IPv4 address in IPv6 form, which no packet carries";
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
  const auto [name, ipv4, ipv6] = words(use);
  if (const auto address = Address::parse(host)) {
    const std::string_view why = unusable(*address, use);
    if (why.empty()) return *address;
    const bool as_ipv6 = address->family() == Family::ipv6 && !address->is_v4_mapped();
    return complaint("{} {}: write a routable address of one host, as in \"{}\"", shown(text), why, as_ipv6 ? ipv6 : ipv4);
  }
  if (host.find('%') != std::string_view::npos)
    return complaint("{} has a %interface, and such link-local addresses are not forwarded: write a routable address, as in \"{}\"",
                     shown(text), ipv6);
  if (std::ranges::all_of(host, [](char c) { return is_digit(c) || c == '.'; }))
    return complaint("{} is not an IPv4 address: write four numbers from 0 to 255 without leading zeros, as in \"{}\"", shown(text), ipv4);
  if (host.find(':') != std::string_view::npos)
    return complaint("{} is not an IPv6 address: write groups of hexadecimal digits, as in \"{}\"", shown(text), ipv6);
  if (host == "*") return complaint("{} has \"*\" for its address: write each address out, as in \"{}\"", shown(text), ipv4);
  if (!looks_like_name(host)) return complaint("{} is not an address: write it like \"{}\"", shown(text), ipv4);
  return complaint("{} is a name, and hanat takes addresses only, so that no failing lookup can stop it: write the address, as in \"{}\"",
                   shown(text), ipv4);
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
  const auto [name, ipv4, ipv6] = words(use);
  const auto close = body.find(']');
  if (close == std::string_view::npos) return complaint("{} has a \"[\" that is never closed: write it like \"{}\"", shown(text), ipv6);
  const std::string_view host = body.substr(1, close - 1);
  const std::string_view rest = body.substr(close + 1);
  if (host.find(':') == std::string_view::npos)
    return complaint("{} has no IPv6 address in its brackets: write it like \"{}\", and IPv4 without brackets", shown(text), ipv6);
  if (rest.empty()) return HostPort{.host = host, .port = std::nullopt};
  if (rest.front() != ':') return complaint("{} has {} after its brackets: write it like \"{}\"", shown(text), shown(rest), ipv6);
  return HostPort{.host = host, .port = rest.substr(1)};
}

/// IPv6 without brackets is taken only where its end cannot be meant as a port: "fd00::11:8443" is an address and could be a mistake.
Parsed<HostPort> split_bare_ipv6(std::string_view body, std::string_view text, AddressUse use) {
  const auto colon = body.rfind(':');
  const std::string_view head = body.substr(0, colon);
  const std::string_view tail = body.substr(colon + 1);
  const bool needs_port = use == AddressUse::listener;
  const bool whole = Address::parse(body).has_value();
  const bool with_port = Address::parse(head) && parse_port(tail);
  if (with_port && (needs_port || !whole))
    return complaint("{} needs brackets around its IPv6 address: write it as \"[{}]{}\"", shown(text), head, text.substr(colon));
  if (with_port)
    return complaint("{} can be read in two ways: write \"[{}]:{}\" for port {}, or \"[{}]\" for the address without a port", shown(text),
                     head, tail, tail, body);
  return HostPort{.host = body, .port = std::nullopt};
}

Parsed<HostPort> split_port(std::string_view body, std::string_view text, AddressUse use) {
  const auto [name, ipv4, ipv6] = words(use);
  if (text.empty()) return complaint("\"\" is empty: {} needs an address, as in \"{}\"", name, ipv4);
  if (std::ranges::any_of(text, [](char c) { return (c >= 0 && c <= ' ') || c == '\x7f'; }))
    return complaint("{} has a space or a control character in it: write it without, as in \"{}\"", shown(text), ipv4);
  if (text.find("://") != std::string_view::npos)
    return complaint("{} is a URL, and {} is an address: write it like \"{}\"", shown(text), name, ipv4);
  if (body.starts_with('[')) return split_brackets(body, text, use);
  const auto colon = body.find(':');
  if (colon != body.rfind(':')) return split_bare_ipv6(body, text, use);
  if (colon == 0 || body.empty()) return complaint("{} has no address before its port: write it like \"{}\"", shown(text), ipv4);
  if (colon == std::string_view::npos) return HostPort{.host = body, .port = std::nullopt};
  return HostPort{.host = body.substr(0, colon), .port = body.substr(colon + 1)};
}

Complaint wrong_port(std::string_view port, std::string_view text, std::string_view example) {
  return complaint("{} has {} for its port: ports are whole numbers from 1 to 65535, as in \"{}\"", shown(text), shown(port), example);
}

struct Ports {
  std::uint16_t first, last;
};

/// "443", or "5000-5100".
Parsed<Ports> parse_ports(std::string_view ports, std::string_view text, AddressUse use) {
  const auto dash = ports.find('-');
  const auto first = parse_port(ports.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : parse_port(ports.substr(dash + 1));
  if (!first || !last) return wrong_port(ports, text, words(use).ipv4);
  if (*first > *last) return complaint("{} has a range that runs backwards: write {}-{}", shown(text), *last, *first);
  return Ports{.first = *first, .last = *last};
}

/// "443", "5000-5100", or "*".
std::optional<Complaint> read_ports(std::string_view ports, Listener& listener) {
  const auto parsed = ports == "*" ? Ports{.first = 1, .last = UINT16_MAX} : parse_ports(ports, listener.text, AddressUse::listener);
  if (const auto* wrong = std::get_if<Complaint>(&parsed)) return *wrong;
  listener.first = std::get<Ports>(parsed).first;
  listener.last = std::get<Ports>(parsed).last;
  return std::nullopt;
}

/// "8443", or "6000-6100", to which a listener's range is mapped.
std::optional<Complaint> read_ports(std::string_view ports, std::string_view text, ServerPorts& server) {
  if (ports == "*") return complaint("{} has \"*\" for its port: leave \":*\" out, and every flow keeps its port", shown(text));
  const auto parsed = parse_ports(ports, text, AddressUse::server);
  if (const auto* wrong = std::get_if<Complaint>(&parsed)) return *wrong;
  const auto [first, last] = std::get<Ports>(parsed);
  if (const std::uint32_t count = last - first + 1U; count > most_exact_ports)
    return complaint(
        "{} is a range of {} ports, and one that another range is mapped to has at most {}: leave \":{}\" out if flows may keep "
        "their port, or split both ranges",
        shown(text), grouped(count), grouped(most_exact_ports), ports);
  server.endpoint.port = first;
  if (first != last) server.last = last;
  return std::nullopt;
}

Complaint wrong_protocol(std::string_view word, std::string_view text) {
  static constexpr std::string_view known[] = {"tcp", "udp", "sctp"};
  if (all_digits(word))
    return complaint("{} is a network, and a listener is one address: write it without \"/{}\", as in \"203.0.113.10:443/tcp\"",
                     shown(text), word);
  return complaint("{} has {} for its protocol{}", shown(text), shown(word), did_you_mean(word, known));
}

} // namespace

Parsed<Address> parse_single_address(std::string_view text, AddressUse use) {
  const auto [name, example, ipv6] = words(use);
  const auto split = split_port(text, text, use);
  const auto* parts = std::get_if<HostPort>(&split);
  if (Address::parse(text)) return parse_address(text, text, use); // IPv6 without a port needs no brackets
  if (text.find('/') != std::string_view::npos && text.find("://") == std::string_view::npos)
    return complaint("{} is a network, and {} is one address: write it like \"{}\"", shown(text), name, example);
  if (parts == nullptr) return std::get<Complaint>(split);
  if (parts->port) return complaint("{} has a port, and {} is an address alone: write it like \"{}\"", shown(text), name, example);
  return parse_address(parts->host, text, use);
}

Parsed<ServerPorts> parse_server(std::string_view text) {
  const auto example = words(AddressUse::server).ipv4;
  if (const auto slash = text.rfind('/'); slash != std::string_view::npos && text.find("://") == std::string_view::npos) {
    const std::string_view tail = text.substr(slash + 1);
    if (all_digits(tail))
      return complaint("{} is a network, and a server is one address: write it without \"/{}\", as in \"{}\"", shown(text), tail, example);
    return complaint("{} has {} after its address; a server has the protocol of its listener: write it like \"{}\"", shown(text),
                     shown(text.substr(slash)), example);
  }
  const auto split = split_port(text, text, AddressUse::server);
  const auto* parts = std::get_if<HostPort>(&split);
  if (parts == nullptr) return std::get<Complaint>(split);
  const auto address = parse_address(parts->host, text, AddressUse::server);
  if (const auto* wrong = std::get_if<Complaint>(&address)) return *wrong;
  ServerPorts server{.endpoint = {.address = std::get<Address>(address), .port = 0}};
  if (!parts->port) return server;
  if (auto wrong = read_ports(*parts->port, text, server)) return std::move(*wrong);
  return server;
}

Parsed<Listener> parse_listener(std::string_view text) {
  const auto example = words(AddressUse::listener).ipv4;
  const auto slash = text.find("://") == std::string_view::npos ? text.rfind('/') : std::string_view::npos;
  const std::string_view body = text.substr(0, slash);
  const auto split = split_port(body, text, AddressUse::listener);
  const auto* parts = std::get_if<HostPort>(&split);
  if (parts == nullptr) return std::get<Complaint>(split);
  const auto address = parse_address(parts->host, text, AddressUse::listener);
  if (const auto* wrong = std::get_if<Complaint>(&address)) return *wrong;
  if (slash == std::string_view::npos) return complaint("{} does not say its protocol: write it like \"{}\"", shown(text), example);
  const auto protocol = parse_protocol(text.substr(slash + 1));
  if (!protocol) return wrong_protocol(text.substr(slash + 1), text);
  if (!parts->port) return complaint("{} does not say its port: write it like \"{}\"", shown(text), example);
  Listener listener{.address = std::get<Address>(address), .protocol = *protocol, .text = std::string{text}};
  if (auto wrong = read_ports(*parts->port, listener)) return std::move(*wrong);
  return listener;
}

} // namespace hanat::config
