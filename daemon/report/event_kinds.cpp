// The table: a kind of event without a row, or with two, does not compile.
#include "daemon/report/event_kinds.hpp"

#include <tuple>
#include <type_traits>
#include <variant>

namespace hanat {
namespace {

/// `What` is a kind of event.
template <typename What> struct Row : EventKind {};

// An identifier never changes and is never used again. A new one: systemd-id128 new.
constexpr std::tuple kinds{
    // The target of a service
    Row<events::Flipped>{"flip", "75a899e4ae63498bb1ce99bfb422ecb4"},
    Row<events::FirstTarget>{"first-target", "c51ce22a8db44372837c6af87b8ceb80"},
    Row<events::Adopted>{"adopted", "57872db84bae445183bb408b3a63b4e8"},
    Row<events::ShadowMoved>{"would-move", "8da96075272d493fa7ac723dbc681970"},
    // Health
    Row<events::HealthChanged>{"health", "9474fd52a36e4bd6afe5c92416135f6e"},
    Row<events::HealthReported>{"reported", "a08b60e5511a4d0995e8ebaa21b2ea99"},
    Row<events::ReportEnded>{"report-ended", "b3a0d31ec2ca4a96a55a84e55752bb6b"},
    Row<events::ProbesInconclusive>{"probes-inconclusive", "a35c558db59749cfbc5f7081a690ebf3"},
    Row<events::ProbesConclusive>{"probes-conclusive", "22a8003d1c5a4811902bed600b434bc6"},
    Row<events::ClientsNotHeard>{"clients-not-heard", "6c53c2f65ce3443083632ad5a391f2dd"},
    Row<events::Flapping>{"flapping", "b494c4be02634048adcb9f3339668a10"},
    Row<events::FlappingEnded>{"flapping-ended", "c9f433857e1b4d06af205d7602a8c6a4"},
    Row<events::OutageDoubted>{"outage-doubted", "80ee30fe8efa4802a76f788933e25173"},
    Row<events::OutageDoubtEnded>{"outage-doubt-ended", "d4088db051f846a1a48af6bccd048192"},
    Row<events::ProbeWarning>{"probe-warning", "efdecda0f4d34e71903033940b3c00f7"},
    Row<events::NewProbeFails>{"new-probe-fails", "b4283d09979041ecb7cbf0543ea27b13"},
    Row<events::NewProbesPassed>{"new-probes-passed", "6fc0118bc24b4a2eaa5c6bc23af5f29f"},
    Row<events::FormerServes>{"former-serves", "2f6bdf15f74a42ddabe0afd1a6691db8"},
    Row<events::FormerKept>{"former-kept", "87aa9e11c810432e93ec4a4055a7455b"},
    // The way of the clients
    Row<events::PathTrouble>{"path", "fe54f5f3caf24cf597ae51acb7ea9d9a"},
    Row<events::PathFinding>{"path-finding", "0a4a12297c17431aabda555d94ae7af0"},
    Row<events::PathTroubleEnded>{"path-ended", "58fbe8ab7b444df599990e03418d9ea9"},
    Row<events::SettingChanged>{"setting", "2929be5c436248dd842fade3b808f492"},
    // Names of servers
    Row<events::NameChanged>{"name", "61a0d4965eb44e4da0b3edee60a1a096"},
    Row<events::NameFails>{"name-fails", "862ddc7ad97f4eb2a8f33b45ed2f4a34"},
    Row<events::NameResolves>{"name-resolves", "ac55e4da8e1c4156b0d5ddc1fd743d81"},
    // Interfaces that services listen on
    Row<events::InterfaceChanged>{"interface", "15a07968dfec411ea3b71ef03698fa14"},
    Row<events::AddressHeld>{"address-held", "ab3f1e28a97346519884c473816dbd58"},
    Row<events::ListenOverlaps>{"listen-overlaps", "08a2f63e94ee4e638547aee356ffae25"},
    // Operators
    Row<events::Forced>{"forced", "4b7e1777872e4c7ba96fcc7f3e1a33c9"},
    Row<events::OverrideRestored>{"override-restored", "c2f0ce3d84974d5da05d4a1678e6564f"},
    Row<events::OverrideWaits>{"override-waits", "1291f3651d4c48448c2c898d0ede7a51"},
    Row<events::OverrideEnded>{"override-ended", "caff33d7388c454d8be379f49e4a6631"},
    Row<events::OverrideLost>{"override-lost", "38ce508fd9e146579fd89efe522c966d"},
    Row<events::OverrideDropped>{"override-dropped", "837be9f4ecee491a84ef298a58dbcc8d"},
    Row<events::OverrideClock>{"override-clock", "9cc33f1c5efc4c8297d31747068ac0be"},
    Row<events::OverrideShared>{"override-shared", "6fe750ae263444ae9d4c360b85631d31"},
    Row<events::OverrideVoid>{"override-void", "87912bb1203340faab1fdacd19d1f547"},
    Row<events::OverrideMoved>{"override-moved", "5fd63c2eb33f455d8687bc0acc549789"},
    Row<events::ServerDisabled>{"disabled", "84492062ef894265a0c95c15cff9cda8"},
    Row<events::ServerEnabled>{"enabled", "41bc9b5124e042deae469f504b8a0bce"},
    Row<events::MaintenanceRestored>{"disabled-restored", "374bbe4afca4466986b2ccd694561f28"},
    Row<events::MaintenanceMoved>{"disabled-moved", "eb7808d2383943869d48ac7f94018ca1"},
    Row<events::MaintenanceLost>{"disabled-lost", "e47ff781a80c4cf4915e9257c848ba7c"},
    Row<events::MaintenanceClock>{"disabled-clock", "ac3a519474fd4ee0bc36a8cd64087606"},
    // Old flows
    Row<events::FlowsCut>{"cut", "bacda89266244fc59d875b255d3b89a4"},
    Row<events::CutCancelled>{"cut-cancelled", "f3112bb67d3b4fd7942c0cfb0bd5865b"},
    Row<events::DrainBegun>{"drain-begun", "c59e12ce9dd348949b44121520dea3bb"},
    Row<events::DrainChanged>{"drain-changed", "184af18f3378496ba030e663be76e914"},
    Row<events::DrainVoid>{"drain-void", "7336f6390661473ab43318dac42e6a1e"},
    Row<events::Drained>{"drained", "e9e673e219c046929d7f1cb79e4fc670"},
    Row<events::DrainEnded>{"drain-ended", "6aeac25c32a048dcbff7a0403dd93322"},
    Row<events::UnexpectedFlows>{"unexpected-flows", "e0c1df42cd884024bffa5cc7a6096192"},
    Row<events::ForeignFlows>{"foreign-flows", "a21f4f2e6a504915b5988ac2b594dee8"},
    Row<events::FlowsNotRecorded>{"flows-not-recorded", "59819347ae39469ba366d25bdff2d102"},
    Row<events::ConntrackFailed>{"conntrack-failed", "7ba9396c91584f46a5459c2923cdb338"},
    // The table in the kernel
    Row<events::KernelRefused>{"kernel-refused", "05056fe6345a43f982b36826a7c7852d"},
    Row<events::KernelRecovered>{"kernel-recovered", "68feccc3ef63440bbc2d1d34d8796883"},
    Row<events::TableRestored>{"table-restored", "524153198d9e46df95779e57265438e5"},
    Row<events::TableReplaced>{"table-replaced", "2ec7e067626c4a8ca9e38a9ad6e096e9"},
    Row<events::HeartbeatByTransaction>{"heartbeat-by-transaction", "63c515725bf243dda2437d2e61d17acb"},
    Row<events::HeartbeatByPacket>{"heartbeat-by-packet", "c511e875d5374029986224072894c879"},
    Row<events::NotOffloaded>{"not-offloaded", "968446b287734ba18021d7fb4020ccd3"},
    Row<events::TableNotRemoved>{"table-not-removed", "4ad5cc1c6fb04b2394c407caa92df478"},
    // hanatd itself
    Row<events::CutMethod>{"cut-method", "52f66224c4d6487c8c16bb4709b31ae6"},
    Row<events::Started>{"started", "5146fd5bc69c44c7bc966dbf427b2837"},
    Row<events::Stopping>{"stopping", "18173320a03d48e2bfb81f67fa7d7480"},
    Row<events::NudgingOff>{"nudging-off", "faf4ec9945d64071904df47b840a6681"},
    Row<events::OperatorsUnknown>{"operators-unknown", "de1b79396cd248ecb0f258f1a8d8bdad"},
    Row<events::ConfigError>{"config-error", "050931051bbc4fccbb1c89a994e1c799"},
    Row<events::ConfigRefused>{"config-refused", "4af8d54b705046de8b5beec98d65c60f"},
    Row<events::ConfigReloaded>{"config-reloaded", "28c3a3b9ca9043e493ac7f5760d31feb"},
    Row<events::ReloadFailed>{"reload-failed", "b24c5fe658c94f23a75388bee10bb84e"},
    Row<events::ReloadHangs>{"reload-hangs", "9381a13c409641dc954447ede127070d"},
    Row<events::ConfigUnconfirmed>{"config-unconfirmed", "d1504fa37cb04736b4e4fabf0a939926"},
    Row<events::ConfigConfirmed>{"config-confirmed", "7fd6a1454a5441fa8798fd059de7dbb9"},
    Row<events::ConfigReverted>{"config-reverted", "ff5123fe0dee42fdb33e42dd472314b7"},
    Row<events::ConfigNotCopied>{"config-not-copied", "214b8cc8509f46618d298df05312f032"},
    Row<events::StateNotSaved>{"state-not-saved", "ac538bf0ffd34fa39605f2b80e22778a"},
    Row<events::HistoryNotWritten>{"history-not-written", "69c66db68e3f49f48ec2f626bbd7a12c"},
    Row<events::HistoryWritten>{"history-written", "8fe31166bed34912af562cfc0250f806"},
    Row<events::MessagesLost>{"messages-lost", "966676d66ba345da8cac5f6c2797db81"},
    Row<events::MetricsNotServed>{"metrics-not-served", "dfa8e376dd124a5582999da171101053"},
    Row<events::Message>{"message", "709a96e462864497888d6f96f2d8c893"},
    // A pair of gateways
    Row<events::RoleChanged>{"role", "26575f45c6a14497bbe2d1289749910c"},
    Row<events::MasqueradeInPair>{"masquerade-in-pair", "7dc65462fb024529be5c1653d6d9b2c5"},
    Row<events::TrackFileNotWritten>{"track-file-not-written", "6d6b0bca1f2044af9d2a703f8d7c0761"},
    Row<events::PeerSeen>{"peer-seen", "8dab26031cc5485f9d67b7ad288a56af"},
    Row<events::PeerLost>{"peer-lost", "0e52964ad511468caa1e93a1489d4763"},
    Row<events::PeerRefused>{"peer-refused", "ee98361cfb67400182554c59fa719ae9"},
    Row<events::PeerNotServed>{"peer-not-served", "6dda085c4d124850836cad36f6ded3d6"},
    Row<events::PeerListed>{"peer-listed", "0c0638c8a42647988d13fdc45efa7023"},
    Row<events::PeerDiffers>{"peer-differs", "6ddb680107a44223bcd5e209d0ea69b4"},
    Row<events::PeerAgrees>{"peer-agrees", "96467cadee864faf9b34dbcadb4a5de2"},
    Row<events::PairSplit>{"pair-split", "a3b483a9f4b34ad8972715e9d2a832ea"},
    Row<events::PairJoined>{"pair-joined", "dee6119874d147d5808aed69ff858ab1"},
    Row<events::PairIdle>{"pair-idle", "a5125e83dc624ea4af60c363035d0fcb"},
    Row<events::ConntrackdChanged>{"conntrackd", "e3ba8597420446e093217263f6a6d38d"},
    Row<events::KeepalivedChanged>{"keepalived", "9faaf720b6464a99909b6f3293ba9f88"},
    Row<events::CommandForwarded>{"command-forwarded", "64cae7df4060448c83ee8dcce75cdfa1"},
    // Programs that are told of events
    Row<events::HookFailed>{"hook-failed", "0ac29968e42d44a7ad88cd2c90c21a68"},
};
static_assert(std::tuple_size_v<decltype(kinds)> == std::variant_size_v<events::Payload>);

} // namespace

EventKind kind_of(const Event& event) {
  return std::visit([](const auto& what) -> EventKind { return std::get<Row<std::decay_t<decltype(what)>>>(kinds); }, event.what);
}

std::vector<EventKind> event_kinds() {
  return std::apply([](const auto&... row) { return std::vector<EventKind>{row...}; }, kinds);
}

} // namespace hanat
