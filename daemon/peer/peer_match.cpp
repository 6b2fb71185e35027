// Services by name, servers by address.
#include "daemon/peer/peer_match.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "daemon/decision/find_server.hpp"
#include "daemon/decision/reconfiguration.hpp"
#include "daemon/peer/make_peer_service.hpp"

namespace hanat {
namespace {

std::string addresses_of(const PeerServer& server) {
  std::vector<std::string> texts;
  texts.reserve(server.addresses.size());
  for (const Endpoint& address : server.addresses) texts.push_back(to_text(address));
  return fmt::format("{}", fmt::join(texts, ", "));
}
std::string named(const std::optional<PeerServer>& server) {
  return server ? fmt::format("{} ({})", server->role, addresses_of(*server)) : "no server";
}

void compare_servers(const PeerService& here, const PeerService& there, std::vector<std::string>& texts) {
  const auto has = [](const PeerService& service, const PeerServer& server) {
    return std::ranges::find(service.servers, server.addresses, &PeerServer::addresses) != service.servers.end();
  };
  const std::size_t before = texts.size();
  for (const PeerServer& server : there.servers)
    if (!has(here, server))
      texts.push_back(fmt::format("service {}: the peer has the server {}, and this gateway has not", here.name, addresses_of(server)));
  for (const PeerServer& server : here.servers)
    if (!has(there, server))
      texts.push_back(fmt::format("service {}: this gateway has the server {}, and the peer has not", here.name, addresses_of(server)));
  if (texts.size() == before && here.servers != there.servers)
    texts.push_back(fmt::format("service {}: the gateways have its servers in another order", here.name));
}

void compare_listeners(const PeerService& here, const PeerService& there, std::vector<std::string>& texts) {
  std::vector<std::string> only_here, only_there;
  std::ranges::set_difference(here.listen, there.listen, std::back_inserter(only_here));
  std::ranges::set_difference(there.listen, here.listen, std::back_inserter(only_there));
  static constexpr std::size_t named_at_most = 3;
  const auto shown = [](const std::vector<std::string>& all) {
    const std::vector<std::string> first(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(std::min(all.size(), named_at_most)));
    const std::string rest = all.size() > named_at_most ? fmt::format(" and {} more", all.size() - named_at_most) : "";
    return fmt::format("{}{}", fmt::join(first, ", "), rest);
  };
  if (!only_there.empty())
    texts.push_back(fmt::format("service {}: the peer listens on {}, and this gateway does not", here.name, shown(only_there)));
  if (!only_here.empty())
    texts.push_back(fmt::format("service {}: this gateway listens on {}, and the peer does not", here.name, shown(only_here)));
}

std::optional<std::string> compare_targets(const ServiceState& here, const PeerService& there, bool follows) {
  if (!there.target) {
    if (!here.current) return std::nullopt;
    return fmt::format("service {}: no server has the traffic on the peer, and {} has it here", there.name, target_name(here));
  }
  const auto server = find_peer_server(here, *there.target);
  if (!server)
    return fmt::format("service {}: its traffic goes to {} on the peer, which is no server of it here", there.name, named(there.target));
  const Health health = candidate(here.servers[*server]).health;
  if (follows && health == Health::down)
    return fmt::format("service {}: its traffic goes to {} on the peer, and that server is down by the probes of this gateway", there.name,
                       named(there.target));
  if (here.current == server) return std::nullopt;
  return fmt::format("service {}: its traffic goes to {} on the peer, and to {} here", there.name, named(there.target), target_name(here));
}

std::vector<std::string> first_texts(std::vector<std::string> texts, std::size_t total) {
  if (total > texts.size()) texts.push_back(fmt::format("and {} more", total - texts.size()));
  return texts;
}

} // namespace

std::optional<std::size_t> find_peer_server(const ServiceState& service, const PeerServer& server) {
  const auto found = find_by_endpoint(service.config->servers, server.addresses);
  return found && *found < service.servers.size() ? found : std::nullopt;
}

PeerDifference compare_services(const ServiceState* here, const PeerService* there, bool follows) {
  PeerDifference difference;
  if (here == nullptr && there == nullptr) return difference;
  if (here == nullptr) {
    difference.config.push_back(fmt::format("service {}: the peer has it, and this gateway has not", there->name));
    return difference;
  }
  if (there == nullptr) {
    difference.config.push_back(fmt::format("service {}: this gateway has it, and the peer has not", here->config->name));
    return difference;
  }
  const PeerService own = make_peer_service(*here);
  compare_listeners(own, *there, difference.config);
  compare_servers(own, *there, difference.config);
  if (own.group != there->group) {
    const auto group = [](const std::string& name) { return name.empty() ? std::string{"none"} : name; };
    difference.config.push_back(
        fmt::format("service {}: its group is {} on the peer, and {} here", own.name, group(there->group), group(own.group)));
  }
  difference.state = compare_targets(*here, *there, follows);
  return difference;
}

std::set<std::string> PeerView::add(const PeerPage& page) {
  std::set<std::string> names;
  if (page.whole) {
    names = this->names();
    clear();
  }
  for (const PeerService& service : page.services) {
    services_.insert_or_assign(service.name, service);
    names.insert(service.name);
  }
  for (const std::string& name : page.removed) {
    services_.erase(name);
    names.insert(name);
  }
  complete_ = !page.more;
  return names;
}

std::set<std::string> PeerView::names() const {
  std::set<std::string> names;
  for (const auto& [name, service] : services_) names.insert(name);
  return names;
}

void PeerView::clear() {
  services_.clear();
  differences_.clear();
  complete_ = false;
}

const PeerService* PeerView::find(const std::string& name) const {
  const auto found = services_.find(name);
  return found == services_.end() ? nullptr : &found->second;
}

void PeerView::set_difference(const std::string& name, PeerDifference difference) {
  if (difference == PeerDifference{})
    differences_.erase(name);
  else
    differences_[name] = std::move(difference);
}

std::vector<std::string> PeerView::config_texts(std::size_t at_most) const {
  std::vector<std::string> texts;
  std::size_t total = 0;
  for (const auto& [name, difference] : differences_)
    for (const std::string& text : difference.config)
      if (++total <= at_most) texts.push_back(text);
  return first_texts(std::move(texts), total);
}

std::size_t PeerView::config_count() const {
  std::size_t count = 0;
  for (const auto& [name, difference] : differences_) count += difference.config.size();
  return count;
}

std::vector<std::string> PeerView::state_texts(std::size_t at_most) const {
  std::vector<std::string> texts;
  std::size_t total = 0;
  for (const auto& [name, difference] : differences_)
    if (difference.state && ++total <= at_most) texts.push_back(*difference.state);
  return first_texts(std::move(texts), total);
}

} // namespace hanat
