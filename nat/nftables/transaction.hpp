// A change of the table as bytes: one nf_tables batch, applied whole or not at all. Pure: values in, bytes out.
// Not here: sending it (table), what should change (daemon).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "nat/nftables/difference.hpp"
#include "nat/nftables/layout.hpp"

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
  /// The elements of one libnftnl set.
  TransactionBuilder& add_elements(const nftnl_set& set);
  TransactionBuilder& delete_elements(const nftnl_set& set);
  /// The elements that differ: all deletes before all adds, so that a key can get other data or another service.
  TransactionBuilder& change(const Difference& difference);

  /// Restarts the timeout of the heartbeat element. Adding it does not restart the timeout, and deleting an expired element would fail the
  /// batch: so it is added, deleted and added again, in a batch of its own, so that it cannot make a flip fail.
  TransactionBuilder& heartbeat();

  /// The chain `untracked` with its rule.
  TransactionBuilder& add_untracked_replies(const ProbePorts& ports);
  TransactionBuilder& delete_untracked_replies();

  /// The flowtable, without devices, and the chain `offloading` with its rules.
  TransactionBuilder& add_offloading();
  TransactionBuilder& delete_offloading();
  TransactionBuilder& change_devices(const Devices& gone, const Devices& come);

  Transaction finish();

private:
  template <typename Fill> void message(std::uint16_t type, std::uint16_t flags, const Fill& fill);
  void elements(std::uint16_t type, std::uint16_t flags, const ElementLists& lists);
  void add_chain(const nftnl_chain* chain);
  void add_rule(nftnl_rule* rule);
  void delete_chain(const char* name);
  void devices(std::uint16_t type, std::uint16_t flags, const Devices& names);

  std::string table_;
  Transaction transaction_;
  std::uint32_t sequence_;
  std::size_t last_message_ = 0; // offset in bytes
};

} // namespace hanat::nat
