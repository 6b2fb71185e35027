// The doctor's callers.
#include "daemon/examinations.hpp"

#include <utility>
#include <vector>

#include "daemon/control/diagnosis.hpp"

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

} // namespace

Examinations::Examinations(uv_loop_t* loop, const std::string& table, Controller& controller)
    : controller_(controller), tracing_(loop, table), doctor_(loop, options_of(table, tracing_)),
      checks_(
          loop, table, doctor_, [this] { return checks_of(controller_.registry()); },
          [](const std::string&, const std::vector<Finding>&) {}) {}

} // namespace hanat
