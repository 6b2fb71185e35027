// The verdict on each connection, and the look at its socket.
#include "tests/netns/model/clients.hpp"

#include <algorithm>
#include <stdexcept>
#include <system_error>

#include <fmt/format.h>
#include <sys/socket.h>

namespace hanat::test::model {
namespace {

constexpr milliseconds long_enough{3000};
const std::string short_drain = "drain 1s";

enum class Verdict : std::uint8_t {
  lives,
  stays,          // at a server that lost the traffic
  drains_shortly, // it stays, for a second
  ends,
  either,
  later,  // it ends about now
  unknown // nobody looks at it any more
};

std::string label(const Held& held) {
  return fmt::format("the connection from port {} to {} at {} ({})", held.port, held.listen, name_of(held.at), held.service);
}

/// What becomes of the flows of the old target.
Verdict after_move(const Move& move, const ServiceSpec& service, const Passage& passage, bool silent) {
  if (!move.to) return service.on_none == NoServer::drop ? Verdict::unknown : Verdict::ends;
  const std::string policy = move.planned             ? passage.asked_flows.value_or(service.on_forced)
                             : move.why == "failback" ? "reset"
                                                      : service.on_failover;
  if (move.perhaps_planned) return Verdict::either;
  if (policy == "reset") return Verdict::ends;
  const Verdict stays = policy == short_drain ? Verdict::drains_shortly : Verdict::stays;
  if (move.planned) return silent ? Verdict::either : stays;
  return silent && policy != "keep" ? Verdict::ends : stays;
}

Verdict verdict_on(const Held& held, const Model& model, const ServiceSpec& owner, const Passage& passage) {
  if (held.closed || held.unsure) return Verdict::either;
  if (passage.loose || passage.restless || owner.name != held.service) return Verdict::either;
  // A reply that is never what the probe waits for is an incomplete one when its time is over.
  const App app = model.world.app(held.at);
  const bool silent = !model.world.reachable(held.at) || (owner.asks && (app == App::hangs || app == App::wrong));
  if (passage.moves.size() > 1) return Verdict::either;            // there and back
  if (held.leaving && passage.asked_flows) return Verdict::either; // a command changes a drain that runs
  for (const Move& move : passage.moves)
    if (move.from == std::optional{held.at} && !held.leaving) return after_move(move, owner, passage, silent);
  if (passage.target == std::optional{held.at}) return Verdict::lives;
  if (!held.leaving || !passage.moves.empty() || !passage.target) return Verdict::either;
  constexpr milliseconds early{300}, late{3000};
  const auto now = TestClock::now();
  if (!held.until || now < *held.until - early) return Verdict::stays;
  return now > *held.until + late ? Verdict::ends : Verdict::later;
}

} // namespace

void Clients::open(const ServiceSpec& service, std::uint16_t listen, const Place& expected, std::uint16_t port) {
  std::unique_ptr<TcpClient> client;
  try {
    client = std::make_unique<TcpClient>(lab_, Host::client, Lab::vip(listen), long_enough, port);
  } catch (const std::system_error& taken) { // by another connection, which has ended just now
    if (taken.code() != std::errc::address_in_use || port == 0) throw;
    client = std::make_unique<TcpClient>(lab_, Host::client, Lab::vip(listen), long_enough);
  }
  const Attempt answer = client->ask(long_enough);
  if (answer.result != Result::answered || answer.text != name_of(expected))
    throw std::runtime_error(fmt::format("a new connection to {} ({}) should be answered by {}: {} {}", listen, service.name,
                                         name_of(expected), to_text(answer.result), answer.text));
  const std::uint16_t local = client->local_port();
  held_.push_back({.client = std::move(client),
                   .listen = listen,
                   .port = local,
                   .service = service.name,
                   .at = expected,
                   .masqueraded = service.masquerade});
}

void Clients::talk(const ServiceSpec& service, std::uint16_t listen, const Place& at) {
  constexpr std::size_t most = 4;
  if (talkers_.size() == most) talkers_.erase(talkers_.begin());
  talkers_.push_back(
      {.client = std::make_unique<UdpClient>(lab_, Host::client, Lab::vip(listen)), .listen = listen, .service = service.name, .at = at});
}

void Clients::close(std::size_t which, bool abruptly) {
  const auto held = held_.begin() + static_cast<std::ptrdiff_t>(which % held_.size());
  if (abruptly) {
    const linger reset{.l_onoff = 1, .l_linger = 0};
    setsockopt(held->client->fd(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  }
  held_.erase(held);
}

void Clients::on_program_ended(const Place& place) {
  for (Held& held : held_) held.closed |= held.at == place;
}

void Clients::on_world_changed(const Place& place) {
  for (Held& held : held_) held.unsure |= held.at == place && held.leaving; // a drain ends early when its server is silent
}

void Clients::on_forgotten(const std::map<std::string, bool>& moved) {
  for (Held& held : held_) {
    const auto service = moved.find(held.service);
    held.unsure |= held.leaving || held.masqueraded || service == moved.end() || service->second;
  }
  for (Talker& talker : talkers_) talker.unsure = true;
}

void Clients::on_anything() {
  for (Held& held : held_) held.unsure = true;
  for (Talker& talker : talkers_) talker.unsure = true;
}

bool Clients::check_one(Held& held, const Model& model, const std::map<std::string, Passage>& passages) const {
  const auto& services = model.spec().services;
  const auto owner = std::ranges::find_if(
      services, [&](const ServiceSpec& one) { return std::ranges::find(one.listen, held.listen) != one.listen.end(); });
  if (owner == services.end()) return false;
  const Passage& passage = passages.at(owner->name);
  const Verdict verdict = verdict_on(held, model, *owner, passage);
  if (verdict == Verdict::unknown) return false;
  if (verdict == Verdict::later) return true;
  const bool leaves = verdict == Verdict::stays || verdict == Verdict::drains_shortly;
  if (verdict == Verdict::drains_shortly) held.until = TestClock::now() + std::chrono::seconds{1};
  if (!leaves || (verdict == Verdict::stays && !held.leaving)) held.until.reset();
  if (verdict == Verdict::ends) {
    const Attempt end = held.client->wait_for_end(long_enough);
    if (end.result == Result::timeout) throw std::runtime_error(label(held) + " should have been reset, and stands");
    return false;
  }
  const bool answers = model.world.reachable(held.at) && (model.world.app(held.at) == App::works || model.world.app(held.at) == App::wrong);
  const std::string text = model.world.app(held.at) == App::wrong ? "wrong" : name_of(held.at);
  if (!answers && verdict == Verdict::either) return false;
  if (!answers) { // nothing can be asked, but it must not have ended
    const Attempt end = held.client->wait_for_end(milliseconds{0});
    if (end.result != Result::timeout) throw std::runtime_error(fmt::format("{} should stand: {}", label(held), to_text(end.result)));
    held.leaving = leaves;
    return true;
  }
  const Attempt answer = held.client->ask(long_enough);
  if (answer.result == Result::timeout && owner->on_none != NoServer::drop)
    throw std::runtime_error(label(held) + " neither stands nor has been reset");
  const bool lives = answer.result == Result::answered;
  if (lives && answer.text != text)
    throw std::runtime_error(fmt::format("{} should be answered \"{}\", not \"{}\"", label(held), text, answer.text));
  if (verdict == Verdict::either) {
    held.unsure = false;
    held.leaving = passage.target != std::optional{held.at};
    return lives && owner->name == held.service && !held.leaving;
  }
  if (!lives) throw std::runtime_error(fmt::format("{} should stand: {} {}", label(held), to_text(answer.result), answer.text));
  held.leaving = leaves;
  return true;
}

/// A UDP client stays where it is for as long as old flows may; otherwise the target answers it, from the same socket.
bool Clients::check_one(Talker& talker, const Model& model, const std::map<std::string, Passage>& passages) {
  const ServiceSpec* const spec = model.spec().find(talker.service);
  if (spec == nullptr || !spec->udp || std::ranges::find(spec->listen, talker.listen) == spec->listen.end()) return false;
  const Passage& passage = passages.at(talker.service);
  if (!passage.target || passage.restless || spec->observe || !model.world.reachable(*passage.target)) return false;
  if (model.world.app(*passage.target) == App::dead) return false;
  const bool left_before = std::ranges::find(passage.moves, std::optional{talker.at}, &Move::from) == passage.moves.end();
  bool may_stay = talker.unsure || passage.loose || (left_before && talker.at != *passage.target);
  for (const Move& move : passage.moves) {
    const std::string policy = move.planned ? passage.asked_flows.value_or(spec->on_forced) : "reset";
    may_stay |= policy != "reset" || move.perhaps_planned;
  }
  const auto end = TestClock::now() + long_enough;
  Attempt answer;
  while (TestClock::now() < end) {
    answer = talker.client->ask(milliseconds{300});
    if (answer.text == name_of(*passage.target)) talker.at = *passage.target;
    if (answer.text == name_of(*passage.target) || (may_stay && answer.text == name_of(talker.at))) {
      talker.unsure = false;
      return true;
    }
    if (may_stay && (!model.world.reachable(talker.at) || model.world.app(talker.at) == App::dead)) return false;
  }
  throw std::runtime_error(fmt::format("a UDP client of {} ({}) should be answered by {}{}: {} {}", talker.listen, talker.service,
                                       name_of(*passage.target), may_stay ? " or " + name_of(talker.at) : "", to_text(answer.result),
                                       answer.text));
}

void Clients::check(const Model& model, const std::map<std::string, Passage>& passages) {
  std::erase_if(talkers_, [&](Talker& talker) { return !check_one(talker, model, passages); });
  std::erase_if(held_, [&](Held& held) { return !check_one(held, model, passages); });
}

} // namespace hanat::test::model
