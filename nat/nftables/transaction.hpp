// A change of the table as bytes: one nf_tables batch, applied whole or not at all. Pure: values in, bytes out.
// Not here: sending it (table), what should change (daemon).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "nat/nftables/layout.hpp"
#include "nat/nftables/set_elements.hpp"
#include "nat/nftables/table_state.hpp"

struct nlmsghdr;

namespace hanat::nat {

/// A finished batch. Only its last message asks for an acknowledgement: hundreds of them would overflow the receive buffer, and then it is
/// unknown whether the batch was applied.
struct Transaction {
  std::vector<std::uint8_t> bytes;
  std::uint32_t first_sequence = 0;
  std::uint32_t last_sequence = 0; // of the message with the acknowledgement
  bool empty() const { return last_sequence == first_sequence; }
};

/// The loaded and the desired state of one service.
struct Step {
  const TableState& from;
  const TableState& to;
};

class TransactionBuilder {
public:
  /// Message numbers start at `first_sequence`. With `generation` the kernel refuses the batch (ERESTART) if the ruleset has changed since.
  TransactionBuilder(std::string table, std::uint32_t first_sequence, std::optional<std::uint32_t> generation = std::nullopt);

  /// NEWTABLE; the flags may claim ownership, if the kernel knows them.
  TransactionBuilder& add_table(std::uint32_t flags);
  TransactionBuilder& add_table(std::uint32_t flags, const std::string& comment);
  TransactionBuilder& delete_table();
  /// The sets, chains and rules of the layout.
  TransactionBuilder& add_layout(const RuleOptions& options = {});
  TransactionBuilder& add_objects(const Layout& layout);
  TransactionBuilder& add_elements(const ElementLists& lists);
  TransactionBuilder& delete_elements(const ElementLists& lists);
  /// The elements of one libnftnl set.
  TransactionBuilder& add_elements(const nftnl_set& set);
  TransactionBuilder& delete_elements(const nftnl_set& set);
  /// The elements that differ: all deletes before all adds, so that a key can get other data or another service.
  TransactionBuilder& change(std::span<const Step> steps, const Gates& gates_before, const Gates& gates_after);
  TransactionBuilder& change(const TableState& from, const TableState& to, const Gates& gates_before, const Gates& gates_after) {
    const Step step{.from = from, .to = to};
    return change({&step, 1}, gates_before, gates_after);
  }

  /// The elements of one of endpoint_sets that differ.
  TransactionBuilder& change_endpoints(SetKind kind, const EndpointMap& from, const EndpointMap& to);

  /// Restarts the timeout of the heartbeat element. Adding it does not restart the timeout, and deleting an expired element would fail the
  /// batch: so it is added, deleted and added again, in a batch of its own, so that it cannot make a flip fail.
  TransactionBuilder& heartbeat();

  /// The chain `untracked` with its rule.
  TransactionBuilder& add_untracked_replies(const ProbePorts& ports);
  TransactionBuilder& delete_untracked_replies();

  Transaction finish();

private:
  using Fill = std::function<void(nlmsghdr*)>;
  void message(std::uint16_t type, std::uint16_t flags, const Fill& fill);
  void elements(std::uint16_t type, std::uint16_t flags, const ElementLists& lists, bool keys_only);
  void add_chain(const nftnl_chain* chain);
  void add_rule(nftnl_rule* rule);

  std::string table_;
  Transaction transaction_;
  std::uint32_t sequence_;
  std::size_t last_message_ = 0; // offset in bytes
};

/// The elements that a change from `from` to `to` deletes and adds, without gates.
struct Difference {
  ElementLists deleted, added;
};
Difference difference(const TableState& from, const TableState& to);
/// The same for many services.
Difference difference(std::span<const Step> steps);

} // namespace hanat::nat
