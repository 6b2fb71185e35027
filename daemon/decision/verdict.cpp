// One pass over the probes; a list `any` counts where its first probe stands.
#include "daemon/decision/verdict.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace hanat {
namespace {

/// As combine() has it.
int rank(Health health) {
  static constexpr std::array best_first{Health::up, Health::full, Health::unknown, Health::down};
  return static_cast<int>(std::ranges::find(best_first, health) - best_first.begin());
}

bool in_same_list(const ProbeState& one, const ProbeState& other) {
  return one.probe->spec.any_of == other.probe->spec.any_of && one.probe->server.address.family() == other.probe->server.address.family();
}

/// Calls visit(probes, in_list) once for each list, with the probes from its first one on and which of them are in it. A probe that stands
/// alone is a list of one; those that only warn are in none.
template <typename Visit> void for_each_list(std::span<const ProbeState> probes, Visit visit) {
  for (auto probe = probes.begin(); probe != probes.end(); ++probe) {
    if (probe->probe != nullptr && probe->probe->spec.advisory) continue;
    if (probe->probe == nullptr || probe->probe->spec.any_of == 0) {
      visit(std::span{probe, 1}, [](const ProbeState&) { return true; });
      continue;
    }
    const auto same = [&first = *probe](const ProbeState& other) { return in_same_list(first, other); };
    if (std::any_of(probes.begin(), probe, same)) continue; // counted where it began
    visit(std::span{probe, probes.end()}, same);
  }
}

template <typename InList> const ProbeState* best_of(std::span<const ProbeState> probes, const InList& in_list) {
  const ProbeState* best = nullptr;
  for (const ProbeState& probe : probes)
    if (in_list(probe) && (best == nullptr || rank(probe.window.health()) < rank(best->window.health()))) best = &probe;
  return best;
}

} // namespace

std::vector<const ProbeState*> deciding_probes(std::span<const ProbeState> probes) {
  std::vector<const ProbeState*> deciding;
  for_each_list(probes, [&](std::span<const ProbeState> rest, const auto& in_list) { deciding.push_back(best_of(rest, in_list)); });
  return deciding;
}

Health verdict_of(std::span<const ProbeState> probes) {
  std::optional<Health> worst;
  for_each_list(probes, [&](std::span<const ProbeState> rest, const auto& in_list) {
    const Health health = best_of(rest, in_list)->window.health();
    worst = worst ? combine(std::array{*worst, health}) : health;
  });
  return worst.value_or(Health::unknown);
}

bool have_passed(std::span<const ProbeState> probes) {
  bool all = true;
  for_each_list(probes, [&](std::span<const ProbeState> rest, const auto& in_list) {
    all = all && std::ranges::any_of(rest, [&](const ProbeState& probe) { return in_list(probe) && probe.window.passes() > 0; });
  });
  return all;
}

const ProbeState& worst_probe(const ServerState& server, Time now) {
  const auto deciding = deciding_probes(server.probes);
  const auto badness = [now](const ProbeState* probe) { return std::pair{rank(probe->window.health()), probe->window.fails(now)}; };
  return **std::ranges::max_element(deciding, {}, badness);
}

} // namespace hanat
