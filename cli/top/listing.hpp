// The services of the live screen: in their order, filtered, one of them selected, some of them in view. Pure.
// Not here: what a row says (draw), what a key does (keys).
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <unordered_map>
#include <vector>

#include "cli/top/values.hpp"

namespace hanat::cli::top {

class Listing {
public:
  /// All services anew.
  void replace(std::vector<Row> rows);
  /// Those that changed, or are new.
  void update(std::vector<Row> rows);
  void remove(const std::string& name);

  /// Services with this text in their name, target, reason, sentence, group or addresses, in capitals or not; empty: all.
  void set_filter(const std::string& text);
  const std::string& filter() const { return filter_; }

  /// The selected service stays so when rows move. Until a key has moved the selection, it is the first row, whichever that is.
  const Row* selected() const;
  /// nullptr: there is none.
  const Row* find(const std::string& name) const;
  void move(std::ptrdiff_t by);
  void move_to_first();
  void move_to_last();

  /// The rows in view on so many lines: they scroll as little as shows the selected one.
  struct View {
    std::vector<const Row*> rows;
    std::size_t first = 0;    // the place of the first of them
    std::size_t selected = 0; // among them
  };
  View view(std::size_t lines);

  std::size_t shown() const { return order_.size(); } // that the filter leaves
  std::size_t size() const { return rows_.size(); }
  std::size_t number(Rank rank) const { return numbers_.at(static_cast<std::size_t>(rank)); }
  std::size_t at_primary() const { return at_primary_; }

private:
  bool update_one(Row row);
  void arrange();
  bool matches(const Row& row) const;
  void count(const Row& row, bool added);
  std::size_t place() const;

  std::unordered_map<std::string, Row> rows_;
  std::vector<const Row*> order_;
  std::string filter_;
  std::string selected_;  // a name; empty: the first row
  std::size_t place_ = 0; // of the selected one, when it was last seen
  std::size_t first_ = 0; // in view
  std::array<std::size_t, 4> numbers_{};
  std::size_t at_primary_ = 0;
};

} // namespace hanat::cli::top
