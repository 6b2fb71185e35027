// The words of signals, and the house of their sources.
#include "probes/signals.hpp"

#include <system_error>

#include "probes/client_log.hpp"
#include "probes/ways.hpp"

namespace hanat::probes {

std::string_view to_text(SignalKind kind) {
  switch (kind) {
  case SignalKind::refused: return "refused";
  case SignalKind::unanswered: return "unanswered";
  case SignalKind::unreachable: return "unreachable";
  case SignalKind::carrier_lost: return "carrier-lost";
  case SignalKind::route_gone: return "route-gone";
  case SignalKind::address_gone: return "address-gone";
  case SignalKind::neighbour_failed: return "neighbour-failed";
  }
  return "?";
}

Signals::Signals(uv_loop_t* loop, OnSignal on_signal) : Signals(loop, std::move(on_signal), Options{}) {}

Signals::Signals(uv_loop_t* loop, OnSignal on_signal, Options options)
    : ways_(std::make_unique<Ways>(loop, on_signal, Ways::Options{.mark = options.mark, .buffer_bytes = options.ways_buffer})) {
  try {
    client_log_ = std::make_unique<ClientLog>(loop, std::move(on_signal), options.clients_buffer);
  } catch (const std::system_error& error) {
    client_log_failure_ = error.what();
  }
}

Signals::~Signals() = default;

} // namespace hanat::probes
