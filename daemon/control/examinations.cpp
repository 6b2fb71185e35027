// Puts them together.
#include "daemon/control/examinations.hpp"

#include <system_error>

#include <fmt/format.h>

#include "daemon/control/diagnosis.hpp"
#include "daemon/doctor/client_link.hpp"

namespace hanat {
namespace {

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

Examinations::Examinations(uv_loop_t* loop, Doctor::Options options, const ServiceRegistry& registry, PathChecks::Found found,
                           const std::function<void(const std::string&)>& on_warning)
    : doctor_(loop, options), path_checks_(
                                  loop, options.table, doctor_, [&registry] { return checks_of(registry); }, std::move(found)) {
  remove_old_links(options.table, on_warning);
}

} // namespace hanat
