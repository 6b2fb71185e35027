// Compares hanatd, its table, its history and its figures with the model, once everything has come to rest.
// Not here: the rules (rules), held connections (clients).
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "daemon/api/status.hpp"
#include "tests/netns/model/stage.hpp"
#include "tests/netns/model/table_view.hpp"

namespace hanat::test::model {

/// What differs between a status and what is expected; empty: nothing.
std::string difference(const Status& status, const Model& model, const std::map<std::string, Expected>& expected);
/// Of the targets alone: the place that a text names. Throws std::runtime_error for one that is no server's.
std::optional<Place> place_at(const std::optional<std::string>& address);

class Checker {
public:
  explicit Checker(Stage& stage);

  /// Waits until all is as the rules say, and looks at everything else then. Throws std::runtime_error.
  void check(const Done& done);

private:
  Status wait_for_rest(const std::map<std::string, Expected>& expected) const;
  bool read_history();
  void check_moves(const std::map<std::string, Expected>& expected, const Done& done);
  void check_totals(const Status& status, bool restarted);
  void note_steady(const Done& done);
  void check_sums(const Status& status);
  void check_leftovers(const Status& status) const;
  void check_metrics(const Status& status) const;
  void check_requests();
  void check_table();
  std::string table_difference(const TableView& view) const;
  std::string guards_difference(const TableView& view) const;
  void note_endpoints();

  Stage& stage_;
  std::uint64_t next_ = 0, first_ = 0; // of the history: what is not yet looked at, and where this hanatd began
  std::map<std::string, ServiceSpec> steady_;
  std::map<std::string, std::vector<HistoryEntry>> flips_;        // of the last look, by service
  std::map<std::string, ServiceStatus> before_;                   // of the last look
  std::map<std::uint16_t, TestClock::time_point> listener_moved_; // when a listener's server changed
  std::map<std::string, std::size_t> rules_;                      // by chain, at the first look
  std::map<std::string, Passage> passages_;
  std::map<std::string, TestClock::time_point> busy_; // when old flows of a service were last on their way out, as far as it shows
  std::uint16_t port_ = 0; // of the last datagram: one that is used again soon has the flow of before, which may drain at another server
  std::map<std::uint16_t, TestClock::time_point> drained_; // when a drain at a listener was seen last, whatever service had it
  TestClock::time_point started_;
  std::size_t looks_ = 0;
};

} // namespace hanat::test::model
