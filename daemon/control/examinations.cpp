// Puts them together.
#include "daemon/control/examinations.hpp"

#include <algorithm>
#include <iterator>
#include <set>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "daemon/control/diagnosis.hpp"
#include "daemon/doctor/client_link.hpp"
#include "daemon/doctor/pair_checks.hpp"

namespace hanat {
namespace {

Doctor::Options options_of(const std::string& table, RuleTracing& tracing) {
  return {.table = table, .tracing = &tracing, .check_rules = [table](const std::vector<ServiceCheck>& services) {
            std::vector<Finding> found = check_foreign_rules(services, table);
            if (is_pair(services)) std::ranges::move(check_pair(services, read_pair()), std::back_inserter(found));
            return found;
          }};
}

std::vector<ServiceCheck> checks_of(const ServiceRegistry& registry) {
  std::vector<ServiceCheck> checks;
  for (const auto& service : registry.services())
    if (!service->removed) checks.push_back(check_of(*service));
  return checks;
}

/// Each once.
std::vector<Address> servers_of(const ServiceRegistry& registry) {
  std::set<Address> addresses;
  for (const auto& service : registry.services())
    for (const ServerConfig& server : service->config->servers)
      for (const Endpoint& endpoint : server.addresses) addresses.insert(endpoint.address);
  return {addresses.begin(), addresses.end()};
}

void remove_old_links(const std::string& table, const std::function<void(const std::string&)>& on_warning) try {
  remove_old_client_links(table);
} catch (const std::system_error& error) {
  on_warning(fmt::format("the veth pair of an earlier hanatd is still there: {}", error.what()));
}

} // namespace

Examinations::Examinations(uv_loop_t* loop, const std::string& table, Controller& controller,
                           const std::function<void(const std::string&)>& on_warning, SettingsWatch::OnChange on_setting)
    : controller_(controller), on_warning_(on_warning), tracing_(loop, table), doctor_(loop, options_of(table, tracing_)),
      path_checks_(
          loop, table, doctor_, [this] { return checks_of(controller_.registry()); },
          [this](const std::string& service, std::optional<bool> answered, const std::vector<Finding>& found) {
            controller_.clients.checked(service, answered, causes_in(found, service));
          },
          [on_warning](const std::string& why) { on_warning(fmt::format("path_check cannot be carried out: {}", why)); }),
      settings_(
          loop, [this] { return servers_of(controller_.registry()); }, std::move(on_setting)) {
  remove_old_links(table, on_warning);
  controller_.clients.diagnose = [this](const ServiceState& service, const Endpoint& client, const Vip& vip) {
    diagnose(service, client, vip);
  };
}

Examinations::~Examinations() { controller_.clients.diagnose = {}; }

void Examinations::configure(const PathCheck& check) {
  interval_ = check.interval;
  follow_role();
}

void Examinations::follow_role() {
  const bool standby = controller_.role.machine().role() == Role::standby;
  path_checks_.set_period(standby ? std::nullopt : interval_);
}

void Examinations::diagnose(const ServiceState& service, const Endpoint& client, const Vip& vip) {
  ServiceCheck check = check_of(service);
  check.unanswered = UnansweredClient{client, vip};
  const auto hand_back = [this, name = service.config->name, client](const Diagnosis& diagnosis) {
    note_failure(diagnosis.failure);
    controller_.clients.found(name, examined_in(diagnosis, name, client.address), causes_in(diagnosis.found, name));
  };
  if (doctor_.examine({std::move(check)}, hand_back)) return;
  note_failure("as many examinations as hanatd takes wait already");
  controller_.clients.found(service.config->name, {}, {});
}

void Examinations::note_failure(const std::string& why) {
  if (std::exchange(failure_, why) != why && !why.empty())
    on_warning_(fmt::format("the cause why clients get no answer cannot be looked for: {}", why));
}

} // namespace hanat
