// One examination as steps for a worker thread: what is sent and read, and the findings that follow. Not here: threads and traces (doctor).
#pragma once

#include <atomic>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "daemon/doctor/doctor.hpp"
#include "daemon/doctor/host_checks.hpp"
#include "daemon/doctor/host_facts.hpp"
#include "daemon/doctor/served_clients.hpp"
#include "daemon/doctor/synthetic_client.hpp"

namespace hanat {

/// One flow of hanatd's own client.
struct ExaminedFlow {
  std::size_t service = 0, endpoint = 0; // in the list of services
  FlowResult result;
  bool suspect = false; // it got no reply though probes pass: it is looked at again, and traced
  bool pings = false;
  bool traced = false;
  bool culprit_known = false;
};

class Examination {
public:
  explicit Examination(std::vector<ServiceCheck> services);

  /// Sends every flow once. Blocking, like the next one.
  void first_pass(const std::string& table, const Doctor::CheckRules& check_rules, const std::atomic<bool>& cancelled);
  /// Sends the suspects again and watches their packets.
  void second_pass(const std::atomic<bool>& cancelled);

  const std::vector<ServiceCheck>& services() const { return services_; }
  std::vector<ExaminedFlow>& flows() { return flows_; }
  bool has_suspects() const;
  const EndpointCheck& endpoint(const ExaminedFlow& flow) const { return services_[flow.service].endpoints[flow.endpoint]; }
  std::string seen_by() const;

  /// Rules that a trace found. `own`: by a packet of hanatd's own client.
  void add_traced(const Traced& traced, bool own);
  /// A packet of this service's client that waits was followed; `lost`: it did not get through, and no rule did it.
  void saw_client(const std::string& service, std::optional<Finding> lost) { seen_[service] = std::move(lost); }
  /// Of many suspects only some are traced. What a rule does to all of those it probably does to the others, too.
  void assume_for_untraced();
  /// Pure, once all passes are over.
  Diagnosis diagnosis() const;

private:
  void read_paths();
  std::vector<Finding> of_flow(const ExaminedFlow& flow) const;
  void add_unanswered(const ServiceCheck& service, const UnansweredClient& unanswered, std::vector<Finding>& all) const;

  std::vector<ServiceCheck> services_;
  std::vector<ExaminedFlow> flows_;
  std::vector<PathFacts> paths_; // of each flow
  std::optional<SyntheticClient> client_;
  HostFacts before_, after_;
  std::vector<Finding> rules_, by_real_, by_own_; // by_own_: by hanatd's own client, or by a look at the other servers
  std::vector<PathFacts> real_paths_;             // of each service with an unanswered client
  ServedClients served_;
  std::map<std::string, std::optional<Finding>> seen_; // services whose waiting client sent a packet that was followed
  std::string table_, interface_, failure_;
};

/// Problems first, each fact once, otherwise in their order. One of hanatd's own client gives way to the same one of a real client.
void arrange(std::vector<Finding>& found);

} // namespace hanat
