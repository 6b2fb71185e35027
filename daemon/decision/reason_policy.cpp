// The table, row by row.
#include "daemon/decision/reason_policy.hpp"

namespace hanat {
namespace {

constexpr ReasonPolicy row_works{.new_flows = NewFlows::stay, .standing = StandingFlows::stay, .contact = Contact::answered};
constexpr ReasonPolicy row_full{.new_flows = NewFlows::prefer_others, .standing = StandingFlows::stay, .contact = Contact::answered};
/// The machine answers and the service does not, or not as it should: its flows may still end in order.
constexpr ReasonPolicy row_wrong{.new_flows = NewFlows::elsewhere, .standing = StandingFlows::by_policy, .contact = Contact::answered};
constexpr ReasonPolicy row_warns{
    .new_flows = NewFlows::elsewhere, .standing = StandingFlows::by_policy, .contact = Contact::answered, .warns = true};
constexpr ReasonPolicy row_silent{.new_flows = NewFlows::elsewhere, .standing = StandingFlows::never_drain, .contact = Contact::silent};
constexpr ReasonPolicy row_no_path{.new_flows = NewFlows::elsewhere, .standing = StandingFlows::never_drain, .contact = Contact::no_path};
constexpr ReasonPolicy row_nothing{};

} // namespace

ReasonPolicy policy_of(probes::Reason reason) {
  switch (reason) {
  case probes::Reason::connected:
  case probes::Reason::answered: return row_works;
  case probes::Reason::full: return row_full;
  case probes::Reason::refused:
  case probes::Reason::reset:
  case probes::Reason::closed:
  case probes::Reason::wrong_status:
  case probes::Reason::wrong_answer:
  case probes::Reason::garbled:
  case probes::Reason::too_large:
  case probes::Reason::tls_failed: return row_wrong;
  case probes::Reason::certificate_expires:
  case probes::Reason::slow: return row_warns;
  case probes::Reason::timeout:
  case probes::Reason::host_unreachable: return row_silent;
  case probes::Reason::net_unreachable:
  case probes::Reason::no_carrier: return row_no_path;
  case probes::Reason::no_descriptors:
  case probes::Reason::no_buffers:
  case probes::Reason::no_ports:
  case probes::Reason::no_processes:
  case probes::Reason::forbidden:
  case probes::Reason::conntrack_full:
  case probes::Reason::stalled:
  case probes::Reason::local_error: return row_nothing;
  }
  return row_nothing;
}

} // namespace hanat
