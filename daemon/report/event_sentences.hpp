// The sentence of every kind of event, for event_text alone. Not here: levels, fields, the history (event_text).
#pragma once

#include <string>

#include "daemon/report/event.hpp"

namespace hanat::events {

class Sentences {
public:
  explicit Sentences(const std::string& service) : service_(service) {}

  // event_text.cpp
  std::string operator()(const Flipped& flip) const;
  std::string operator()(const FirstTarget& first) const;
  std::string operator()(const Adopted& adopted) const;
  std::string operator()(const ShadowMoved& moved) const;
  std::string operator()(const HealthChanged& changed) const;
  // event_text_doubt.cpp
  std::string operator()(const Flapping& flapping) const;
  std::string operator()(const FlappingEnded& flapping) const;
  std::string operator()(const OutageDoubted& doubt) const;
  std::string operator()(const OutageDoubtEnded& doubt) const;
  std::string operator()(const HealthReported& reported) const;
  std::string operator()(const ReportEnded& ended) const;
  std::string operator()(const ProbeWarning& warning) const;
  std::string operator()(const NewProbeFails& failing) const;
  std::string operator()(const NewProbesPassed& passed) const;
  std::string operator()(const FormerServes& serves) const;
  std::string operator()(const FormerKept& kept) const;

  // event_text.cpp
  std::string operator()(const ProbesInconclusive& probes) const;
  std::string operator()(const ProbesConclusive&) const;
  std::string operator()(const ClientsNotHeard& clients) const;
  std::string operator()(const PathTrouble& trouble) const;
  std::string operator()(const PathFinding& found) const;
  std::string operator()(const SettingChanged& changed) const;
  std::string operator()(const PathTroubleEnded& ended) const;
  std::string operator()(const Forced& forced) const;
  std::string operator()(const OverrideRestored& restored) const;
  std::string operator()(const OverrideWaits& override) const;
  std::string operator()(const OverrideEnded& override) const;
  std::string operator()(const OverrideLost& override) const;
  std::string operator()(const OverrideDropped& override) const;
  std::string operator()(const OverrideClock& override) const;
  std::string operator()(const OverrideShared& override) const;

  // event_text_names.cpp
  std::string operator()(const NameChanged& changed) const;
  std::string operator()(const NameFails& fails) const;
  std::string operator()(const NameResolves& resolves) const;
  std::string operator()(const InterfaceChanged& changed) const;
  std::string operator()(const AddressHeld& address) const;
  std::string operator()(const ListenOverlaps& overlaps) const;

  // event_text_peer.cpp: the other gateway of a pair
  std::string operator()(const PeerSeen& seen) const;
  std::string operator()(const PeerLost& lost) const;
  std::string operator()(const PeerRefused& refused) const;
  std::string operator()(const PeerNotServed& served) const;
  std::string operator()(const PeerListed& listed) const;
  std::string operator()(const PeerDiffers& differs) const;
  std::string operator()(const PeerAgrees&) const;
  std::string operator()(const PairSplit& split) const;
  std::string operator()(const PairJoined& joined) const;
  std::string operator()(const PairIdle& idle) const;
  std::string operator()(const ConntrackdChanged& changed) const;
  std::string operator()(const KeepalivedChanged& changed) const;
  std::string operator()(const CommandForwarded& command) const;

  // event_text_maintenance.cpp: servers out of service, and what ends or moves an override
  std::string operator()(const OverrideVoid& override) const;
  std::string operator()(const OverrideMoved& override) const;
  std::string operator()(const ServerDisabled& disabled) const;
  std::string operator()(const ServerEnabled& enabled) const;
  std::string operator()(const MaintenanceRestored& restored) const;
  std::string operator()(const MaintenanceMoved& moved) const;
  std::string operator()(const MaintenanceLost& lost) const;
  std::string operator()(const MaintenanceClock& clock) const;

  // event_text_drain.cpp: old flows
  std::string operator()(const FlowsCut& cut) const;
  std::string operator()(const CutCancelled& cut) const;
  std::string operator()(const DrainBegun& drain) const;
  std::string operator()(const DrainChanged& drain) const;
  std::string operator()(const DrainVoid& drain) const;
  std::string operator()(const Drained& drain) const;
  std::string operator()(const DrainEnded& drain) const;
  std::string operator()(const UnexpectedFlows& found) const;
  std::string operator()(const ForeignFlows& found) const;
  std::string operator()(const FlowsNotRecorded& flows) const;
  std::string operator()(const ConntrackFailed& failure) const;

  // event_text_daemon.cpp: the table, the daemon itself
  std::string operator()(const KernelRefused& refusal) const;
  std::string operator()(const KernelRecovered&) const;
  std::string operator()(const TableRestored& table) const;
  std::string operator()(const TableReplaced&) const;
  std::string operator()(const HeartbeatByTransaction& heartbeat) const;
  std::string operator()(const HeartbeatByPacket&) const;
  std::string operator()(const TableNotRemoved& table) const;
  std::string operator()(const CutMethod& method) const;
  std::string operator()(const Started& started) const;
  std::string operator()(const Stopping&) const;
  std::string operator()(const NotOffloaded& refused) const;
  std::string operator()(const NudgingOff& nudging) const;
  std::string operator()(const OperatorsUnknown& operators) const;
  std::string operator()(const ConfigError& error) const;
  std::string operator()(const ConfigRefused& refused) const;
  std::string operator()(const ConfigReloaded& reloaded) const;
  std::string operator()(const ReloadFailed& reload) const;
  std::string operator()(const ReloadHangs& reload) const;
  std::string operator()(const ConfigUnconfirmed& config) const;
  std::string operator()(const ConfigConfirmed& config) const;
  std::string operator()(const ConfigReverted& config) const;
  std::string operator()(const ConfigNotCopied& copy) const;
  std::string operator()(const StateNotSaved& state) const;
  std::string operator()(const HistoryNotWritten& history) const;
  std::string operator()(const HistoryWritten&) const;
  std::string operator()(const MessagesLost& lost) const;
  std::string operator()(const MetricsNotServed& metrics) const;
  std::string operator()(const HookFailed& failed) const;
  std::string operator()(const Message& message) const;

  // event_text_pair.cpp: a gateway of a pair
  std::string operator()(const RoleChanged& change) const;
  std::string operator()(const MasqueradeInPair& masquerade) const;
  std::string operator()(const TrackFileNotWritten& file) const;

private:
  const std::string& service_; // that the event is about
};

} // namespace hanat::events
