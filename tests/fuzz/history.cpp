// Any line of the history file, damaged or not: read, shown, written and read again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <nlohmann/json.hpp>

#include "cli/show_history.hpp"
#include "daemon/report/history.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto entry = hanat::parse_history_line({reinterpret_cast<const char*>(data), size});
  if (!entry) return 0;
  hanat::HistoryRing ring;
  ring.add(*entry);
  ring.add(*entry);
  ring.interrupt_cuts();
  const auto now = hanat::WallTime{std::chrono::milliseconds{1'769'853'600'123}};
  for (const char c : hanat::cli::show_history({*entry}, {.colour = false, .now = now}))
    if (c != '\n' && (c < ' ' || c > '~')) std::abort();
  const std::string again = nlohmann::json(*entry).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (again.find('\n') != std::string::npos) std::abort();
  if (again.size() <= size && !hanat::parse_history_line(again)) std::abort();
  return 0;
}
