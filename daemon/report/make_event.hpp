// Makes events from the running state, stamped with the time of now. Not here: their sentences (event_text), when they are made (failover).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "daemon/decision/decision.hpp"
#include "daemon/decision/service_state.hpp"
#include "daemon/report/event.hpp"

namespace hanat::events {

/// The time of the wall clock, and never earlier than that of an event before, unless the clock was set back by more than some seconds. For
/// the loop's thread.
WallTime event_time();
/// How long something that ends then still lasts.
std::optional<std::chrono::seconds> left_at(WallTime at, const std::optional<WallTime>& until);
Event make(std::string service, Payload what);
/// Without an address where its name has none.
ServerName server_name(const ServerState& server);
Event message(Level level, std::string text);

/// The service is about to go from its current target to that of the decision.
/// `standby`: this gateway serves nobody, here and below.
Event flipped(const ServiceState& service, const Decision& decision, const Flip& flip, bool standby = false);
Event first_target(const ServiceState& service, const Decision& decision, bool standby = false);
Event adopted(const ServiceState& service);
/// Mode observe: the shadow placement is about to go to the target of the decision.
Event shadow_moved(const ServiceState& service, const Decision& decision);

Event health_changed(const ServiceState& service, const ServerState& server, Time now);
Event flapping(const ServiceState& service, const ServerState& server, Time now);
Event flapping_ended(const ServiceState& service, const ServerState& server);
Event outage_doubted(const ServiceState& service, bool standby = false);
Event outage_doubt_ended(const ServiceState& service, Clock::duration lasted);
Event probe_warning(const ServiceState& service, const ServerState& server, const ProbeState& probe, const probes::ProbeResult& result);
// make_event_reload.cpp
Event new_probe_fails(const ServiceState& service, const ServerState& server, const ProbeState& probe);
Event new_probes_passed(const ServiceState& service, const ServerState& server);
Event former_serves(const ServiceState& service);
Event former_kept(const ServiceState& service);

Event probes_inconclusive(const probes::ProbeResult& result);
Event probes_conclusive();
Event clients_not_heard(std::string failure);

/// `client`: one of those that get no answer; nullopt: hanatd's own check got none.
Event path_trouble(const ServiceState& service, const std::optional<Address>& client);
Event path_finding(std::string service, Finding finding);

Event forced(const ServiceState& service, const Override& force);
Event override_restored(const ServiceState& service, const Override& force);
Event override_waits(const ServiceState& service);
/// `by`: who ended it; empty: it has expired.
Event override_ended(const ServiceState& service, std::string by);
Event override_lost(const ServiceState& service);
/// `server`: as it was until now.
Event override_dropped(std::string service, const ServerState& server, std::string by);
Event override_clock(std::string service, std::chrono::seconds ends_after);
Event override_shared(const ServiceState& service, const ServiceState& owner);
/// `disabled`: its server was; otherwise it is down.
Event override_void(const ServiceState& service, const ServerState& server, bool disabled);
Event override_moved(const ServiceState& service, const ServerState& from, const ServerState& to);

// make_event_maintenance.cpp
Event health_reported(const ServiceState& service, const ServerState& server);
Event report_ended(const ServiceState& service, const ServerState& server, std::string by);
Event server_disabled(const ServiceState& service, const ServerState& server);
/// `by`: who did it; empty: its time is over.
Event server_enabled(const ServiceState& service, const ServerState& server, std::string by);
Event maintenance_restored(const ServiceState& service, const ServerState& server);
Event maintenance_moved(const ServiceState& service, const ServerState& from, const ServerState& to);
Event maintenance_lost(std::string service, const ServerState& server);
Event maintenance_clock(std::string service, std::chrono::seconds ends_after);

// With the status of the flip by which the flows of the eviction left.
Event flows_cut(const ServiceState& service, const Eviction& eviction);
/// The evictions of the flip ended before their cut did: the server is the target again, or another service has its endpoint.
Event cut_cancelled(const ServiceState& service, const Flip& flip);
Event drain_begun(const ServiceState& service, const Eviction& eviction);
/// An operator gave it another end.
Event drain_changed(const ServiceState& service, const Eviction& eviction, std::string by, Time now);
Event drain_void(const ServiceState& service, const Eviction& eviction);
Event drained(const ServiceState& service, const Eviction& eviction, Time now);
/// `whole`: for all of its flows; otherwise the rest drains on.
Event drain_ended(const ServiceState& service, const Eviction& eviction, DrainEnd end, bool whole, Time now);
Event unexpected_flows(const ServiceState& service, const Eviction& eviction, std::uint64_t number);
Event foreign_flows(const ServiceState& service, const Mapping& mapping, std::uint64_t number);
/// `error`: empty where every answer of the kernel was incomplete.
Event flows_not_recorded(const ServiceState& service, const Eviction& eviction, std::string error);
Event conntrack_failed(bool counting, std::string error, std::chrono::seconds retry_after);

Event kernel_recovered();
Event kernel_refused(std::string error);
/// `was_there`: the table was changed, not removed.
Event table_restored(bool was_there);
Event table_replaced();
Event heartbeat_by_transaction(std::string error);
Event heartbeat_by_packet();
Event not_offloaded(std::string services, bool unknown, std::string error);

/// make_event_pair.cpp: what does not go together with [pair].
std::vector<Event> pair_warnings(const Config& config);

} // namespace hanat::events
