// A status from an untrusted daemon, printed by hanatctl: only printable ASCII may reach the terminal. Not here: a client's requests
// (varlink).
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <nlohmann/json.hpp>

#include "cli/show_status.hpp"
#include "daemon/api/service_reader.hpp"
#include "daemon/api/status.hpp"
#include "daemon/api/varlink.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const auto status = hanat::varlink::parse_json({reinterpret_cast<const char*>(data), size}).get<hanat::Status>();
    const auto now = hanat::WallTime{std::chrono::milliseconds{1'769'853'600'123}};
    for (const char c : hanat::cli::show_status(status, hanat::cli::Detail::full, {.colour = false, .now = now}))
      if (c != '\n' && (c < ' ' || c > '~')) std::abort();
    const nlohmann::json again = status;
    (void)again.get<hanat::Status>();
  } catch (const nlohmann::json::exception&) { // it is none
  }
  try {
    const hanat::ServiceStatus service = hanat::ServiceReader{}.read({reinterpret_cast<const char*>(data), size});
    (void)hanat::ServiceReader{}.read(json_text(service));
  } catch (const nlohmann::json::exception&) {
    return 0;
  }
  return 0;
}
