// Entry by entry.
#include "cli/listening.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "daemon/util/escape.hpp"

namespace hanat::cli {
namespace {

const ListenStatus* find_interface(const ServiceStatus& service, const std::string& listen) {
  const auto found = std::ranges::find(service.interfaces, listen, &ListenStatus::listen);
  return found == service.interfaces.end() ? nullptr : &*found;
}

/// " gone, held for 1.4 s"; empty: it is there.
std::string gone(const ListenStatus& interface, const std::string& address) {
  const auto held = std::ranges::find(interface.held, address, &HeldAddress::address);
  return held == interface.held.end() ? "" : fmt::format(" gone, held for {:.1f} s", held->left_s);
}

} // namespace

std::string listening_on(const ServiceStatus& service) {
  constexpr std::size_t shown_at_most = 4; // addresses of an interface
  std::string text;
  for (const std::string& listen : service.listen) {
    text += (text.empty() ? "" : ", ") + escaped(listen);
    const ListenStatus* const interface = find_interface(service, listen);
    if (interface == nullptr) continue;
    std::string addresses;
    for (std::size_t index = 0; index < std::min(interface->addresses.size(), shown_at_most); ++index)
      addresses += (index == 0 ? "" : ", ") + escaped(interface->addresses[index]) + gone(*interface, interface->addresses[index]);
    if (interface->addresses.size() > shown_at_most) addresses += fmt::format(" and {} more", interface->addresses.size() - shown_at_most);
    text += fmt::format(" ({})", addresses.empty() ? "nowhere at the moment" : addresses);
  }
  return text;
}

bool listens_nowhere(const ServiceStatus& service) {
  return !service.interfaces.empty() && service.interfaces.size() == service.listen.size() &&
         std::ranges::all_of(service.interfaces, [](const ListenStatus& listener) { return listener.addresses.empty(); });
}

void add_listen_notices(const ServiceStatus& service, std::vector<Notice>& notices) {
  const bool nowhere = listens_nowhere(service);
  for (const ListenStatus& listener : service.interfaces) {
    for (const HeldAddress& held : listener.held)
      notices.push_back({false, fmt::format("{} is gone from {}: held for {:.1f} s, then its connections are cut", escaped(held.address),
                                            escaped(listener.interface), held.left_s)});
    if (listener.problems.empty()) continue;
    std::vector<std::string> problems;
    problems.reserve(listener.problems.size());
    for (const std::string& problem : listener.problems) problems.push_back(escaped(problem));
    const std::string text = fmt::format("{}", fmt::join(problems, "; "));
    if (nowhere)
      notices.push_back({true,
                         fmt::format("it listens nowhere: {}. To see the interface:", text),
                         {fmt::format("ip address show dev {}", escaped(listener.interface))}});
    else
      notices.push_back({listener.addresses.empty(), fmt::format("it does not listen on all of {}: {}", escaped(listener.listen), text)});
  }
}

} // namespace hanat::cli
