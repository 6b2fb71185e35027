// Parses the names of interfaces, on whose addresses a service may listen.
// Not here: the rest of a listener (parse_address), which addresses an interface has (daemon/interfaces).
#include <algorithm>
#include <cstddef>

#include <fmt/format.h>

#include "daemon/config/parse_values.hpp"

namespace hanat::config {
namespace {

constexpr std::size_t longest_interface = 15; // IFNAMSIZ of Linux, without its NUL

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_of_name(char c) { return is_letter(c) || is_digit(c) || c == '.' || c == '-' || c == '_'; }

/// "www.example.net": behind a dot a name of an interface has a number, that of its VLAN ("eth0.100").
bool is_of_dns(std::string_view name) {
  for (std::size_t dot = name.find('.'); dot != std::string_view::npos; dot = name.find('.', dot + 1)) {
    const std::string_view part = name.substr(dot + 1, name.find('.', dot + 1) - dot - 1);
    if (part.empty() || !std::ranges::all_of(part, is_digit)) return true;
  }
  return false;
}

struct FamilyPrefix {
  std::string_view text;
  Family family;
};
constexpr FamilyPrefix prefixes[] = {{.text = "ipv4@", .family = Family::ipv4}, {.text = "ipv6@", .family = Family::ipv6}};

} // namespace

std::optional<Error> label_error(std::string_view text) {
  const auto colon = text.find(':');
  const std::string_view name = text.substr(0, colon);
  if (colon == std::string_view::npos || name.empty() || name.starts_with('[') || Address::parse(text.substr(0, text.rfind(':'))))
    return std::nullopt;
  const std::string_view rest = text.substr(colon + 1);
  const auto next = rest.find(':');
  const bool is_name = std::ranges::all_of(name, is_of_name) && !std::ranges::all_of(name, [](char c) { // "db8" may be of an address
                         return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
                       });
  if (!is_name || next == std::string_view::npos || next == 0 || !std::ranges::all_of(rest.substr(0, next), is_digit)) return std::nullopt;
  return error(
      "{} has {}, the label of an address, in place of an interface: write \"{}{}\" for all addresses of {}, or the one address, as "
      "in \"203.0.113.10{}\"",
      shown(text), shown(text.substr(0, colon + 1 + next)), name, rest.substr(next), name, rest.substr(next));
}

std::optional<Parsed<InterfaceName>> parse_interface(std::string_view host, std::string_view text) {
  InterfaceName interface;
  std::string_view name = host;
  for (const auto& [prefix, family] : prefixes)
    if (!interface.family && name.starts_with(prefix)) {
      name.remove_prefix(prefix.size());
      interface.family = family;
    }
  const std::string_view prefix = host.substr(0, host.size() - name.size());
  const std::size_t at = name.find('@');
  const bool fits = std::ranges::any_of(name, is_letter) && name.size() <= longest_interface && std::ranges::all_of(name, is_of_name);
  if (at != std::string_view::npos && at > 0 && name.substr(at + 1).starts_with("if"))
    return error("{} has {} as its interface, as ip shows it: its name is what stands before the \"@\", so write {}", shown(text),
                 shown(name), shown(fmt::format("{}{}", prefix, name.substr(0, at))));
  if (at != std::string_view::npos && at > 0)
    return error("{} has {} before its interface: write \"ipv4@\" or \"ipv6@\" for one family, or nothing, as in \"eth0:443/tcp\"",
                 shown(text), shown(name.substr(0, at + 1)));
  if (interface.family && (Address::parse(name) || name.starts_with('[')))
    return error("{} has {} before an address, which says itself of which family it is: remove it", shown(text), shown(prefix));
  if (interface.family && !fits)
    return error("{} has {} as its interface: write the name of one, of at most 15 characters, as in \"{}eth0:443/tcp\"", shown(text),
                 shown(name), prefix);
  if (!fits || (!interface.family && is_of_dns(name))) return std::nullopt;
  interface.name = std::string{name};
  return interface;
}

} // namespace hanat::config
