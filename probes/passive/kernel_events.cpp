// Text of the kinds of event; makes the sources.
#include "probes/passive/kernel_events.hpp"

#include <system_error>

#include "probes/passive/nflog_reader.hpp"
#include "probes/passive/route_monitor.hpp"

namespace hanat::probes {

std::string_view to_text(KernelEventKind kind) {
  switch (kind) {
  case KernelEventKind::refused: return "refused";
  case KernelEventKind::unanswered: return "unanswered";
  case KernelEventKind::unreachable: return "unreachable";
  case KernelEventKind::undelivered: return "undelivered";
  case KernelEventKind::unacknowledged: return "unacknowledged";
  case KernelEventKind::answered: return "answered";
  case KernelEventKind::reconnect: return "reconnect";
  case KernelEventKind::opened: return "opened";
  case KernelEventKind::served: return "served";
  case KernelEventKind::pending: return "pending";
  case KernelEventKind::unaccepted: return "unaccepted";
  case KernelEventKind::carrier_lost: return "carrier-lost";
  case KernelEventKind::route_gone: return "route-gone";
  case KernelEventKind::address_gone: return "address-gone";
  case KernelEventKind::neighbour_failed: return "neighbour-failed";
  }
  return "?";
}

bool is_of_sample(KernelEventKind kind) {
  return kind == KernelEventKind::opened || kind == KernelEventKind::served || kind == KernelEventKind::pending ||
         kind == KernelEventKind::unaccepted;
}

KernelEvents::KernelEvents(uv_loop_t* loop, OnKernelEvent on_event) : KernelEvents(loop, std::move(on_event), Options{}) {}

KernelEvents::KernelEvents(uv_loop_t* loop, OnKernelEvent on_event, Options options)
    : routes_(std::make_unique<RouteMonitor>(loop, on_event,
                                             RouteMonitor::Options{.mark = options.mark, .buffer_bytes = options.routes_buffer})) {
  try {
    nflog_ = std::make_unique<NflogReader>(loop, std::move(on_event), options.nflog_buffer);
  } catch (const std::system_error& error) {
    nflog_failure_ = error.what();
  }
}

KernelEvents::~KernelEvents() = default;

} // namespace hanat::probes
