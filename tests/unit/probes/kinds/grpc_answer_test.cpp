// gRPC health checks: the frame of the request; valid, failing, malformed and hostile responses.
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "probes/kinds/grpc_answer.hpp"

namespace hanat::probes {
namespace {

using namespace std::string_literals;

const std::string serving_frame = "\0\0\0\0\2\x08\1"s;

TEST(GrpcRequest, ItHoldsTheService) {
  EXPECT_EQ(grpc_request({}), "\0\0\0\0\0"s);
  GrpcSpec spec;
  spec.service = "shop.Cart";
  EXPECT_EQ(grpc_request(spec), "\0\0\0\0\x0b\x0a\x09shop.Cart"s);
  spec.service = std::string(200, 'a');
  EXPECT_EQ(grpc_request(spec).substr(0, 8), "\0\0\0\0\xcb\x0a\xc8\1"s);
}

TEST(GrpcHealth, TheStatusIsRead) {
  EXPECT_EQ(parse_health(serving_frame), 1U);
  EXPECT_EQ(parse_health("\0\0\0\0\0"s), 0U);
  EXPECT_EQ(parse_health("\0\0\0\0\2\x08\2"s), 2U);
  EXPECT_EQ(parse_health("\0\0\0\0\4\x08\2\x08\1"s), 1U);                                              // the last one counts
  EXPECT_EQ(parse_health("\0\0\0\0\x13\x12\1x\x19"s + "12345678" + "\x1d"s + "1234" + "\x08\1"s), 1U); // unknown fields
}

TEST(GrpcHealth, AMalformedFrameHasNone) {
  for (std::size_t size = 0; size < serving_frame.size(); ++size) EXPECT_EQ(parse_health(serving_frame.substr(0, size)), std::nullopt);
  EXPECT_EQ(parse_health("\1\0\0\0\2\x08\1"s), std::nullopt); // compressed, which the request does not offer
  EXPECT_EQ(parse_health(serving_frame + "x"), std::nullopt);
  EXPECT_EQ(parse_health("\0\0\0\0\1\x08"s), std::nullopt);
  EXPECT_EQ(parse_health("\0\0\0\0\3\x12\5x"s), std::nullopt);
  EXPECT_EQ(parse_health("\0\0\0\0\1\x0b"s), std::nullopt); // a group
  EXPECT_EQ(parse_health("\0\0\0\0\2\0\1"s), std::nullopt); // field 0
  EXPECT_EQ(parse_health("\0\0\0\0\x0c\x08"s + std::string(11, '\xff')), std::nullopt);
}

using Lines = std::vector<std::string_view>;

Verdict grpc_verdict(const Lines& header, std::string_view body, const Lines& trailers) {
  GrpcResponse response;
  bool read = true;
  for (const auto line : header) read = read && response.header(line);
  if (read && !body.empty()) read = response.body(body);
  for (const auto line : trailers) read = read && response.header(line);
  response.end();
  return response.verdict() != nullptr ? *response.verdict() : Verdict{};
}
const Lines ok_header{"HTTP/2 200 \r\n", "Content-Type: application/grpc+proto\r\n", "\r\n"};
const Lines ok_trailer{"grpc-status: 0\r\n", "\r\n"};

TEST(GrpcResponse, ServingPasses) { EXPECT_EQ(grpc_verdict(ok_header, serving_frame, ok_trailer).reason, Reason::answered); }

TEST(GrpcResponse, AnythingElseFailsWithItsStatus) {
  const auto is = [](const Verdict& verdict, Reason reason, std::string_view detail) {
    EXPECT_EQ(verdict.reason, reason) << detail;
    EXPECT_EQ(verdict.detail, detail);
  };
  is(grpc_verdict(ok_header, "\0\0\0\0\2\x08\2"s, ok_trailer), Reason::wrong_answer, "NOT_SERVING");
  is(grpc_verdict(ok_header, "\0\0\0\0\2\x08\x09"s, ok_trailer), Reason::wrong_answer, "status 9");
  is(grpc_verdict(ok_header, "\0\0\0\0\0"s, ok_trailer), Reason::wrong_answer, "UNKNOWN");
  is(grpc_verdict(ok_header, "", ok_trailer), Reason::garbled, "no HealthCheckResponse");
  is(grpc_verdict(ok_header, serving_frame, {}), Reason::garbled, "no grpc-status");
  is(grpc_verdict(ok_header, serving_frame, {"grpc-status: x\r\n", "\r\n"}), Reason::garbled, "no grpc-status");
  is(grpc_verdict({"HTTP/2 200 \r\n", "content-type: application/grpc\r\n", "grpc-status: 5\r\n", "grpc-message: no \x1bsuch\r\n", "\r\n"},
                  "", {}),
     Reason::wrong_answer, "NOT_FOUND: no ?such");
  is(grpc_verdict(ok_header, "", {"grpc-status: 99\r\n"}), Reason::wrong_answer, "grpc-status 99");
  is(grpc_verdict({"HTTP/2 502 \r\n", "\r\n"}, "", {}), Reason::wrong_status, "502");
  is(grpc_verdict({"HTTP/2 200 \r\n", "content-type: text/html\r\n", "\r\n"}, "", {}), Reason::garbled, "the response is not gRPC");
  is(grpc_verdict({"HTTP/1.1 200 OK\r\n"}, "", {}), Reason::garbled, "no HTTP/2");
  is(grpc_verdict({"nonsense\r\n"}, "", {}), Reason::garbled, "nonsense");
  is(grpc_verdict({}, "", {}), Reason::garbled, "no status line");
}

TEST(GrpcResponse, ItsMemoryIsBounded) {
  EXPECT_EQ(grpc_verdict(ok_header, std::string(5'000, 'x'), {}).reason, Reason::too_large);
  GrpcResponse response;
  response.header("HTTP/2 200 \r\n");
  int lines = 0;
  while (response.header("x: 0123456789\r\n")) ASSERT_LT(++lines, 10'000);
  ASSERT_NE(response.verdict(), nullptr);
  EXPECT_EQ(response.verdict()->reason, Reason::too_large);
}

} // namespace
} // namespace hanat::probes
