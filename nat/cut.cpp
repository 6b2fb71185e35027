// The cut: scan what the plan says, delete what matches while the dump still runs, and let one filtered delete do the rest where it is
// proven and the flows are many.
#include "nat/cut.hpp"

#include <algorithm>
#include <array>
#include <system_error>
#include <utility>

#include "nat/conntrack_socket.hpp"
#include "nat/cut_plan.hpp"
#include "nat/ladder.hpp"
#include "nat/port_range.hpp"

namespace hanat::nat {
namespace {

// From how many deleted entries a mapping on the rest is worth a filtered delete. Showing and deleting an entry costs about 4 us, a
// filtered delete 20 ms and 0.7 us an entry; but the kernel does not say how many it took, a dump that counts them first costs more than
// it saves, and so the count is then the change of the kernel's entry counter. Small cuts, which are nearly all, stay exact.
// (Measured on Linux 6.18, ms of processor time: 10,000 among 50,000 others 34 against 67, 100,000 113 against 412.)
constexpr std::uint64_t many_entries = 2'000;
constexpr std::size_t filtered_deletes_at_most = 8; // each looks at the whole table
constexpr int dumps_at_most = 3;                    // of a scan that the kernel calls incomplete; the caller sweeps again anyway

bool takes(Streams streams, Protocol protocol) {
  switch (streams) {
  case Streams::datagrams: return protocol != Protocol::tcp;
  case Streams::tcp: return protocol == Protocol::tcp;
  case Streams::all: return true;
  }
  return false;
}

/// A range has no port of the server, anything else has all.
bool is_whole(const Mapping& mapping) {
  return mapping.vip.port != 0 && (is_range(mapping.vip) ? mapping.vip.last > mapping.vip.port : mapping.server.port != 0);
}

/// The mappings of one family and the wanted protocols, each once. One of mixed families or without a port matches no entry.
std::vector<Mapping> select(std::span<const Mapping> mappings, Streams streams, Family family) {
  std::vector<Mapping> selected;
  for (const Mapping& mapping : mappings) {
    const bool ours = mapping.vip.address.family() == family && mapping.server.address.family() == family;
    if (ours && is_whole(mapping) && takes(streams, mapping.vip.protocol)) selected.push_back(mapping);
  }
  std::ranges::sort(selected);
  const auto duplicates = std::ranges::unique(selected);
  selected.erase(duplicates.begin(), duplicates.end());
  return selected;
}

/// Why a dump was left early.
enum class Leave : std::uint8_t { cancelled, many };

/// One scan of the plan.
class Sweep {
public:
  Sweep(ConntrackSocket& socket, Family family, const Scan& scan, Rung rung, const std::atomic<bool>& cancelled,
        const Cutter::OnDeleted& on_deleted)
      : socket_(socket), family_(family), scan_(scan), cancelled_(cancelled), on_deleted_(on_deleted), wanted_(scan.mappings) {
    const bool more_than_a_filter_says = std::ranges::any_of(
        scan.mappings, [](const Mapping& mapping) { return mapping.vip.protocol == Protocol::sctp || is_range(mapping.vip); });
    may_filter_ = rung == Rung::filtered_delete && !more_than_a_filter_says && scan.mappings.size() <= filtered_deletes_at_most;
  }

  CutCount run() {
    for (int dumps = 0; dumps < dumps_at_most && !cancelled_; ++dumps) {
      try {
        if (dump()) break;
      } catch (Leave leave) {
        if (leave == Leave::cancelled || delete_mappings()) break;
        may_filter_ = false; // refused although proven: entry by entry works everywhere
      }
    }
    return counts_;
  }

private:
  /// Returns whether the dump was complete.
  bool dump() {
    EntryDeletes batch;
    const bool complete = socket_.dump(family_, scan_.filter, {}, [&](const Entry& entry) {
      if (cancelled_) throw Leave::cancelled;
      const Mapping* of = wanted_.find(entry.mapping);
      if (of == nullptr) return;
      batch.add(entry, *of);
      if (!batch.full()) return;
      delete_entries(batch);
      if (may_filter_ && counts_.total() >= many_entries * scan_.mappings.size()) throw Leave::many;
    });
    if (!cancelled_) delete_entries(batch);
    return complete;
  }

