// The methods that answer an operator's question and change nothing: why, what happens now, what a reload would change, what the servers
// answer, which connections and which names there are. Most replies come later. Not here: status, history and what changes something
// (handlers).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>
#include <uv.h>

#include "daemon/config/read_config.hpp"
#include "daemon/control/followers.hpp"
#include "daemon/control/long_replies.hpp"
#include "daemon/control/probe_run.hpp"
#include "daemon/control/server.hpp"
#include "daemon/failover/controller.hpp"
#include "daemon/failover/flow_lister.hpp"
#include "daemon/names/look_up.hpp"
#include "daemon/report/history.hpp"
#include "daemon/report/make_why.hpp"
#include "daemon/util/job_queue.hpp"

namespace hanat {

class Inquiry {
public:
  /// `config`: the file that a reload reads. `history` tells of every event from now on.
  Inquiry(uv_loop_t* loop, Controller& controller, History& history, std::string config);
  ~Inquiry();
  Inquiry(const Inquiry&) = delete;
  Inquiry& operator=(const Inquiry&) = delete;

  /// Throws ControlError.
  Reply why(const nlohmann::json& parameters) const;
  Reply follow(const nlohmann::json& parameters);
  Reply plan(const nlohmann::json& parameters);
  Reply ask(const Call& call);
  Reply probe(const nlohmann::json& parameters);
  Reply connections(const nlohmann::json& parameters);
  Reply names(const nlohmann::json& parameters) const;
  /// Of servers that are configured by their names.
  using LookUp = std::function<void(const std::shared_ptr<const Config>& config, LookUps::Done done)>;
  void set_look_up(LookUp look_up) { look_up_ = std::move(look_up); }

private:
  using Use = std::function<void(const ReadConfig& read, const FindRecord& names, const std::shared_ptr<PendingReply>& reply)>;
  std::shared_ptr<PendingReply> with_config(const nlohmann::json& parameters, Use use);
  WhyReport why_one(WhyQuery query) const;
  /// `answers`: what is known without a probe.
  void send_probes(const std::vector<std::pair<const ServiceConfig*, const ServerConfig*>>& servers,
                   const std::shared_ptr<PendingReply>& reply, nlohmann::json answers = nlohmann::json::array());

  Controller& controller_;
  History& history_;
  std::string config_;
  Followers followers_;
  ProbeRun probes_;
  FlowLister flows_;
  LookUp look_up_;
  JobQueue reads_; // of configurations
  LongReplies replies_;
};

} // namespace hanat
