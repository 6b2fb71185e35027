// Header lines and body pieces of a hostile HTTP server, as libcurl delivers them. The first byte selects whether the body is checked.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "probes/kinds/http_answer.hpp"

using hanat::probes::HttpResponse;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  hanat::probes::HttpSpec spec;
  if (data[0] % 2 == 1) spec.body = hanat::probes::Pattern::text("ok");
  std::string_view rest{reinterpret_cast<const char*>(data) + 1, size - 1};
  HttpResponse response{spec};
  while (!rest.empty()) {
    const auto end = rest.find('\n');
    const std::string_view line = rest.substr(0, end == std::string_view::npos ? rest.size() : end + 1);
    rest.remove_prefix(line.size());
    if (!(response.header_complete() ? response.body(line) : response.header(line))) break;
  }
  response.end();
  if (!response.verdict() || response.verdict()->detail.size() > 80) std::abort();
  const auto status = hanat::probes::parse_status_line({reinterpret_cast<const char*>(data), size});
  if (status && (*status < 100 || *status > 999)) std::abort();
  return 0;
}
