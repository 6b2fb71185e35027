// Header lines, frames and trailers of a hostile gRPC server, as libcurl delivers them.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "probes/kinds/grpc_answer.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  hanat::probes::parse_health(bytes);
  hanat::probes::GrpcResponse response;
  // The first byte of a piece selects body or header.
  std::string_view rest = bytes;
  bool read = response.header("HTTP/2 200 \r\n");
  while (read && !rest.empty()) {
    const auto end = rest.find('\n');
    const std::string_view piece = rest.substr(0, end == std::string_view::npos ? rest.size() : end + 1);
    rest.remove_prefix(piece.size());
    read = piece[0] % 2 == 0 ? response.body(piece.substr(1)) : response.header(piece);
  }
  response.end();
  if (response.verdict() == nullptr || response.verdict()->detail.size() > 120) std::abort();
  return 0;
}
