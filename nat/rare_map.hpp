// A std::map that is empty in nearly all of many objects: it takes a pointer until something is put into it. It has what is used of a map,
// with the same meaning. Not here: a single value that few objects have (daemon/util/rare).
#pragma once

#include <cstddef>
#include <initializer_list>
#include <map>
#include <memory>
#include <utility>

namespace hanat {

template <class Key, class Value> class RareMap {
  using Map = std::map<Key, Value>;

public:
  using key_type = Key;
  using mapped_type = Value;
  using value_type = typename Map::value_type;
  using iterator = typename Map::iterator;
  using const_iterator = typename Map::const_iterator;
  using node_type = typename Map::node_type;

  RareMap() = default;
  RareMap(std::initializer_list<value_type> values) : map_(values.size() == 0 ? nullptr : std::make_unique<Map>(values)) {}
  RareMap(const RareMap& other) : map_(other.empty() ? nullptr : std::make_unique<Map>(*other.map_)) {}
  RareMap(RareMap&&) noexcept = default;
  RareMap& operator=(const RareMap& other) {
    if (this != &other) map_ = other.empty() ? nullptr : std::make_unique<Map>(*other.map_);
    return *this;
  }
  RareMap& operator=(RareMap&&) noexcept = default;
  ~RareMap() = default;

  bool empty() const { return !map_ || map_->empty(); }
  std::size_t size() const { return map_ ? map_->size() : 0; }
  iterator begin() { return in_use().begin(); }
  iterator end() { return in_use().end(); }
  const_iterator begin() const { return in_use().begin(); }
  const_iterator end() const { return in_use().end(); }
  iterator find(const Key& key) { return in_use().find(key); }
  const_iterator find(const Key& key) const { return in_use().find(key); }
  iterator lower_bound(const Key& key) { return in_use().lower_bound(key); }
  const_iterator lower_bound(const Key& key) const { return in_use().lower_bound(key); }
  iterator upper_bound(const Key& key) { return in_use().upper_bound(key); }
  const_iterator upper_bound(const Key& key) const { return in_use().upper_bound(key); }
  bool contains(const Key& key) const { return map_ && map_->contains(key); }
  /// Throws std::out_of_range where there is none.
  Value& at(const Key& key) { return in_use().at(key); }
  const Value& at(const Key& key) const { return in_use().at(key); }

  Value& operator[](const Key& key) { return made()[key]; }
  template <class... Arguments> auto emplace(Arguments&&... arguments) { return made().emplace(std::forward<Arguments>(arguments)...); }
  template <class... Arguments> auto try_emplace(const Key& key, Arguments&&... arguments) {
    return made().try_emplace(key, std::forward<Arguments>(arguments)...);
  }
  auto insert(const value_type& value) { return made().insert(value); }
  auto insert(node_type&& node) { return made().insert(std::move(node)); }
  template <class Iterator> void insert(Iterator first, Iterator last) {
    if (first != last) made().insert(first, last);
  }

  /// Its memory stays until clear(), so that iterators behind the last element stay valid, as those of a map do.
  std::size_t erase(const Key& key) { return map_ ? map_->erase(key) : 0; }
  iterator erase(const_iterator element) { return map_->erase(element); }
  node_type extract(const Key& key) { return map_ ? map_->extract(key) : node_type{}; }
  node_type extract(const_iterator element) { return map_->extract(element); }
  void clear() { map_.reset(); }

  bool operator==(const RareMap& other) const { return in_use() == other.in_use(); }
  template <class Predicate> friend std::size_t erase_if(RareMap& from, Predicate predicate) {
    if (!from.map_) return 0;
    const std::size_t erased = std::erase_if(*from.map_, predicate);
    if (from.map_->empty()) from.clear();
    return erased;
  }

private:
  Map& in_use() { return map_ ? *map_ : none(); }
  const Map& in_use() const { return map_ ? *map_ : none(); }
  Map& made() {
    if (!map_) map_ = std::make_unique<Map>();
    return *map_;
  }
  /// What iterators of all empty ones are of. Nothing is put into it.
  static Map& none() {
    static Map map;
    return map;
  }

  std::unique_ptr<Map> map_;
};

} // namespace hanat
