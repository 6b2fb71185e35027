// A set of names of their own, until all of them are known.
#include "daemon/names/look_up.hpp"

#include <algorithm>
#include <utility>

namespace hanat {

LookUps::LookUps(uv_loop_t* loop) : loop_(loop), reap_(make_timer(loop, this)) {}

void LookUps::start(std::shared_ptr<const Config> config, const FindRecord& in_use, Done done) {
  if (!has_names(*config)) return done(config, in_use);
  Run& run = runs_.emplace_back();
  run.config = std::move(config);
  run.done = std::move(done);
  run.names = std::make_unique<Names>(loop_, Names::Owner{.changed = [this, &run] { static_cast<void>(look_at(run)); }});
  run.find = [in_use, &run](const NameQuery& query) {
    const NameRecord* const used = in_use(query);
    return used != nullptr && used->known ? used : run.names->find(query);
  };
  if (!look_at(run)) run.names->configure(*run.config); // unless all of them are in use
}

bool LookUps::look_at(Run& run) {
  const auto queries = queries_of(*run.config);
  const auto is_known = [&](const NameQuery& query) {
    const NameRecord* const record = run.find(query);
    return record != nullptr && record->known;
  };
  if (run.over || !std::ranges::all_of(queries, is_known)) return run.over;
  run.over = true;
  run.done(std::make_shared<const Config>(fill_in(*run.config, run.find)), run.find);
  uv_timer_start(
      reap_.get(),
      [](uv_timer_t* timer) { std::erase_if(static_cast<LookUps*>(timer->data)->runs_, [](const Run& one) { return one.over; }); }, 0, 0);
  return true;
}

} // namespace hanat
