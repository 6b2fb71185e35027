// Whether the clients of each service get an answer: the evidence by service, the search for the cause, and what is told of both. A service
// without evidence costs nothing, and what is remembered of others is bounded by the rate at which the table logs. Not here: the rule that
// says when clients go unanswered (decision/path_evidence), finding the cause (doctor). It never moves a target.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/api/status.hpp"
#include "daemon/decision/path_evidence.hpp"
#include "daemon/doctor/finding.hpp"
#include "daemon/doctor/service_check.hpp"
#include "daemon/failover/change.hpp"
#include "daemon/failover/outbox.hpp"
#include "daemon/failover/service_registry.hpp"
#include "probes/passive/kernel_events.hpp"

namespace hanat {

class ClientEvidence {
public:
  ClientEvidence(ServiceRegistry& registry, Outbox& outbox) : registry_(registry), outbox_(outbox) {}

  /// Looks for the reason why this client gets no answer, and calls found(). Called when a client has repeated its SYN and waits for a
  /// moment: its next SYN may be traced. One diagnosis of a service at a time, and one in ten seconds.
  using Diagnose = std::function<void(const ServiceState&, const Endpoint& client, const Vip& vip)>;
  Diagnose diagnose;

  /// [hanatd] path_check; services that are no longer configured are forgotten.
  void configure(const PathCheck& check);
  /// The table holds a change of the service, which is not recorded yet.
  void on_applied(Change& change, Time now);
  void on_kernel_event(const probes::KernelEvent& event, Time now);
  /// What an examination of the service has found, whoever asked for it; its verdict follows from the findings. They replace those of the
  /// one before, as far as it has looked at the same.
  void found(const std::string& service, Examined examined, std::vector<Finding> findings, Time now = Clock::now());
  /// What a check of hanatd's own has found (path_check with an interval). What clients say outweighs it. nullopt: it is not known whether
  /// hanatd's own client would get an answer now.
  void checked(const std::string& service, std::optional<bool> answered, std::vector<Finding> findings, Time now = Clock::now());
  /// A client that waits for an answer now, and what it connects to.
  std::optional<UnansweredClient> waiting(const std::string& service, Time now) const;

  /// Once a turn of the loop.
  void run(Time now);
  std::optional<Time> next_wakeup() const { return next_; }

  PathStatus status(const std::string& service, Time now) const;
  /// What stopped single clients of the service within the last hour, the newest first: each rule once, with the client that met it last.
  struct OfClient {
    Finding finding;
    WallTime at{};
  };
  std::vector<OfClient> of_single_clients(const std::string& service, Time now) const;
  /// Connections since the start, at least: without an answer, and refused.
  void add_totals(const std::string& service, TotalsStatus& totals) const;

private:
  struct Trouble {
    Time since{};
    WallTime since_wall{};
    std::uint64_t connections = 0;
  };
  struct Known {
    PathEvidence evidence;
    std::optional<bool> check;             // hanatd's own: was it answered?
    Time checked_at{};                     // by then
    std::optional<bool> own_answered = {}; // the client of the last examination
    std::optional<Trouble> trouble;        // clients get no answer
    std::vector<Finding> findings;         // of this trouble, or of what may become one
    std::optional<Time> diagnosed_at, found_at;
    std::map<Endpoint, Vip> vips; // of clients in the evidence
    bool is_idle() const { return !evidence.next_wakeup() && !check && !trouble; }
  };
  struct Totals {
    std::uint64_t unanswered = 0, refused = 0; // connections
  };
  std::vector<ServiceState*> services_of(const probes::KernelEvent& event);
  void on_repeated_syn(const ServiceState& service, const probes::KernelEvent& event, Time now);
  void evaluate(const std::string& name, Known& known, Time now);
  void begin(const ServiceState& service, Known& known, const std::optional<Address>& client, Time now);
  void end(const std::string& name, Known& known, events::PathTroubleEnded how, Time now);
  void look_for_cause(const ServiceState& service, Known& known, Time now);
  void replace_findings(const std::string& name, Known& known, std::vector<Finding> kept, std::vector<Finding> fresh);
  struct OfRule {
    OfClient newest;
    Time met_at{}, logged_at{};
  };
  void tell_of_client(const std::string& name, const Finding& finding, Time now);

  ServiceRegistry& registry_;
  Outbox& outbox_;
  bool on_ = true;
  std::map<std::string, Known> known_;                         // services of which there is evidence
  std::map<std::string, Totals> totals_;                       // or was
  std::map<std::pair<std::string, std::string>, OfRule> told_; // rules about single clients, by service and text: once an hour each
  std::optional<Time> next_;
};

} // namespace hanat
