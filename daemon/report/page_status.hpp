// The status for the page, as JSON: that of `hanatctl --json status` with the last events and a summary. Services with problems come first,
// and of very many only some are there: no browser shows ten thousand, and each viewer would cost the loop their text. Pure.
// Not here: serving it (metrics_server), the JSON of a service (api/status).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/api/status.hpp"

namespace hanat {

/// How much a service needs somebody.
enum class Attention : std::uint8_t {
  problem, // clients are not served, or may not be, or would not be if one more server failed: what hanatctl marks with !!
  warning, // they are, and something is not as it should be
  ok,
};
std::string_view to_text(Attention attention);
Attention attention_of(const ServiceStatus& service);

class PageStatus {
public:
  static constexpr std::size_t most_services = 200;

  PageStatus(const DaemonStatus& daemon, const std::vector<HistoryEntry>& history);
  void add(const ServiceStatus& service);
  std::string take();

private:
  std::string daemon_, history_;
  struct Group {
    std::size_t number = 0;
    std::vector<std::string> services = {}; // the first of them
  };
  std::array<Group, 3> groups_; // by attention
};

} // namespace hanat