  void delete_entries(EntryDeletes& batch) {
    socket_.delete_entries(batch, [this](const Mapping& mapping, std::uint64_t number) { deleted(mapping, number); });
  }

  void deleted(const Mapping& mapping, std::uint64_t number) {
    counts_.add(mapping.vip.protocol, number);
    if (on_deleted_) on_deleted_(mapping, number);
  }

  /// Returns false when the kernel refuses.
  bool delete_mappings() try {
    for (const Mapping& mapping : scan_.mappings) {
      if (cancelled_) return true;
      const std::uint32_t before = socket_.entries();
      socket_.delete_mapping(mapping);
      const std::uint32_t after = socket_.entries();
      deleted(mapping, before > after ? before - after : 0);
    }
    return true;
  } catch (const std::system_error&) {
    return false;
  }

  ConntrackSocket& socket_;
  Family family_;
  const Scan& scan_;
  const std::atomic<bool>& cancelled_;
  const Cutter::OnDeleted& on_deleted_;
  MappingIndex wanted_;
  bool may_filter_ = false;
  CutCount counts_;
};

/// One scan of a release.
class Release {
public:
  Release(ConntrackSocket& socket, Family family, const std::atomic<bool>& cancelled, const Cutter::OnDeleted& on_deleted)
      : socket_(socket), family_(family), cancelled_(cancelled), on_deleted_(on_deleted) {}

  void run(const Scan& scan, Released& into) try {
    const MappingIndex wanted{scan.mappings};
    const std::size_t connected_before = into.connected.size();
    for (int dumps = 0; dumps < dumps_at_most; ++dumps) {
      into.connected.resize(connected_before);
      const bool complete = socket_.dump(family_, scan.filter, {}, [&](const Entry& entry) {
        if (cancelled_) throw Leave::cancelled;
        if (const Mapping* of = wanted.find(entry.mapping)) take(entry, *of, into);
      });
      delete_entries();
      if (complete) return;
    }
  } catch (Leave) { // cancelled: what was deleted is told of
    delete_entries();
  }

private:
  void take(const Entry& entry, const Mapping& of, Released& into) {
    const Endpoint vip{.address = entry.mapping.vip.address, .port = entry.mapping.vip.port};
    switch (progress_of(entry)) {
    case Progress::connecting:
    case Progress::refused:
      into.unconnected.push_back({.mapping = of, .vip = vip, .client = entry.client});
      batch_.add(entry, of);
      if (batch_.full()) delete_entries();
      return;
    case Progress::standing: into.connected.push_back({.mapping = of, .vip = vip, .client = entry.client}); return;
    case Progress::over: return;
    }
  }
  void delete_entries() { socket_.delete_entries(batch_, on_deleted_); }

  ConntrackSocket& socket_;
  Family family_;
  const std::atomic<bool>& cancelled_;
  const Cutter::OnDeleted& on_deleted_;
  EntryDeletes batch_;
};

bool lives(const Entry& entry) {
  if (entry.mapping.vip.protocol != Protocol::tcp) return true;
  switch (progress_of(entry)) {
  case Progress::connecting:
  case Progress::standing: return true;
  case Progress::refused:
  case Progress::over: return false;
  }
  return false;
}

/// Adds the living flows of which `wanted` names a mapping. Returns false when it was cancelled, or the kernel's answer stayed incomplete.
template <typename Wanted>
bool look(ConntrackSocket& socket, Family family, const Filter& filter, const std::atomic<bool>& cancelled, const Wanted& wanted,
          Flows& into) try {
  for (int dumps = 0; dumps < dumps_at_most; ++dumps) {
    Flows seen;
    const bool complete = socket.dump(family, filter, {}, [&](const Entry& entry) {
      if (cancelled) throw Leave::cancelled;
      if (const std::optional<Mapping> of = wanted(entry.mapping); of && lives(entry)) ++seen[*of];
    });
    if (!complete) continue;
    for (const auto& [mapping, number] : seen) into[mapping] += number;
    return true;
  }
  return false;
} catch (Leave) {
  return false;
}

} // namespace

std::string_view to_text(Rung rung) {
  switch (rung) {
  case Rung::filtered_delete: return "filtered delete";
  case Rung::filtered_dump: return "filtered dump";
  case Rung::full_dump: return "full dump";
  }
  return "?";
}

CutCount& CutCount::operator+=(const CutCount& other) {
  tcp += other.tcp;
  udp += other.udp;
  sctp += other.sctp;
  return *this;
}

void CutCount::add(Protocol protocol, std::uint64_t number) {
  switch (protocol) {
  case Protocol::tcp: tcp += number; return;
  case Protocol::udp: udp += number; return;
  case Protocol::sctp: sctp += number; return;
  }
}

struct Cutter::Impl {
  ConntrackSocket socket;
  Standing ipv4, ipv6;

