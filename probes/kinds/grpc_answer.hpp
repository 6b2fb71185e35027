// grpc.health.v1.Health/Check: the bytes of the request, and what header, message and trailers of the response mean. Pure.
// Not here: HTTP/2 and sockets (http).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "probes/kinds/http_answer.hpp"

namespace hanat::probes {

/// A framed HealthCheckRequest.
std::string grpc_request(const GrpcSpec& spec);

/// The `status` of a framed HealthCheckResponse; 0 (UNKNOWN) if it is absent. nullopt: malformed.
std::optional<std::uint64_t> parse_health(std::string_view frame);

class GrpcResponse final : public HttpReader {
public:
  bool header(std::string_view line) override;
  bool body(std::string_view piece) override;
  void end() override;

  static constexpr std::size_t longest_frame = 4'096; // a real one has 7 bytes

private:
  bool end_of_header();
  void field(std::string_view line);

  std::size_t header_bytes_ = 0;
  unsigned status_ = 0; // of HTTP; 0: no status line yet
  bool is_grpc_ = false;
  std::optional<unsigned> grpc_status_;
  std::string message_, frame_;
};

} // namespace hanat::probes
