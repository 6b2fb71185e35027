// The table in the kernel: reads, loads, changes and watches it. Every change is one transaction.
// Not here: what the table should contain (daemon), conntrack entries (conntrack/cut).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "nat/netlink.hpp"
#include "nat/nftables/commit_watch.hpp"
#include "nat/nftables/set_elements.hpp"
#include "nat/nftables/table_reader.hpp"
#include "nat/nftables/table_state.hpp"
#include "nat/nftables/transaction.hpp"

namespace hanat::nat {

/// A table of this name exists and is not hanat's. It is never changed. what() says what to do.
struct ForeignTable : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The table is owned by another running hanatd. what() says what to do.
struct TableInUse : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The kernel has no flowtables. what() is its answer.
struct NoFlowtables : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The table as read from the kernel.
struct Loaded {
  TableState state;
  std::map<SetKind, EndpointMap> endpoints{};
  bool settling = false; // the guard drops what fits no flow
  bool in_order = false; // the layout is exactly as intended: every chain, rule, set and element, and no others
};

enum class Ownership : std::uint8_t {
  exclusive, // owner|persist where the kernel has it (6.9 and later): no other process can change the table, and it outlives hanatd
  shared,    // on older kernels: anybody with CAP_NET_ADMIN can change the table, so it is watched
};

/// What is loaded and of no service alone.
struct LoadedParts {
  bool known = false; // what is loaded; before that, endpoints are what was found
  Gates gates;
  RangeNumbers numbers;
  std::map<SetKind, EndpointMap> endpoints;
  bool settling = false;
  RuleOptions rules;      // what the loaded ones are for
  ProbePorts probe_ports; // what they have to be for
  bool notrack = false;   // the chain `untracked` is loaded
  bool flowtable = false; // and the chain that puts flows on it
  RuleOptions rules_for_now() const;
};

class NftTable {
public:
  explicit NftTable(std::string table, Ownership ownership = Ownership::exclusive);

  /// nullopt: no table of this name. Throws ForeignTable, TableInUse, std::system_error.
  std::optional<Loaded> read();
  /// Takes over a table that was read and is in order, without changing it.
  void adopt(const TableState& loaded);
  /// Replaces the whole table with the layout and `state`, in one transaction.
  void load(const TableState& state);
  /// Changes the elements that differ, in one transaction. `from` must be the loaded state of the same services. Equal states send nothing.
  /// Throws std::system_error if the kernel refuses; then nothing has changed. After a lost reply (ENOBUFS, ETIMEDOUT) the table is read
  /// to find out whether the change was made.
  void change(const TableState& from, const TableState& to);
  /// The same for many services at once; no two of them share an element. `settling`: what is to be loaded of the switch of that name,
  /// which is of no service, in the same transaction; nullopt: it stays.
  void change(std::span<const Step> steps, std::optional<bool> settling = std::nullopt);
  /// Changes the elements of one of endpoint_sets that differ, in one transaction. Exceptions and lost replies as for change().
  void set_endpoints(SetKind kind, const EndpointMap& intended);
  /// Renews the heartbeat element, where HeartbeatSocket cannot: without a heartbeat for nat::heartbeat_for the guard holds no refusals.
  /// Throws std::system_error.
  void heartbeat();
  /// Loads or removes the chain that lets replies to untracked probes bypass conntrack while its table is full. Throws std::system_error.
  void set_notrack(bool on);
  bool is_notrack_set() const { return shared_.notrack; }
  /// Loads hanat's flowtable, with the interfaces whose packets it forwards, and the chain that puts the established flows of the set
  /// `offloaded` on it; or changes the interfaces; nullopt: removes both, and every flow leaves it. Throws NoFlowtables, std::system_error:
  /// an interface may have gone meanwhile.
  void set_flowtable(const std::optional<Devices>& devices);
  bool has_flowtable() const { return shared_.flowtable; }
  /// The rules have to be for these ports. Where others are loaded, read() finds the table not in order, and load() makes it so.
  void set_probe_ports(const ProbePorts& ports) { shared_.probe_ports = ports; }
  /// Whether only this process can change the table.
  bool owns_table() const { return owns_; }
  /// Deletes the table if it exists.
  void remove();

  /// Becomes readable on a commit to nf_tables; never while owns_table().
  int watch_fd() const { return watch_.fd(); }
  /// Reads the queued notifications. True if others changed our table, or if messages were lost.
  bool changed_by_others() { return watch_.changed_by_others() && !owns_; }
  /// Whether there was a commit without a notification, or the rules would be others today. Costs one request at most, whatever the
  /// table's size. Throws std::system_error.
  bool missed_a_commit();

private:
  TableReader reader() { return {socket_, table_}; }
  void send(const Transaction& transaction, const char* what);
  using Verify = std::function<bool()>;
  void commit(TransactionBuilder& builder, const char* what, const Verify& is_applied);
  bool is_applied(std::span<const Step> steps, bool settling);
  std::optional<Loaded> read_once();

  std::string table_;
  Ownership ownership_;
  Netlink socket_;
  CommitWatch watch_;
  bool owns_ = false;
  LoadedParts shared_;
};

} // namespace hanat::nat