  const Standing& standing(Family family) const { return family == Family::ipv4 ? ipv4 : ipv6; }
};

Cutter::Cutter() : Cutter(Rung::filtered_delete) {}

Cutter::Cutter(Rung best, BeforeSend before_send)
    : impl_(std::make_unique<Impl>(Impl{.socket = ConntrackSocket{std::move(before_send)}, .ipv4 = {}, .ipv6 = {}})) {
  impl_->socket.entries(); // no conntrack netlink, no rights: said here
  impl_->ipv4 = prove(impl_->socket, Family::ipv4, best);
  impl_->ipv6 = prove(impl_->socket, Family::ipv6, best);
}

Cutter::~Cutter() = default;
Cutter::Cutter(Cutter&&) noexcept = default;
Cutter& Cutter::operator=(Cutter&&) noexcept = default;

Rung Cutter::rung(Family family) const { return impl_->standing(family).rung; }
const std::string& Cutter::proof(Family family) const { return impl_->standing(family).why; }

CutCount Cutter::cut(std::span<const Mapping> mappings, Streams streams, const std::atomic<bool>& cancelled, const OnDeleted& on_deleted) {
  CutCount counts;
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    const std::vector<Mapping> selected = select(mappings, streams, family);
    if (selected.empty()) continue;
    const Standing& standing = impl_->standing(family);
    for (const Scan& scan : plan(selected, standing.trust, impl_->socket.entries())) {
      if (cancelled) return counts;
      counts += Sweep{impl_->socket, family, scan, standing.rung, cancelled, on_deleted}.run();
    }
  }
  return counts;
}

Released Cutter::release(std::span<const Mapping> mappings, const std::atomic<bool>& cancelled, const OnDeleted& on_deleted) {
  Released released;
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    const std::vector<Mapping> selected = select(mappings, Streams::tcp, family);
    if (selected.empty()) continue;
    for (const Scan& scan : plan(selected, impl_->standing(family).trust, impl_->socket.entries()))
      if (!cancelled) Release{impl_->socket, family, cancelled, on_deleted}.run(scan, released);
  }
  return released;
}

std::optional<Flows> Cutter::count(std::span<const Mapping> mappings, const std::atomic<bool>& cancelled) {
  Flows flows;
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    const std::vector<Mapping> selected = select(mappings, Streams::all, family);
    if (selected.empty()) continue;
    for (const Scan& scan : plan(selected, impl_->standing(family).trust, impl_->socket.entries())) {
      const MappingIndex wanted{scan.mappings};
      const auto mapping_of = [&wanted](const Mapping& entry) {
        const Mapping* of = wanted.find(entry);
        return of == nullptr ? std::nullopt : std::optional{*of};
      };
      if (!look(impl_->socket, family, scan.filter, cancelled, mapping_of, flows)) return std::nullopt;
    }
  }
  return flows;
}

std::optional<Flows> Cutter::strays(const Ledger& ledger, const std::atomic<bool>& cancelled) {
  Flows flows;
  for (const Family family : {Family::ipv4, Family::ipv6}) // a dump that shows nothing costs 20 ms too
    if (ledger.about(family) &&
        !look(
            impl_->socket, family, {}, cancelled, [&ledger](const Mapping& entry) { return ledger.stray(entry); }, flows))
      return std::nullopt;
  return flows;
}

} // namespace hanat::nat
