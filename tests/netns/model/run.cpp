// The loop.
#include "tests/netns/model/run.hpp"

#include <algorithm>
#include <exception>
#include <stdexcept>
#include <thread>

#include <fmt/format.h>

#include "tests/netns/model/checker.hpp"
#include "tests/netns/model/stage.hpp"

namespace hanat::test::model {
namespace {

/// Whether an override may end or not end, as it happens.
bool ends_with_its_server(const Model& model) {
  return std::ranges::any_of(model.spec().services, [&](const ServiceSpec& one) {
    const auto& pin = model.service(one.name).pin;
    return pin && pin->until_down;
  });
}

/// One step and, unless the next one races it, the look at everything.
void carry_out(Stage& stage, Checker& checker, const Step& step, bool last, Done& pending, std::string& description) {
  Done done = stage.carry_out(step);
  description = done.text;
  pending.restarted |= done.restarted;
  pending.reloaded |= done.reloaded;
  pending.table_touched |= done.table_touched;
  if (step.races && !last && !ends_with_its_server(stage.model)) {
    stage.racing = true;
    stage.clients.on_anything();
    stage.model.loosen_all();
    return;
  }
  if (stage.racing) stage.model.loosen_all();
  done.restarted = pending.restarted;
  done.reloaded = pending.reloaded;
  done.table_touched = pending.table_touched;
  checker.check(done);
  stage.racing = false;
  pending = {};
}

} // namespace

Outcome run(const std::vector<Step>& steps, std::chrono::steady_clock::time_point until) {
  Outcome outcome;
  const bool shared = !steps.empty() && steps.front().verb == Verb::shared_table;
  std::unique_ptr<Stage> stage;
  try {
    stage = std::make_unique<Stage>(shared);
    Checker checker(*stage);
    Done pending;
    for (; outcome.steps < steps.size() && (std::chrono::steady_clock::now() < until || stage->racing); ++outcome.steps) {
      std::string& description = outcome.descriptions.emplace_back();
      carry_out(*stage, checker, steps[outcome.steps], outcome.steps + 1 == steps.size(), pending, description);
    }
  } catch (const std::exception& error) {
    outcome.failure = Failure{.step = outcome.steps, .text = error.what(), .log = stage && stage->hanatd ? stage->hanatd->log() : ""};
  }
  return outcome;
}

} // namespace hanat::test::model
