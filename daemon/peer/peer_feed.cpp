// Serials and the services that have them.
#include "daemon/peer/peer_feed.hpp"

#include <utility>

#include <fmt/format.h>

namespace hanat {
namespace {

constexpr std::size_t most_removed = 4096;                    // names of services that are gone
constexpr std::size_t enough = std::size_t{1} << 20;          // bytes of a page, about
constexpr std::size_t bytes_a_service = 400, bytes_each = 64; // about; each: listener, server, address

std::size_t weight_of(const PeerService& service) {
  const std::size_t parts = service.listen.size() + 2 * service.servers.size() + 2 * service.disabled.size();
  std::size_t texts = service.force ? service.force->reason.size() : 0;
  for (const PeerDisabled& disabled : service.disabled) texts += disabled.reason.size();
  return bytes_a_service + parts * bytes_each + texts;
}

} // namespace

bool PeerFeed::set_role(std::string_view role, Time now) {
  if (role == role_) return false;
  role_ = role;
  role_since_ = now;
  changed(now);
  return true;
}

bool PeerFeed::set_programs(std::string_view conntrackd, std::string_view keepalived, Time now) {
  if (conntrackd == conntrackd_ && keepalived == keepalived_) return false;
  conntrackd_ = conntrackd;
  keepalived_ = keepalived;
  changed(now);
  return true;
}

bool PeerFeed::update(const std::string& name, std::optional<PeerService> service, Time now) {
  Entry& entry = services_[name];
  if (entry.serial != 0 && entry.service == service) return false;
  if (entry.serial == 0 && !service) {
    services_.erase(name);
    return false;
  }
  if (entry.serial != 0) {
    by_serial_.erase(entry.serial);
    if (!entry.service) --removed_;
  }
  changed(now);
  if (!service) ++removed_;
  entry = {.serial = serial_, .service = std::move(service)};
  by_serial_[serial_] = name;
  if (removed_ > most_removed) forget_removed();
  return true;
}

/// Who does not know yet that they are gone has to begin anew.
void PeerFeed::forget_removed() {
  for (auto entry = services_.begin(); entry != services_.end();) {
    if (!entry->second.service) {
      by_serial_.erase(entry->second.serial);
      entry = services_.erase(entry);
    } else {
      ++entry;
    }
  }
  removed_ = 0;
  instance_ = fmt::format("{}.{}", instance_.substr(0, instance_.find('.')), ++generation_);
}

PeerPage PeerFeed::page(std::uint64_t after, std::string_view instance, Time now, WallTime wall) const {
  const bool whole = instance != instance_ || after > serial_;
  if (whole) after = 0;
  PeerPage page{.hanatd = hanatd_,
                .instance = instance_,
                .serial = serial_,
                .whole = whole,
                .role = role_,
                .conntrackd = conntrackd_,
                .keepalived = keepalived_,
                .role_age = std::chrono::duration_cast<std::chrono::milliseconds>(now - role_since_),
                .change_age = std::chrono::duration_cast<std::chrono::milliseconds>(now - changed_at_),
                .clock = wall};
  std::size_t bytes = 0;
  std::uint64_t last = after;
  for (auto entry = by_serial_.upper_bound(after); entry != by_serial_.end(); ++entry) {
    const auto& service = services_.at(entry->second).service;
    bytes += service ? weight_of(*service) : bytes_each;
    const bool full = page.services.size() >= services_a_page || page.removed.size() >= services_a_page || bytes > enough;
    if (full && last != after) {
      page.serial = last;
      page.more = true;
      break;
    }
    last = entry->first;
    if (service)
      page.services.push_back(*service);
    else if (!whole)
      page.removed.push_back(entry->second);
  }
  return page;
}

} // namespace hanat
