// A change of the table as bytes: one nf_tables batch, all or nothing. Pure: values in, bytes out.
// Not here: sending it (kernel), what should change (daemon).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "nat/elements.hpp"
#include "nat/rules.hpp"

struct nlmsghdr;

namespace hanat::nat {

/// A finished batch. Only its last message asks for an acknowledgement: hundreds of them overflow a receive buffer, and then nobody knows
/// whether the batch was taken.
struct Transaction {
  std::vector<std::uint8_t> bytes;
  std::uint32_t first_sequence = 0;
  std::uint32_t last_sequence = 0; // of the message that is acknowledged
  bool empty() const { return last_sequence == first_sequence; }
};

/// What is loaded of a service, and what is to be.
struct Step {
  const Rules& from;
  const Rules& to;
};

class TransactionBuilder {
public:
  /// Message numbers begin at `first_sequence`. With `generation` the kernel refuses the batch (ERESTART) when the ruleset has changed
  /// since.
  TransactionBuilder(std::string table, std::uint32_t first_sequence, std::optional<std::uint32_t> generation = std::nullopt);

  /// NEWTABLE; with flags that claim ownership where the kernel knows them.
  TransactionBuilder& add_table(std::uint32_t flags);
  TransactionBuilder& delete_table();
  /// Sets, chains and rules of the layout.
  TransactionBuilder& add_layout();
  TransactionBuilder& add_elements(const ElementLists& lists);
  TransactionBuilder& delete_elements(const ElementLists& lists);
  /// The elements that differ, all deletes before all adds, so that one key may get other data or another service.
  TransactionBuilder& change(std::span<const Step> steps, const Armed& armed_before, const Armed& armed_after);
  TransactionBuilder& change(const Rules& from, const Rules& to, const Armed& armed_before, const Armed& armed_after) {
    const Step one{.from = from, .to = to};
    return change({&one, 1}, armed_before, armed_after);
  }

  /// Begins the time of `alive` anew. Adding alone does not, and a delete of what has expired would refuse the batch: so added, deleted
  /// and added, in a batch of its own, since nothing of a flip may fail by it.
  TransactionBuilder& beat();

  /// The chain `untracked` with its rule.
  TransactionBuilder& add_untracked_answers();
  TransactionBuilder& delete_untracked_answers();

  Transaction finish();

private:
  using Fill = std::function<void(nlmsghdr*)>;
  void message(std::uint16_t type, std::uint16_t flags, const Fill& fill);
  void elements(std::uint16_t type, std::uint16_t flags, const ElementLists& lists, bool keys_only);

  std::string table_;
  Transaction transaction_;
  std::uint32_t sequence_;
  std::size_t last_message_ = 0; // offset in bytes
};

/// What changing `from` to `to` deletes and adds, armed addresses left out.
struct Difference {
  ElementLists deleted, added;
};
Difference difference(const Rules& from, const Rules& to);
/// Of many services.
Difference difference(std::span<const Step> steps);

} // namespace hanat::nat
