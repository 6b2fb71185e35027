// Compares the addresses of before with those of now.
#include "daemon/links/interface_link.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <iterator>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "daemon/report/make_event.hpp"

namespace hanat {
namespace {

// An address that is replaced is a removal and an addition, of both families perhaps: one reload. A tenth of what is noticed.
constexpr std::uint64_t changes_together_ms = 10;

// Interfaces whose packets may come to the flowtable: a list of more does not fit every message of the kernel.
constexpr std::size_t offloaded_at_most = 256;

std::string list_of(const std::vector<Address>& addresses) {
  std::vector<std::string> texts;
  texts.reserve(addresses.size());
  for (const Address& address : addresses) texts.push_back(address.text());
  return fmt::format("{}", fmt::join(texts, ", "));
}

std::vector<Address> without(const std::vector<Address>& addresses, const std::vector<Address>& others) {
  std::vector<Address> left;
  std::ranges::set_difference(addresses, others, std::back_inserter(left));
  return left;
}

/// Of the families that services listen in.
std::vector<Address> listened_on(const std::map<std::string, std::vector<ListenState>>& services, const std::string& interface) {
  std::set<Address> all;
  for (const auto& [name, entries] : services)
    for (const ListenState& entry : entries)
      if (entry.interface == interface) all.insert(entry.addresses.begin(), entry.addresses.end());
  return {all.begin(), all.end()};
}

/// Both are of the same file.
bool listens_elsewhere(const Config& before, const Config& after) {
  return !std::ranges::equal(before.services, after.services, {}, &ServiceConfig::listen, &ServiceConfig::listen);
}

/// Those that a service did not have before.
void add_overlaps(std::vector<Event>& events, const FilledListen& before, const FilledListen& after) {
  for (const auto& [service, entries] : after.services) {
    const auto known = before.services.find(service);
    for (const ListenState& entry : entries)
      for (const std::string& overlap : entry.overlaps) {
        const auto had = [&](const ListenState& old) {
          return old.text == entry.text && std::ranges::find(old.overlaps, overlap) != old.overlaps.end();
        };
        if (known != before.services.end() && std::ranges::any_of(known->second, had)) continue;
        events.push_back(
            events::make(service, events::ListenOverlaps{.listen = entry.text, .interface = entry.interface, .overlap = overlap}));
      }
  }
}

std::string absent_of(const std::map<std::string, std::vector<ListenState>>& services, const std::string& interface) {
  std::set<std::string> all;
  for (const auto& [name, entries] : services)
    for (const ListenState& entry : entries)
      if (entry.interface == interface) all.insert(entry.absent.begin(), entry.absent.end());
  return fmt::format("{}", fmt::join(all, "; "));
}

} // namespace

InterfaceLink::InterfaceLink(uv_loop_t* loop, Controller& controller, NameLink& names, Publish publish)
    : controller_(controller), names_(names), publish_(std::move(publish)), together_(make_timer(loop, this)),
      held_(make_timer(loop, this)), monitor_(loop, [this] { wait_for_more(); }) {}

InterfaceLink::Effective InterfaceLink::look() {
  Effective effective;
  const Time now = Clock::now();
  const auto names = interfaces_of(*config_);
  hold_.keep_only(names);
  for (const std::string& name : names) effective.emplace(name, hold_.hold(name, monitor_.table().find(name), now));
  wake_up();
  return effective;
}

std::shared_ptr<const Config> InterfaceLink::follow(std::shared_ptr<const Config> config) {
  const FilledListen before = std::exchange(filled_, {});
  config_ = std::move(config);
  controller_.upkeep.offload.set_interfaces(monitor_.table().names(offloaded_at_most));
  interfaces_ = look();
  filled_ = fill_listen(config_, [this](const std::string& name) { return interfaces_.at(name); });
  for (const auto& [name, there] : interfaces_) {
    const std::string absent = absent_of(filled_.services, name);
    if (absent.empty() || absent == absent_of(before.services, name)) continue;
    std::size_t count = 0;
    const std::string services = services_of(name, count);
    publish_(events::make({}, events::InterfaceChanged{.interface = name,
                                                       .come = {},
                                                       .gone = {},
                                                       .all = list_of(listened_on(filled_.services, name)),
                                                       .absent = absent,
                                                       .services = services,
                                                       .several = count > 1}));
  }
  std::vector<Event> overlaps;
  add_overlaps(overlaps, before, filled_);
  for (const Event& event : overlaps) publish_(event);
  tell_held();
  auto filled = filled_.config;
  if (interfaces_.empty()) config_ = filled_.config = std::make_shared<const Config>(); // nothing of it will be looked at
  return filled;
}

std::shared_ptr<const Config> InterfaceLink::fill(const std::shared_ptr<const Config>& config) const {
  return fill_listen(config,
                     [this](const std::string& name) {
                       const auto known = interfaces_.find(name); // with what is held
                       return known != interfaces_.end() ? known->second : monitor_.table().find(name);
                     })
      .config;
}

void InterfaceLink::wait_for_more() {
  if (!config_ || uv_is_active(reinterpret_cast<uv_handle_t*>(together_.get())) != 0) return;
  uv_timer_start(
      together_.get(), [](uv_timer_t* timer) { static_cast<InterfaceLink*>(timer->data)->changed(); }, changes_together_ms, 0);
}

void InterfaceLink::wake_up() {
  if (const auto next = hold_.next_wakeup())
    probes::start_at(*held_, *next, [](uv_timer_t* timer) { static_cast<InterfaceLink*>(timer->data)->changed(); });
  else
    uv_timer_stop(held_.get());
}

void InterfaceLink::changed() {
  controller_.upkeep.offload.set_interfaces(monitor_.table().names(offloaded_at_most));
  Effective next = look();
  tell_held();
  if (next == interfaces_) return;
  FilledListen filled = fill_listen(config_, [&next](const std::string& name) { return next.at(name); });
  std::vector<Event> why = events_of(next, filled);
  const bool differs = listens_elsewhere(*filled_.config, *filled.config);
  interfaces_ = std::move(next);
  filled_ = std::move(filled);
  if (differs) return controller_.reload({.next = names_.refill(filled_.config), .why = std::move(why), .addresses_only = true});
  for (const Event& event : why) publish_(event);
}

/// That addresses are gone, and that they are back. One whose time is over is told by what follows from it.
void InterfaceLink::tell_held() {
  std::map<std::string, std::set<Address>> now;
  for (const std::string& name : interfaces_of(*config_)) {
    const std::vector<Address> listened = listened_on(filled_.services, name), there = monitor_.table().find(name).addresses;
    const std::set<Address>& before = told_gone_[name];
    std::vector<Address> gone, back;
    for (const Address& address : listened) {
      const bool was = before.contains(address), is = hold_.held(name).contains(address);
      if (is) now[name].insert(address);
      if (is && !was) gone.push_back(address);
      if (was && !is && std::ranges::find(there, address) != there.end()) back.push_back(address);
    }
    std::size_t count = 0;
    const std::string services = services_of(name, count);
    for (const auto* const addresses : {&gone, &back})
      if (!addresses->empty())
        publish_(events::make(
            count == 1 ? services : std::string{},
            events::AddressHeld{.interface = name, .addresses = list_of(*addresses), .held = address_hold, .back = addresses == &back}));
  }
  told_gone_ = std::move(now);
}

/// One for each interface, however many services listen on it; of the only one of an interface it is the service's.
std::vector<Event> InterfaceLink::events_of(const Effective& next, const FilledListen& filled) const {
  std::vector<Event> events;
  for (const auto& [name, there] : next) {
    const std::vector<Address> before = listened_on(filled_.services, name), after = listened_on(filled.services, name);
    if (before == after) continue;
    std::size_t count = 0;
    const std::string services = services_of(name, count);
    events.push_back(
        events::make(count == 1 ? services : std::string{}, events::InterfaceChanged{.interface = name,
                                                                                     .come = list_of(without(after, before)),
                                                                                     .gone = list_of(without(before, after)),
                                                                                     .all = list_of(after),
                                                                                     .absent = absent_of(filled.services, name),
                                                                                     .services = count == 1 ? "it" : services,
                                                                                     .several = count > 1}));
  }
  add_overlaps(events, filled_, filled);
  return events;
}

/// "web and 2 other services"
std::string InterfaceLink::services_of(const std::string& interface, std::size_t& count) const {
  std::string first;
  for (const ServiceConfig& service : config_->services)
    if (std::ranges::find(service.interfaces, interface, &InterfaceListener::interface) != service.interfaces.end() && ++count == 1)
      first = service.name;
  if (count <= 1) return first;
  return fmt::format("{} and {} other service{}", first, count - 1, count == 2 ? "" : "s");
}

void InterfaceLink::add_to(ServiceStatus& status) const {
  const auto found = filled_.services.find(status.name);
  if (found == filled_.services.end()) return;
  for (const ListenState& entry : found->second) {
    ListenStatus& listener =
        status.interfaces.emplace_back(ListenStatus{.listen = entry.text, .interface = entry.interface, .addresses = {}});
    for (const Address& address : entry.addresses) {
      listener.addresses.push_back(address.text());
      const auto& held = hold_.held(entry.interface);
      if (const auto until = held.find(address); until != held.end())
        listener.held.push_back(
            {.address = address.text(), .left_s = std::max(0.0, std::chrono::duration<double>(until->second - Clock::now()).count())});
    }
    listener.problems = entry.absent;
    listener.problems.insert(listener.problems.end(), entry.overlaps.begin(), entry.overlaps.end());
  }
}

std::vector<Finding> InterfaceLink::findings(const std::string& service) const {
  std::vector<Finding> all;
  const auto found = filled_.services.find(service);
  if (found == filled_.services.end()) return all;
  for (const ListenState& entry : found->second) {
    for (const std::string& absent : entry.absent)
      all.push_back({.severity = entry.addresses.empty() ? Severity::problem : Severity::warning,
                     .code = "interface-without-address",
                     .service = service,
                     .what = fmt::format("{}: it does not listen there ({})", absent, entry.text),
                     .remedy = fmt::format("ip address show dev {}", entry.interface),
                     .seen_by = {}});
    for (const std::string& overlap : entry.overlaps)
      all.push_back({.severity = Severity::problem,
                     .code = "listen-overlaps",
                     .service = service,
                     .what = fmt::format("it does not listen on all of {}: {}", entry.text, overlap),
                     .remedy = "give each port to one service, and servers addresses of their own, then: hanatctl reload",
                     .seen_by = {}});
  }
  return all;
}

} // namespace hanat
