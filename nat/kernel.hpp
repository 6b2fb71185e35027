// The table in the kernel: read it, load it, change it, watch it. Every change is one transaction.
// Not here: what the table should say (daemon), conntrack entries (cut).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "nat/commit_watch.hpp"
#include "nat/elements.hpp"
#include "nat/netlink.hpp"
#include "nat/rules.hpp"
#include "nat/transaction.hpp"

namespace hanat::nat {

/// A table of our name that hanat did not make; it is never touched. what() says how to go on.
struct ForeignTable : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The table belongs to a process that lives: another hanatd. what() says how to go on.
struct TableInUse : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// What stands in the kernel.
struct Loaded {
  Rules rules;
  bool in_order = false; // the layout is exactly ours: no chain, rule, set or element more, less or otherwise
};

enum class Ownership : std::uint8_t {
  exclusive, // owner|persist where the kernel has it (6.9 and later): nobody else can change the table, and it survives hanatd
  shared,    // as on older kernels: anybody with CAP_NET_ADMIN can change the table; watch it
};

class Kernel {
public:
  explicit Kernel(std::string table, Ownership ownership = Ownership::exclusive);

  /// nullopt: no such table. Throws ForeignTable, TableInUse, std::system_error.
  std::optional<Loaded> read();
  /// Takes over a table that is in order and was read before, as it is.
  void adopt(const Rules& loaded);
  /// Replaces the whole table by the layout and `rules`, in one transaction.
  void load(const Rules& rules);
  /// Changes the elements that differ, in one transaction; `from` must be what is loaded of the same services. Nothing happens for equal
  /// rules. Throws std::system_error when the kernel refuses: then nothing has changed. A lost answer (ENOBUFS, ETIMEDOUT) is no
  /// refusal: the table tells then whether the change was made.
  void change(const Rules& from, const Rules& to);
  /// The same for many services at once, none of which has an element of another.
  void change(std::span<const Step> steps);
  /// The heartbeat: without one for nat::alive_for the guard holds nothing. Throws std::system_error.
  void keep_alive();
  /// Whether answers to untracked probes pass by conntrack: a chain of their own, while its table is full. Throws std::system_error.
  void pass_by_conntrack(bool on);
  bool passes_by_conntrack() const { return passes_by_; }
  /// Whether the kernel lets nobody but this process change the table.
  bool owns_table() const { return owns_; }
  /// Deletes the table, if it is there.
  void remove();

  /// Becomes readable when somebody commits to nf_tables.
  int watch_fd() const { return watch_.fd(); }
  /// Reads what the watch brought: true when somebody else touched our table, or messages were lost.
  bool disturbed() { return watch_.disturbed(); }
  /// Whether a commit came that the watch did not tell of; costs one request, whatever the size of the table. Throws std::system_error.
  bool missed_a_commit() { return watch_.missed(generation()); }

private:
  struct Found;
  struct LayoutText;
  std::optional<Found> find_table();
  static LayoutText wanted_layout(const std::string& table);
  LayoutText read_layout();
  Decoded read_elements(const LayoutText& found, const LayoutText& wanted);
  void dump(std::uint16_t type, const std::function<void(nlmsghdr*)>& fill, const Netlink::OnMessage& on_message, const char* what);
  void send(const Transaction& transaction, const char* what);
  using Stands = std::function<bool()>;
  void commit(TransactionBuilder& builder, const char* what, const Stands& stands);
  bool carried_out(std::span<const Step> steps);
  std::uint32_t generation();

  std::string table_;
  Ownership ownership_;
  Netlink socket_;
  CommitWatch watch_;
  bool owns_ = false;
  bool passes_by_ = false; // `untracked` is loaded
  Armed armed_;            // of what is loaded
};

} // namespace hanat::nat
