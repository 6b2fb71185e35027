// Header lines, frames and trailers of a hostile gRPC server, as libcurl hands them on.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "probes/grpc_answer.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  hanat::probes::parse_health(bytes);
  hanat::probes::GrpcAnswer answer;
  // The first byte of a piece says what it is.
  std::string_view rest = bytes;
  bool read = answer.header("HTTP/2 200 \r\n");
  while (read && !rest.empty()) {
    const auto end = rest.find('\n');
    const std::string_view piece = rest.substr(0, end == std::string_view::npos ? rest.size() : end + 1);
    rest.remove_prefix(piece.size());
    read = piece[0] % 2 == 0 ? answer.body(piece.substr(1)) : answer.header(piece);
  }
  answer.end();
  if (answer.verdict() == nullptr || answer.verdict()->detail.size() > 120) std::abort();
  return 0;
}
