// Puts them together.
#include "daemon/control/examinations.hpp"

#include <system_error>

#include <fmt/format.h>

#include "daemon/control/diagnosis.hpp"
#include "daemon/doctor/client_link.hpp"

namespace hanat {
namespace {

Doctor::Options options_of(const std::string& table, RuleTracing& tracing) {
  return {.table = table, .tracing = &tracing, .check_rules = [table](const std::vector<ServiceCheck>& services) {
            return check_foreign_rules(services, table);
          }};
}

std::vector<ServiceCheck> checks_of(const ServiceRegistry& registry) {
  std::vector<ServiceCheck> checks;
  for (const auto& service : registry.services())
    if (!service->removed) checks.push_back(check_of(*service));
  return checks;
}

void remove_old_links(const std::string& table, const std::function<void(const std::string&)>& on_warning) try {
  remove_old_client_links(table);
} catch (const std::system_error& error) {
  on_warning(fmt::format("the veth pair of an earlier hanatd is still there: {}", error.what()));
}

} // namespace

Examinations::Examinations(uv_loop_t* loop, const std::string& table, const ServiceRegistry& registry, PathChecks::Found found,
                           const std::function<void(const std::string&)>& on_warning)
    : tracing_(loop, table), doctor_(loop, options_of(table, tracing_)),
      path_checks_(
          loop, table, doctor_, [&registry] { return checks_of(registry); }, std::move(found)) {
  remove_old_links(table, on_warning);
}

} // namespace hanat
