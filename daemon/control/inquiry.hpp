// The methods that answer an operator's question and change nothing: why, what happens now, what a reload would change, what the servers
// answer, which connections there are. Most replies come later. Not here: status, history and what changes something (handlers).
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>
#include <uv.h>

#include "daemon/control/followers.hpp"
#include "daemon/control/probe_run.hpp"
#include "daemon/control/server.hpp"
#include "daemon/failover/controller.hpp"
#include "daemon/failover/flow_lister.hpp"
#include "daemon/report/history.hpp"
#include "daemon/report/make_why.hpp"

namespace hanat {

class Inquiry {
public:
  /// `config`: the file that a reload reads. `history` tells of every event from now on.
  Inquiry(uv_loop_t* loop, const Controller& controller, History& history, std::string config);
  ~Inquiry();
  Inquiry(const Inquiry&) = delete;
  Inquiry& operator=(const Inquiry&) = delete;

  /// Throws ControlError.
  Reply why(const nlohmann::json& parameters) const;
  Reply follow(const nlohmann::json& parameters);
  Reply plan(const nlohmann::json& parameters) const;
  Reply ask(const Call& call);
  Reply probe(const nlohmann::json& parameters);
  Reply connections(const nlohmann::json& parameters);

private:
  Config config_of(const nlohmann::json& parameters) const;
  WhyReport why_one(WhyQuery query) const;
  std::shared_ptr<PendingReply> send_probes(const std::vector<std::pair<const ServiceConfig*, const ServerConfig*>>& servers);

  const Controller& controller_;
  History& history_;
  std::string config_;
  Followers followers_;
  ProbeRun probes_;
  FlowLister flows_;
};

} // namespace hanat
