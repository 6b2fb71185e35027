// What a change from one TableState to another does to the sets: which elements it deletes and adds, with their keys, data and comments,
// which gates come and go, and which number a range of ports gets. Pure. Not here: attributes (element_list), messages (transaction),
// reading back (set_elements).
#pragma once

#include <map>
#include <span>

#include "nat/nftables/element_list.hpp"
#include "nat/nftables/range_numbers.hpp"
#include "nat/nftables/set_elements.hpp"
#include "nat/nftables/table_state.hpp"

namespace hanat::nat {

/// Elements by their sets. Of those that are deleted only the keys count.
class ElementLists {
public:
  explicit ElementLists(bool keys_only = false) : keys_only_(keys_only) {}
  void add(SetId id, const Element& element) { lists_[id].add(element, keys_only_); }
  auto begin() const { return lists_.begin(); }
  auto end() const { return lists_.end(); }

private:
  bool keys_only_;
  std::map<SetId, ElementList> lists_;
};

struct Difference {
  ElementLists deleted{true}, added;
  // What services share, by how many entries more or less need it. Its elements are for add_shared().
  std::map<Gate, int> gates{};
  std::map<Vip, int> ranges{};
  RangeNumbers coming{}; // of ranges that have no number yet
};
/// `numbers`: those of the ranges that are loaded.
Difference difference(const TableState& from, const TableState& to, const RangeNumbers& numbers = {});
/// The same for many services at once; no two of them share an element.
Difference difference(std::span<const Step> steps, const RangeNumbers& numbers = {});
/// `kind`: one of endpoint_sets.
Difference difference(SetKind kind, const EndpointMap& from, const EndpointMap& to);

/// Adds the elements of gates and ranges that come or go, where these are loaded.
void add_shared(Difference& changes, const Gates& gates, const RangeNumbers& numbers);
/// What is loaded after the change.
void apply_shared(const Difference& changes, Gates& gates, RangeNumbers& numbers);
/// Counts the entries of a state, whose ranges have numbers. False if one has none.
bool count_entries(const TableState& state, RangeNumbers& numbers);

} // namespace hanat::nat
