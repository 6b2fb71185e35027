// The names of a configuration that is only looked at, as for a plan: asked for once, with answers within a second or without them.
// Not here: the names in use (names).
#pragma once

#include <functional>
#include <list>
#include <memory>

#include <uv.h>

#include "daemon/config/config.hpp"
#include "daemon/names/fill_in.hpp"
#include "daemon/names/names.hpp"
#include "probes/io/uv.hpp"

namespace hanat {

class LookUps {
public:
  /// `filled`: with the addresses that were found; `find`: what DNS said.
  using Done = std::function<void(const std::shared_ptr<const Config>& filled, const FindRecord& find)>;
  explicit LookUps(uv_loop_t* loop);
  LookUps(const LookUps&) = delete;
  LookUps& operator=(const LookUps&) = delete;

  /// `in_use`: names that are in use already, with the addresses that they have. `done` is called on the loop, perhaps at once.
  void start(std::shared_ptr<const Config> config, const FindRecord& in_use, Done done);

private:
  struct Run {
    std::shared_ptr<const Config> config;
    FindRecord find;
    Done done;
    std::unique_ptr<Names> names;
    bool over = false;
  };
  /// True: it is over.
  bool look_at(Run& run);

  uv_loop_t* loop_;
  std::list<Run> runs_;
  UvHandle<uv_timer_t> reap_; // outside of their callbacks
};

} // namespace hanat
