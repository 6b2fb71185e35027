// The words of findings.
#include "daemon/doctor/finding.hpp"

namespace hanat {

std::string_view to_text(Severity severity) {
  switch (severity) {
  case Severity::note: return "note";
  case Severity::warning: return "warning";
  case Severity::problem: return "problem";
  }
  return {};
}

} // namespace hanat
