// The sentences about flows that stay where they are for a while, and about those that stayed although they should not.
#include "daemon/words.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "daemon/report.hpp"

namespace hanat::words {
namespace {

double tenths(Clock::duration duration) { return std::round(std::chrono::duration<double>(duration).count() * 10) / 10; }

const char* kind_of(const Departure& departure) {
  return departure.mappings.empty() || departure.mappings.front().vip.protocol == Protocol::tcp ? "TCP" : "UDP and SCTP";
}

std::string counted(const Departure& departure) {
  const auto left = departure.drain ? departure.drain->left : std::nullopt;
  return left ? fmt::format("{} flow{}", *left, *left == 1 ? "" : "s") : std::string{"all its flows"};
}

std::string_view end_words(DrainEnd end) {
  switch (end) {
  case DrainEnd::time: return "their time is over";
  case DrainEnd::silent: return "the server answers nothing, and clients would wait for ever";
  case DrainEnd::dead: return "the server is down, and its datagrams would be lost";
  case DrainEnd::no_target: return "no server is fit, and nobody is to be served";
  case DrainEnd::given_up: return "the service or this listener is no longer configured";
  }
  return "?";
}

Event about(const RunningService& service, Level level, std::string text) {
  return {.level = level, .service = service.config.name, .text = std::move(text)};
}

} // namespace

Event drain_begun(const RunningService& service, const Departure& departure) {
  const char* const kind = kind_of(departure);
  if (!departure.drain || !departure.drain->until)
    return about(service, Level::notice, fmt::format("old {} flows of {} are kept where they are until they end", kind, departure.comment));
  return about(service, Level::notice,
               fmt::format("old {} flows of {} drain: what is left of them in {} s is cut", kind, departure.comment,
                           tenths(*departure.drain->until - departure.drain->since)));
}

Event drain_void(const RunningService& service, const Departure& departure) {
  return about(service, Level::notice,
               fmt::format("{} has the traffic again: its old {} flows stay", departure.comment, kind_of(departure)));
}

Event drained(const RunningService& service, const Departure& departure, Time now) {
  const Drain drain = departure.drain.value_or(Drain{});
  Event event = about(service, Level::notice,
                      fmt::format("{} has drained: no old {} flow is left after {} s, {} ended by themselves", departure.comment,
                                  kind_of(departure), tenths(now - drain.since), drain.drained()));
  event.kind = EventKind::cut;
  event.flip = flip_of(service, departure);
  return event;
}

Event drain_ended(const RunningService& service, const Departure& departure, DrainEnd end, Time now) {
  const Drain drain = departure.drain.value_or(Drain{});
  Event event =
      about(service, Level::notice,
            fmt::format("{} of {}, {} over {} s, {} cut now: {}", counted(departure), departure.comment, drain.until ? "drained" : "kept",
                        tenths(now - drain.since), drain.left == 1U ? "is" : "are", end_words(end)));
  event.kind = EventKind::cut;
  event.flip = flip_of(service, departure);
  return event;
}

Event strays(const RunningService& service, const Departure& departure, std::uint64_t number) {
  const bool untranslated = departure.untranslated;
  const bool several = !untranslated && std::ranges::any_of(departure.mappings, [&](const Mapping& mapping) {
    return mapping.server != departure.mappings.front().server;
  });
  const std::string where =
      untranslated ? "past the table, to no server" : fmt::format("to {}", to_text(departure.mappings.front().server));
  Event event = about(service, Level::warning,
                      fmt::format("found {} flow{} that should not be ({}{}): {} cut now", number, number == 1 ? "" : "s", where,
                                  several ? " and others" : "", number == 1 ? "it is" : "they are"));
  event.kind = EventKind::repair;
  return event;
}

} // namespace hanat::words
