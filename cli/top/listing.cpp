// Ten thousand rows are sorted in some milliseconds, and only when one of them has another place.
#include "cli/top/listing.hpp"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

namespace hanat::cli::top {
namespace {

std::string in_small(std::string text) {
  std::ranges::transform(text, text.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}

bool goes_before(const Row* left, const Row* right) { return std::tie(left->rank, left->name) < std::tie(right->rank, right->name); }

} // namespace

void Listing::replace(std::vector<Row> rows) {
  rows_.clear();
  order_.clear();
  numbers_ = {};
  at_primary_ = 0;
  rows_.reserve(rows.size());
  for (Row& row : rows) {
    std::string name = row.name;
    const auto [added, fresh] = rows_.insert_or_assign(std::move(name), std::move(row));
    if (fresh) count(added->second, true);
  }
  arrange();
}

void Listing::update(std::vector<Row> rows) {
  bool moved = false;
  for (Row& row : rows) moved = update_one(std::move(row)) || moved;
  if (moved) arrange();
}

/// True: the order may be another one.
bool Listing::update_one(Row row) {
  const auto found = rows_.find(row.name);
  if (found == rows_.end()) {
    std::string name = row.name;
    count(rows_.emplace(std::move(name), std::move(row)).first->second, true);
    return true;
  }
  count(found->second, false);
  const bool moves = found->second.rank != row.rank || !filter_.empty();
  found->second = std::move(row);
  count(found->second, true);
  return moves;
}

void Listing::remove(const std::string& name) {
  const auto found = rows_.find(name);
  if (found == rows_.end()) return;
  count(found->second, false);
  std::erase(order_, &found->second);
  rows_.erase(found);
  arrange();
}

void Listing::count(const Row& row, bool added) {
  const auto change = [&](std::size_t& number) { added ? ++number : --number; };
  change(numbers_.at(static_cast<std::size_t>(row.rank)));
  if (row.target == "primary") change(at_primary_);
}

void Listing::set_filter(const std::string& text) {
  filter_ = in_small(text);
  arrange();
}

bool Listing::matches(const Row& row) const {
  if (filter_.empty()) return true;
  const auto has = [&](const std::string& text) { return in_small(text).find(filter_) != std::string::npos; };
  return has(row.name) || has(row.target) || has(row.why) || has(row.sentence) || (row.group && has(*row.group)) ||
         std::ranges::any_of(row.servers, [&](const Server& server) { return has(server.address); });
}

void Listing::arrange() {
  order_.clear();
  for (const auto& [name, row] : rows_)
    if (matches(row)) order_.push_back(&row);
  std::ranges::sort(order_, goes_before);
  place_ = place();
}

/// The selected one's. One that is gone leaves its place to what is there now.
std::size_t Listing::place() const {
  if (order_.empty() || selected_.empty()) return 0;
  const auto row = rows_.find(selected_);
  if (row != rows_.end()) {
    const auto found = std::ranges::lower_bound(order_, &row->second, goes_before);
    if (found != order_.end() && *found == &row->second) return static_cast<std::size_t>(std::distance(order_.begin(), found));
  }
  return std::min(place_, order_.size() - 1);
}

const Row* Listing::selected() const { return order_.empty() ? nullptr : order_[place()]; }

const Row* Listing::find(const std::string& name) const {
  const auto found = rows_.find(name);
  return found == rows_.end() ? nullptr : &found->second;
}

void Listing::move(std::ptrdiff_t by) {
  if (order_.empty()) return;
  const auto last = static_cast<std::ptrdiff_t>(order_.size()) - 1;
  place_ = static_cast<std::size_t>(std::clamp(static_cast<std::ptrdiff_t>(place()) + by, std::ptrdiff_t{0}, last));
  selected_ = order_[place_]->name;
}

void Listing::move_to_first() {
  selected_.clear();
  place_ = 0;
}

void Listing::move_to_last() { move(static_cast<std::ptrdiff_t>(order_.size())); }

Listing::View Listing::view(std::size_t lines) {
  View shown;
  const std::size_t at = place();
  if (lines == 0 || order_.empty()) return shown;
  const std::size_t last_first = order_.size() - std::min(lines, order_.size());
  first_ = std::min({first_, at, last_first});
  if (at >= first_ + lines) first_ = at - lines + 1;
  shown.first = first_;
  shown.selected = at - first_;
  for (std::size_t index = first_; index < std::min(order_.size(), first_ + lines); ++index) shown.rows.push_back(order_[index]);
  return shown;
}

} // namespace hanat::cli::top
