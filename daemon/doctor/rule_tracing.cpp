// From a trace to findings.
#include "daemon/doctor/rule_tracing.hpp"

#include <memory>
#include <utility>

#include "daemon/doctor/culprit.hpp"
#include "daemon/doctor/rule_checks.hpp"
#include "nat/nftables/foreign_rules.hpp"
#include "nat/nftables/trace_table.hpp"

namespace hanat {
namespace {

Traced traced_from(const TraceResult& result, const TraceTarget& target, const std::string& table) {
  Traced traced;
  TraceContext context{.service = target.service,
                       .traced = {.client = target.client, .vip = target.vip},
                       .servers = {},
                       .table = table,
                       .own_client = target.own_client};
  if (target.server) context.servers.push_back(*target.server);
  // Where no rule did it, the settings of the host tell more, unless there are rules that cannot be traced.
  auto culprit = culprit_of(result.packets, result.ruleset, context);
  const auto is_dropped_by_a_rule = [](const Finding& finding) {
    return finding.code == "forward-drop" || finding.code == "rule-drop" || finding.code == "clients-refused";
  };
  if (culprit && result.incomplete && !is_dropped_by_a_rule(*culprit)) culprit.reset(); // reports are missing
  const bool by_a_rule = culprit && culprit->code != "lost" && culprit->code != "not-forwarded";
  if (culprit && (by_a_rule || !result.ruleset.legacy_tables.empty())) {
    if (target.own_client) culprit->seen_by = target.seen_by;
    traced.found.push_back(std::move(*culprit));
  }
  traced.seen = !result.packets.empty();
  if (culprit && !by_a_rule && traced.found.empty()) traced.lost = std::move(culprit);
  const Passage passage = passage_of(result.packets, table);
  if (!passage.left_by.empty()) traced.left_by = passage.left_by;
  return traced;
}

} // namespace

RuleTracing::RuleTracing(uv_loop_t* loop, std::string table)
    : table_(std::move(table)), tracer_(loop, table_),
      next_(make_handle(
          uv_async_init, loop, this, "make a trace", +[](uv_async_t* async) { static_cast<RuleTracing*>(async->data)->refuse_next(); })) {
  uv_unref(reinterpret_cast<uv_handle_t*>(next_.get()));
}

void RuleTracing::start(const TraceTarget& target, Clock::duration limit, OnReady on_ready, OnDone on_done) {
  const TraceRequest request{.traced = {.client = target.client, .vip = target.vip},
                             .limit = std::chrono::duration_cast<std::chrono::milliseconds>(limit)};
  // Who waits for the begin is told of it even where nothing can be traced.
  const auto ready = std::make_shared<OnReady>(on_ready);
  const auto begin = [ready] {
    if (const OnReady call = std::exchange(*ready, {})) call();
  };
  const auto own = std::make_shared<Tracer::Id>();
  const auto done = [this, target, on_done, begin, own](const TraceResult& result) {
    running_.erase(*own);
    begin();
    on_done(traced_from(result, target, table_));
  };
  try {
    if (const auto id = tracer_.start(request, done, begin)) {
      *own = *id;
      running_.insert(*id);
      return;
    }
  } catch (const std::exception&) { // NOLINT(bugprone-empty-catch): no thread or descriptor is left: as if too many were traced
  }
  refused_.push_back({std::move(on_ready), std::move(on_done)});
  uv_async_send(next_.get());
}

void RuleTracing::stop() {
  for (const Tracer::Id id : std::exchange(running_, {})) tracer_.cancel(id); // those that have ended are unknown there
  refused_.clear();
}

void RuleTracing::refuse_next() {
  if (refused_.empty()) return;
  const Refused refused = std::move(refused_.front());
  refused_.pop_front();
  if (!refused_.empty()) uv_async_send(next_.get());
  if (refused.on_ready) refused.on_ready();
  refused.on_done({.found = {}, .left_by = {}, .refused = true});
}

std::vector<Finding> check_foreign_rules(const std::vector<ServiceCheck>& services, const std::string& table) {
  std::vector<CheckedService> checked;
  for (const ServiceCheck& service : services) {
    CheckedService& one = checked.emplace_back();
    one.name = service.name;
    one.others = service.others;
    for (const EndpointCheck& endpoint : service.endpoints) {
      one.listen.push_back(endpoint.vip);
      if (endpoint.server) one.servers.push_back(*endpoint.server);
    }
  }
  const auto ruleset = nat::read_ruleset_to_check({table, nat::trace_table_of(table)});
  std::vector<Finding> found = check_rules(ruleset, checked, table);
  auto saved = check_saved_ruleset("/", table);
  found.insert(found.end(), std::make_move_iterator(saved.begin()), std::make_move_iterator(saved.end()));
  return found;
}

} // namespace hanat
