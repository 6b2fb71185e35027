// One function an event.
#include "daemon/words.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "daemon/report.hpp"

namespace hanat::words {
namespace {

std::string address_of(const RunningServer& server) { return to_text(server.addresses.front()); }
std::string named(const RunningServer& server) { return fmt::format("{} ({})", server.role, address_of(server)); }

const RunningQuestion* worst_question(const RunningServer& server) {
  const auto down =
      std::ranges::find(server.questions, Health::down, [](const RunningQuestion& question) { return question.window.health(); });
  if (down != server.questions.end()) return &*down;
  return server.questions.empty() ? nullptr : &server.questions.front();
}

std::string last_answer(const RunningServer& server) {
  const RunningQuestion* question = worst_question(server);
  if (question == nullptr || !question->last) return "no answer yet";
  const auto& answer = *question->last;
  return answer.detail.empty() ? std::string{to_text(answer.reason)} : fmt::format("{} ({})", to_text(answer.reason), answer.detail);
}

double seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

std::string refusal(const Service& service) {
  switch (service.on_none) {
  case OnNone::refuse: return "clients are refused at once";
  case OnNone::drop: return "clients' packets are dropped";
  case OnNone::keep: return "the last target keeps the traffic";
  }
  return {};
}

/// What the kernel does with a service that is not touched.
std::string stands(const RunningService& service) {
  if (service.current) return fmt::format("connections stay on {}", named(service.servers[*service.current]));
  if (!service.loaded.target.empty())
    return fmt::format("connections stay on {}, no server of this configuration", to_text(service.loaded.target.begin()->second.server));
  return service.refused ? "clients stay refused" : "nothing is loaded for it";
}

/// "; group voice moves as one"
std::string fate(const Service& service) { return service.group.empty() ? "" : fmt::format("; group {} moves as one", service.group); }
std::string none_fit(const Service& service) {
  return service.group.empty() ? "no server is fit" : fmt::format("no server is fit for all of group {}", service.group);
}

std::string place(const RunningService& service, const Decision& decision) {
  return decision.place == Place::server ? named(service.servers[decision.server]) : "no server";
}

} // namespace

Event flip(const RunningService& service, const Decision& decision, const Flip& flip) {
  const std::string from = service.current ? named(service.servers[*service.current]) : flip.from == "none" ? "no server" : flip.from;
  std::string text = fmt::format("new connections go from {} to {}: {}; committed in {} us", from, place(service, decision),
                                 to_text(decision.flip_why), flip.commit.count());
  if (decision.place == Place::none) text += fmt::format("; {}: {}", none_fit(service.config), refusal(service.config));
  text += fate(service.config);
  return {.level = decision.place == Place::none ? Level::error : Level::warning,
          .service = service.config.name,
          .text = std::move(text),
          .fields = {{"FROM", flip.from}, {"TO", flip.to}, {"WHY", std::string{to_text(decision.flip_why)}}},
          .kind = EventKind::flip,
          .flip = report(service, flip)};
}

Event first_target(const RunningService& service, const Decision& decision) {
  const bool served = decision.place == Place::server;
  return {.level = served ? Level::notice : Level::error,
          .service = service.config.name,
          .text = served ? fmt::format("connections go to {}", place(service, decision))
                         : fmt::format("{}: {}", none_fit(service.config), refusal(service.config)),
          .fields = {{"TO", served ? service.servers[decision.server].role : "none"}},
          .kind = EventKind::target};
}

Event adopted(const RunningService& service) {
  const std::string what = service.would     ? stands(service) + ", and that is not touched (mode observe)"
                           : service.current ? fmt::format("connections stay on {}", named(service.servers[*service.current]))
                           : service.refused ? std::string{"clients stay refused until a server is fit"}
                           : service.loaded.target.empty()
                               ? std::string{"they have no target; the first fit server takes over"}
                               : std::string{"its old target is no server of this configuration any more; the first fit one takes over"};
  return {.level = Level::notice,
          .service = service.config.name,
          .text = fmt::format("found loaded rules: {}", what),
          .kind = EventKind::target};
}

Event health(const RunningService& service, const RunningServer& server, Time now) {
  if (server.health == Health::up) {
    const RunningQuestion* question = worst_question(server);
    const double latency = question != nullptr && question->last ? seconds(question->last->latency) * 1000 : 0;
    return {.level = Level::notice,
            .service = service.config.name,
            .text = fmt::format("{} is up: {} in {:.1f} ms", named(server), last_answer(server), latency),
            .kind = EventKind::health};
  }
  const RunningQuestion* question = worst_question(server);
  const unsigned fails = question == nullptr ? 0 : question->window.fails(now);
  std::string text = fmt::format("{} is {}: {} abnormal answers within {} s, the last: {}", named(server), to_text(server.health), fails,
                                 seconds(service.config.down.within), last_answer(server));
  const bool fit_left =
      std::ranges::any_of(service.servers, [](const RunningServer& other) { return candidate(other).health == Health::up; });
  if (!fit_left) text += "; no other server is known to be fit";
  return {.level = Level::warning, .service = service.config.name, .text = std::move(text), .kind = EventKind::health};
}

Event cut(const RunningService& service, const Departure& departure) {
  return {.level = Level::info,
          .service = service.config.name,
          .text = fmt::format("cut {} TCP, {} UDP and {} SCTP flows of {}; conntrack is clean", departure.cut.tcp, departure.cut.udp,
                              departure.cut.sctp, departure.comment),
          .kind = EventKind::cut,
          .flip = flip_of(service, departure)};
}

Event forced(const RunningService& service, const Force& force) {
  std::string text = fmt::format("forced to {} by {}", named(service.servers[force.server]), force.by);
  if (force.until_wall) text += fmt::format(" until {}", to_text(*force.until_wall));
  if (!force.reason.empty()) text += fmt::format(" ({})", force.reason);
  text += fmt::format("; no failover until `hanatctl auto {}`", service.config.name);
  return {.level = Level::warning, .service = service.config.name, .text = std::move(text), .kind = EventKind::override};
}

Event override_waits(const RunningService& service) {
  const Force force = service.force.value_or(Force{});
  return {.level = Level::warning,
          .service = service.config.name,
          .text = fmt::format("mode is observe now: the override to {} by {} is kept, and moves nothing until mode is auto again; "
                              "`hanatctl auto {}` ends it",
                              service.servers[force.server].role, force.by, service.config.name)};
}

Event would(const RunningService& service, const Decision& decision) {
  const RunningServer* from = nullptr;
  if (service.would && service.would->standing.current) from = &service.servers[*service.would->standing.current];
  const bool served = decision.place == Place::server;
  std::string text;
  if (!served)
    text = fmt::format("{}: would turn clients away", none_fit(service.config));
  else if (from == nullptr)
    text = fmt::format("would send connections to {}: {}", place(service, decision), to_text(decision.why));
  else
    text = fmt::format("would {} from {} to {}: {}",
                       decision.flip_why == Why::failover   ? "fail over"
                       : decision.flip_why == Why::failback ? "fail back"
                                                            : "go",
                       named(*from), place(service, decision), to_text(decision.flip_why));
  if (from != nullptr && from->health == Health::down) text += fmt::format(" ({} is down: {})", from->role, last_answer(*from));
  return {.level = served ? Level::notice : Level::warning,
          .service = service.config.name,
          .text = fmt::format("observe: {}; {}{}", text, stands(service), fate(service.config)),
          .fields = {{"WOULD_TO", served ? service.servers[decision.server].role : "none"}, {"WHY", std::string{to_text(decision.why)}}},
          .kind = EventKind::target};
}

Event override_ended(const RunningService& service, bool expired) {
  return {.level = Level::notice,
          .service = service.config.name,
          .text = fmt::format("the override {}: health decides again", expired ? "has expired" : "was ended"),
          .kind = EventKind::override};
}

} // namespace hanat::words
