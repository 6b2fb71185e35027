// Compares the addresses of before with those of now.
#include "daemon/links/name_link.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "daemon/report/make_event.hpp"

namespace hanat {
namespace {

std::string addresses_of(const ServerConfig& server) {
  std::vector<std::string> texts;
  texts.reserve(server.addresses.size());
  for (const Endpoint& address : server.addresses) texts.push_back(address.address.text());
  return fmt::format("{}", fmt::join(texts, ", "));
}

std::string record_of(const NameQuery& query) { return query.family == Family::ipv4 ? "A" : "AAAA"; }

/// What has happened to one server; nullopt: nothing that is worth a word.
std::optional<Event> event_of(const ServiceConfig& service, const ServerConfig& before, const ServerConfig& after, bool has_traffic) {
  if (before.addresses == after.addresses) return std::nullopt;
  return events::make(
      service.name,
      events::NameChanged{.server = {.role = after.role, .address = after.addresses.empty() ? Endpoint{} : after.addresses.front()},
                          .name = after.host ? after.host->name : "",
                          .before = addresses_of(before),
                          .after = addresses_of(after),
                          .has_traffic = has_traffic && !before.addresses.empty()});
}

} // namespace

NameLink::NameLink(uv_loop_t* loop, Controller& controller, Publish publish)
    : controller_(controller), publish_(std::move(publish)),
      names_(loop, {.changed = [this] { changed(); },
                    .fails = [this](const NameQuery& query, const NameRecord& record) { fails(query, record); },
                    .recovers = [this](const NameQuery& query, const NameRecord& record) { recovers(query, record); }}),
      look_ups_(loop) {}

std::shared_ptr<const Config> NameLink::start(std::shared_ptr<const Config> config, const std::vector<SavedName>& saved) {
  names_.restore(saved);
  return follow(std::move(config));
}

std::shared_ptr<const Config> NameLink::follow(std::shared_ptr<const Config> config) {
  names_.configure(*config);
  if (names_.failing_by_resolver() == 0) resolver_failed_ = false; // those that failed are gone
  return refill(std::move(config));
}

std::shared_ptr<const Config> NameLink::refill(std::shared_ptr<const Config> config) {
  config_ = std::move(config);
  filled_ = names_.fill(config_);
  auto filled = filled_;
  if (!has_names(*config_)) config_ = filled_ = std::make_shared<const Config>(); // nothing of it will be looked at
  return filled;
}

/// Both have the same services, with the same servers.
void NameLink::changed() {
  const auto next = names_.fill(config_);
  std::vector<Event> why;
  bool differs = false;
  for (std::size_t place = 0; place < next->services.size(); ++place) {
    const ServiceConfig &before = filled_->services[place], &after = next->services[place];
    const ServiceState* const state = controller_.registry().find(after.name);
    for (std::size_t server = 0; server < after.servers.size(); ++server) {
      if (before.servers[server] == after.servers[server]) continue;
      differs = true;
      const bool has_traffic = state != nullptr && !state->shadow && state->current == std::optional{server};
      if (auto event = event_of(after, before.servers[server], after.servers[server], has_traffic)) why.push_back(std::move(*event));
    }
  }
  if (!differs) return;
  filled_ = next;
  const bool moved = !why.empty();
  controller_.reload({.next = filled_, .why = std::move(why), .addresses_only = true});
  if (moved && on_change) on_change();
}

/// A resolver that fails, fails for all names: that is said once.
void NameLink::fails(const NameQuery& query, const NameRecord& record) {
  const LookupFailure failure = record.failure.value_or(LookupFailure{});
  if (failure.is_of_resolver && std::exchange(resolver_failed_, true)) return;
  const NameRecord* const other = names_.find({.name = query.name, .family = query.family == Family::ipv4 ? Family::ipv6 : Family::ipv4});
  publish_(events::NameFails{.name = query.name,
                             .record = record_of(query),
                             .error = failure.text,
                             .kept = record.address ? record.address->text() : "",
                             .other = other != nullptr && other->address ? other->address->text() : "",
                             .resolver = failure.is_of_resolver});
}

void NameLink::recovers(const NameQuery& query, const NameRecord& record) {
  const bool resolver = resolver_failed_ && names_.failing_by_resolver() == 0;
  if (resolver_failed_ && !resolver) return;
  resolver_failed_ = false;
  publish_(events::NameResolves{
      .name = query.name, .record = record_of(query), .address = record.address ? record.address->text() : "", .resolver = resolver});
}

void NameLink::add_to(ServiceStatus& status, const ServiceConfig& config) const {
  for (std::size_t place = 0; place < std::min(status.servers.size(), config.servers.size()); ++place) {
    const auto& host = config.servers[place].host;
    if (!host) continue;
    NameStatus& name = status.servers[place].name.emplace();
    name.name = to_text(*host);
    name.state = host->lookup == Lookup::pending ? "pending" : host->lookup == Lookup::failed ? "failed" : "resolved";
    for (const Family family : families_of(config)) {
      const NameRecord* const record = names_.find({.name = host->name, .family = family});
      if (record == nullptr) continue;
      if (record->answered) name.answered = std::max(name.answered.value_or(""), to_text(*record->answered));
      for (const Address& other : record->others) name.others.push_back(other.text());
      if (!record->failure || name.error) continue;
      name.error = record->failure->text;
      name.failing_since = to_text(record->failing_since);
    }
    if (host->lookup != Lookup::failed) continue;
    if (!name.error)
      name.error = name.answered ? "its address is that of another server, or of a listener of this gateway" : "no answer yet";
    LastResult& last = status.servers[place].last.emplace();
    last = {.outcome = std::string{to_text(probes::Outcome::fail)}, .reason = "not-resolved", .detail = *name.error};
    if (const auto since = name.failing_since ? parse_wall_time(*name.failing_since) : std::nullopt)
      last.age_s = std::max(0.0, std::chrono::duration<double>(wall_now() - *since).count());
  }
}

} // namespace hanat
