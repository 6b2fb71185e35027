// Status, history, totals.
#include "tests/netns/model/checker.hpp"

#include <algorithm>
#include <stdexcept>
#include <thread>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace hanat::test::model {
namespace {

using nlohmann::json;
constexpr milliseconds pause{4}, patience{10'000}, after_expiry{100};

std::string text_of(const std::optional<Place>& place) { return place ? name_of(*place) : "none"; }

std::string text_of(const std::set<std::optional<Place>>& places) {
  std::string text;
  for (const auto& place : places) text += (text.empty() ? "" : " or ") + text_of(place);
  return text;
}

/// Of the servers of a service, as far as they are not as they should be.
std::string server_difference(const ServiceStatus& status, std::size_t index, const Model& model) {
  const ServiceSpec& spec = model.spec().services[index];
  // A target that a reload took away serves on, where nothing else does: whether it may is told by the target.
  const bool has_former = !status.servers.empty() && status.servers.back().role == "former";
  const std::size_t configured = status.servers.size() - (has_former ? 1 : 0);
  if (configured != spec.servers.size()) return fmt::format("{} servers, not {}", configured, spec.servers.size());
  std::string text;
  for (std::size_t server = 0; server < spec.servers.size(); ++server) {
    const ServerStatus& one = status.servers[server];
    const Place& place = spec.servers[server];
    const std::string health = model.world.passes(spec, place) ? "up" : "down";
    if (one.address != address_of(place)) text += fmt::format(" server {} is {}, not {};", server, one.address, name_of(place));
    if (one.health != health) text += fmt::format(" {} is {}, not {};", name_of(place), one.health, health);
    if (one.disabled.has_value() != model.service(spec.name).disabled.contains(place))
      text += fmt::format(" {} is {}disabled;", name_of(place), one.disabled ? "" : "not ");
  }
  return text;
}

std::string service_difference(const ServiceStatus& status, std::size_t index, const Model& model, const Expected& expected) {
  const ServiceSpec& spec = model.spec().services[index];
  std::string text = server_difference(status, index, model);
  if (!text.empty()) return text;
  const auto& pin = model.service(spec.name).pin;
  const auto forced = std::ranges::find(status.servers, status.forced ? status.forced->target : "", &ServerStatus::role);
  const std::string forced_to = forced == status.servers.end() ? "" : forced->address;
  if (forced_to != (pin ? address_of(pin->place) : "")) text += fmt::format(" forced to \"{}\";", forced_to);
  if (!expected.targets.contains(place_at(status.target_address)))
    text += fmt::format(" the target is {} ({}), not {};", text_of(place_at(status.target_address)), status.why, text_of(expected.targets));
  if (status.outage) text += " an outage is in doubt;";
  if (status.mode != (spec.observe ? "observe" : "auto")) text += " mode " + status.mode + ";";
  return text;
}

/// All services of a group have their traffic at the same role, unless each keeps what it has, for no server is up for all.
std::string group_difference(const Status& status) {
  std::map<std::string, std::string> targets;
  for (const ServiceStatus& service : status.services)
    if (service.group && service.mode == "auto" && service.why != "no-server-up-kept")
      if (const auto [at, is_new] = targets.try_emplace(*service.group, service.target); !is_new && at->second != service.target)
        return fmt::format("group {} is apart: {} and {}", *service.group, at->second, service.target);
  return {};
}

} // namespace

std::optional<Place> place_at(const std::optional<std::string>& address) {
  if (!address || address->empty()) return std::nullopt;
  for (unsigned machine = 0; machine < machines; ++machine)
    for (const std::uint16_t port : app_ports)
      if (const Place place{machine, port}; address_of(place) == *address) return place;
  throw std::runtime_error(*address + " is no server");
}

std::string difference(const Status& status, const Model& model, const std::map<std::string, Expected>& expected) {
  std::string text;
  if (status.daemon.kernel != "in-step") text += "the kernel is " + status.daemon.kernel + "; ";
  if (status.daemon.inconclusive) text += "probes are inconclusive: " + *status.daemon.inconclusive + "; ";
  if (status.services.size() != model.spec().services.size()) return text + fmt::format("{} services", status.services.size());
  for (std::size_t index = 0; index < status.services.size(); ++index) {
    const std::string& name = model.spec().services[index].name;
    const auto found = std::ranges::find(status.services, name, &ServiceStatus::name);
    if (found == status.services.end()) return text.append("no service ").append(name);
    const std::string differs = service_difference(*found, index, model, expected.at(name));
    if (!differs.empty()) text.append(name).append(":").append(differs).append(" ");
  }
  return text + group_difference(status);
}

Checker::Checker(Stage& stage) : stage_(stage), started_(TestClock::now()) {
  check({.text = "the start", .restarted = true});
  rules_ = read_table(stage_.lab).rules;
}

Status Checker::wait_for_rest(const std::map<std::string, Expected>& expected) const {
  unsigned longest = 0;
  for (const ServiceSpec& service : stage_.model.spec().services) longest = std::max(longest, service.reaction_ms());
  const auto end = TestClock::now() + milliseconds{longest} + patience;
  while (true) {
    Status status = stage_.hanatd->status();
    const std::string differs = difference(status, stage_.model, expected);
    if (differs.empty()) return status;
    if (TestClock::now() > end) throw std::runtime_error("it does not come to rest: " + differs);
    std::this_thread::sleep_for(pause);
  }
}

void Checker::check(const Done& done) {
  std::map<std::string, Expected> expected = stage_.model.rest();
  if (done.expires) { // both are waited for together: a busy machine may miss the first
    done.expires(stage_.model);
    for (auto& [name, later] : stage_.model.rest()) {
      auto& moves = expected.at(name).moves;
      moves.insert(moves.end(), later.moves.begin(), later.moves.end());
      auto& targets = expected.at(name).targets;
      if (!expected.at(name).loose) targets.clear();
      targets.insert(later.targets.begin(), later.targets.end());
      expected.at(name).loose |= later.loose || !moves.empty(); // a move that waits for a cut may come too late for a short override
    }
  }
  if (done.restarted) {
    next_ = stage_.call("History", {{"last", 1}}).at("next").get<std::uint64_t>();
    first_ = next_;
    started_ = TestClock::now();
  }
  Status status = wait_for_rest(expected);
  if (done.expires) { // the move follows a moment later
    std::this_thread::sleep_for(after_expiry);
    status = wait_for_rest(expected);
  }
  note_steady(done);
  passages_.clear();
  for (const ServiceStatus& service : status.services) {
    const Expected& one = expected.at(service.name);
    const auto target = place_at(service.target_address);
    if (one.loose) stage_.model.adopt(service.name, target);
    passages_[service.name] = {.target = target,
                               .moves = one.moves,
                               .loose = one.loose,
                               .by_reload = done.reloaded,
                               .restless = service.failback_in_s.has_value() || stage_.model.may_move(service.name, target) ||
                                           (one.loose && !target && one.targets.size() > 1), // a former target may come back
                               .targets = one.targets,
                               .asked_flows = done.asked_flows.empty() ? std::nullopt : std::optional{done.asked_flows}};
  }
  note_endpoints();
  flips_.clear();
  Status counted = status;
  while (read_history()) counted = stage_.hanatd->status(); // so that both have the same moves
  std::set<std::string> moved;
  for (const auto& [name, flips] : flips_)
    if (!flips.empty()) moved.insert(name);
  stage_.moves.note(stage_.model.spec(), moved, done.restarted);
  check_moves(expected, done);
  check_totals(counted, done.restarted);
  if (done.table_touched) check_table(); // hanatd may hear of it later than its status is asked
  check_requests();
  stage_.clients.check(stage_.model, passages_);
  constexpr std::size_t each_table = 3; // reading it takes as long as all the rest
  if (done.reloaded || done.restarted || looks_ % each_table == 0) check_table();
  constexpr std::size_t each = 5;
  if (looks_ % each == 0) check_metrics(status);
  constexpr std::size_t each_sum = 20;
  if (looks_ % each_sum == 0) check_sums(status);
  if (looks_ % each_sum == 0) check_leftovers(status);
  ++looks_;
}

// ---- the history

/// False: there was nothing new.
bool Checker::read_history() {
  const json reply = stage_.call("History", {{"after", next_}});
  next_ = reply.at("next").get<std::uint64_t>();
  for (const json& entry : reply.at("history"))
    if (entry.at("kind") == "flip") flips_[entry.at("service").get<std::string>()].push_back(entry.get<HistoryEntry>());
  return !reply.at("history").empty();
}

/// Each move exactly once, with its servers and its reason; and none besides.
void Checker::check_moves(const std::map<std::string, Expected>& expected, const Done& done) {
  for (const auto& [name, flips] : flips_)
    if (!expected.contains(name) && !done.reloaded) throw std::runtime_error("a move of " + name + ", which is no service");
  for (const auto& [name, one] : expected) {
    const auto& flips = flips_[name];
    if (one.loose) {
      Passage& passage = passages_.at(name);
      const auto last = flips.empty() ? passage.target : place_at(flips.back().to_address);
      if (last == passage.target) continue;
      if (!one.targets.contains(last))
        throw std::runtime_error(fmt::format("{}: the last move of the history leads to {}, and the target is {}", name,
                                             flips.back().to_address, text_of(passage.target)));
      stage_.model.adopt(name, last); // it has moved since its status was asked
      passage.target = last;
      continue;
    }
    std::vector<std::string> seen, wished;
    for (const HistoryEntry& flip : flips)
      seen.push_back(
          fmt::format("{} -> {} ({})", text_of(place_at(flip.from_address)), text_of(place_at(flip.to_address)), flip.flip->why));
    for (const Move& move : one.moves) wished.push_back(fmt::format("{} -> {} ({})", text_of(move.from), text_of(move.to), move.why));
    if (seen != wished)
      throw std::runtime_error(
          fmt::format("{}: the history has the moves [{}], and should have [{}]", name, fmt::join(seen, ", "), fmt::join(wished, ", ")));
  }
}

// ---- totals

namespace {

std::uint64_t all_of(const std::map<std::string, std::uint64_t>& by_reason) {
  std::uint64_t sum = 0;
  for (const auto& [why, number] : by_reason) sum += number;
  return sum;
}

bool decreases(const TotalsStatus& before, const TotalsStatus& now) {
  for (const auto& [why, number] : before.flips)
    if (!now.flips.contains(why) || now.flips.at(why) < number) return true;
  return now.cut.tcp < before.cut.tcp || now.cut.udp < before.cut.udp || now.nudged < before.nudged || now.drained < before.drained ||
         now.clients_refused < before.clients_refused || now.clients_unanswered < before.clients_unanswered;
}

} // namespace

void Checker::check_totals(const Status& status, bool restarted) {
  if (restarted) before_.clear();
  std::map<std::string, ServiceStatus> now;
  for (const ServiceStatus& service : status.services) {
    now[service.name] = service;
    if (service.flips != all_of(service.totals.flips))
      throw std::runtime_error(
          fmt::format("{}: flips is {}, and the totals by reason are {}", service.name, service.flips, all_of(service.totals.flips)));
    const auto before = before_.find(service.name);
    const TotalsStatus none;
    const TotalsStatus& old = before == before_.end() ? none : before->second.totals;
    if (decreases(old, service.totals)) throw std::runtime_error(service.name + ": a counter has decreased");
    std::map<std::string, std::uint64_t> counted = old.flips;
    for (const HistoryEntry& flip : flips_[service.name]) ++counted[flip.flip->why];
    if (!restarted && counted != service.totals.flips)
      throw std::runtime_error(
          fmt::format("{}: the totals are {}, and with the moves of the history they are {}", service.name, service.totals.flips, counted));
  }
  for (const ServiceStatus& service : status.services)
    if (const ServiceSpec* const spec = stage_.model.spec().find(service.name); spec && !service.draining.empty())
      for (const std::uint16_t listener : spec->listen) drained_[listener] = TestClock::now();
  for (const ServiceStatus& service : status.services)
    if (!service.draining.empty() || !flips_[service.name].empty() || (service.last_flip && !service.last_flip->cut_ms))
      busy_[service.name] = TestClock::now();
  before_ = std::move(now);
}

/// Services all of whose old flows belong to a flip of this hanatd: those that are as they were when it started.
void Checker::note_steady(const Done& done) {
  const Spec& spec = stage_.model.spec();
  if (done.restarted) steady_.clear();
  if (done.restarted && looks_ == 0)
    for (const ServiceSpec& service : spec.services) steady_[service.name] = service;
  std::erase_if(steady_, [&](const auto& one) {
    const ServiceSpec* const now = spec.find(one.first);
    return now == nullptr || now->listen != one.second.listen || now->udp != one.second.udp || now->servers != one.second.servers ||
           now->observe;
  });
}

/// What the flips of the history add up to is in the totals, once their old flows are gone.
void Checker::check_sums(const Status& status) {
  const json reply = stage_.call("History", {{"after", first_}});
  std::map<std::string, TotalsStatus> sums;
  std::set<std::string> unfinished;
  for (const json& entry : reply.at("history")) {
    if (entry.at("kind") != "flip") continue;
    const auto flip = entry.get<HistoryEntry>();
    TotalsStatus& sum = sums[flip.service];
    sum.cut.tcp += flip.flip->cut.tcp;
    sum.cut.udp += flip.flip->cut.udp;
    sum.nudged += flip.flip->nudged;
    sum.drained += flip.flip->drained;
    if (!flip.flip->cut_ms) unfinished.insert(flip.service);
  }
  const Status later = stage_.hanatd->status();
  for (const ServiceStatus& service : later.services) {
    const auto before = std::ranges::find(status.services, service.name, &ServiceStatus::name);
    const TotalsStatus& totals = service.totals;
    constexpr std::chrono::seconds to_cut{6}; // also what was left of a drain: the history has it when all is gone
    if (const auto busy = busy_.find(service.name); busy != busy_.end() && TestClock::now() - busy->second < to_cut) continue;
    if (before == status.services.end() || before->totals.cut != totals.cut || before->totals.nudged != totals.nudged ||
        unfinished.contains(service.name) || !service.draining.empty())
      continue;
    const TotalsStatus& sum = sums[service.name];
    const bool exact = steady_.contains(service.name);
    const auto matches = [exact](std::uint64_t total, std::uint64_t of_flips) { return exact ? total == of_flips : total >= of_flips; };
    if (matches(totals.cut.tcp, sum.cut.tcp) && matches(totals.cut.udp, sum.cut.udp) && matches(totals.nudged, sum.nudged) &&
        matches(totals.drained, sum.drained))
      continue;
    throw std::runtime_error(
        fmt::format("{}: the totals are {}+{} cut, {} nudged, {} drained; the moves of the history add up to {}+{}, {}, {}", service.name,
                    totals.cut.tcp, totals.cut.udp, totals.nudged, totals.drained, sum.cut.tcp, sum.cut.udp, sum.nudged, sum.drained));
  }
}

} // namespace hanat::test::model
