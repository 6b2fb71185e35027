// gRPC frames, and as much of protobuf as a health check needs.
#include "probes/kinds/grpc_answer.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include "probes/io/wire_reader.hpp"

namespace hanat::probes {
namespace {

constexpr std::size_t frame_header = 5; // one byte: compressed or not; four: the length of the message
constexpr unsigned longest_varint = 10; // bytes
constexpr std::uint64_t serving = 1;

std::uint64_t byte_of(char c) { return static_cast<std::uint8_t>(c); }

void append_varint(std::string& bytes, std::size_t value) {
  for (; value > 0x7fU; value >>= 7) bytes += static_cast<char>((value & 0x7fU) | 0x80U);
  bytes += static_cast<char>(value);
}

std::optional<std::uint64_t> take_varint(std::string_view& bytes) {
  std::uint64_t value = 0;
  for (unsigned index = 0; index < longest_varint && index < bytes.size(); ++index) {
    value |= (byte_of(bytes[index]) & 0x7fU) << (7 * index);
    if ((byte_of(bytes[index]) & 0x80U) != 0) continue;
    bytes.remove_prefix(index + 1);
    return value;
  }
  return std::nullopt;
}

bool skip(std::string_view& bytes, std::uint64_t count) {
  if (count > bytes.size()) return false;
  bytes.remove_prefix(static_cast<std::size_t>(count));
  return true;
}

/// An unknown field.
bool skip_field(std::string_view& bytes, std::uint64_t wire_type) {
  switch (wire_type) { // of protobuf
  case 0: return take_varint(bytes).has_value();
  case 1: return skip(bytes, 8);
  case 2: {
    const auto length = take_varint(bytes);
    return length && skip(bytes, *length);
  }
  case 5: return skip(bytes, 4);
  default: return false;
  }
}

std::string health_text(std::uint64_t status) {
  static constexpr std::array<std::string_view, 4> words{"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};
  return status < words.size() ? std::string{words[static_cast<std::size_t>(status)]} : fmt::format("status {}", status);
}

std::string code_text(unsigned code) {
  static constexpr std::array<std::string_view, 17> words{
      "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
      "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
      "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
      "DATA_LOSS", "UNAUTHENTICATED"};
  return code < words.size() ? std::string{words[code]} : fmt::format("grpc-status {}", code);
}

/// `lower` is in lower case.
bool same_name(std::string_view name, std::string_view lower) {
  return std::ranges::equal(name, lower, [](char c, char l) { return (c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c) == l; });
}

} // namespace

std::string grpc_request(const GrpcSpec& spec) {
  std::string message;
  if (!spec.service.empty()) {
    message += '\x0a'; // field 1, a string
    append_varint(message, spec.service.size());
    message += spec.service;
  }
  return '\0' + big_endian(message.size(), 4) + message; // not compressed
}

std::optional<std::uint64_t> parse_health(std::string_view frame) {
  if (frame.size() < frame_header || frame[0] != '\0') return std::nullopt;
  std::uint64_t length = 0;
  for (std::size_t at = 1; at < frame_header; ++at) length = length << 8 | byte_of(frame[at]);
  std::string_view message = frame.substr(frame_header);
  if (message.size() != length) return std::nullopt;
  std::uint64_t status = 0;
  while (!message.empty()) {
    const auto tag = take_varint(message);
    if (!tag) return std::nullopt;
    if (*tag == 0x08U) { // field 1, a varint; the last one counts
      const auto value = take_varint(message);
      if (!value) return std::nullopt;
      status = *value;
    } else if (*tag >> 3 == 0 || !skip_field(message, *tag & 7U)) {
      return std::nullopt;
    }
  }
  return status;
}

bool GrpcResponse::header(std::string_view line) {
  header_bytes_ += line.size();
  if (header_bytes_ > HttpResponse::longest_header) return decide(Reason::too_large, {});
  if (status_ == 0) {
    const auto status = parse_status_line(line);
    if (!status) return decide(Reason::garbled, line.substr(0, line.find_first_of("\r\n")));
    if (!line.starts_with("HTTP/2 ")) return decide(Reason::garbled, "no HTTP/2");
    status_ = *status;
    return true;
  }
  if (line != "\r\n" && line != "\n") {
    field(line.substr(0, line.find_first_of("\r\n")));
    return true;
  }
  return end_of_header();
}

bool GrpcResponse::end_of_header() {
  if (status_ < 200) {
    status_ = 0; // a final response follows 1xx
    return true;
  }
  if (status_ != 200) return decide(Reason::wrong_status, fmt::format("{}", status_));
  return is_grpc_ || decide(Reason::garbled, "the response is not gRPC");
}

void GrpcResponse::field(std::string_view line) {
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) return;
  const std::string_view name = line.substr(0, colon);
  std::string_view value = line.substr(colon + 1);
  while (value.starts_with(' ')) value.remove_prefix(1);
  if (same_name(name, "content-type")) is_grpc_ = value.starts_with("application/grpc");
  if (same_name(name, "grpc-message")) message_ = sanitized(value);
  if (!same_name(name, "grpc-status")) return;
  unsigned code = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), code);
  if (error == std::errc{} && end == value.data() + value.size()) grpc_status_ = code;
}

bool GrpcResponse::body(std::string_view piece) {
  if (piece.size() > longest_frame - frame_.size()) return decide(Reason::too_large, {});
  frame_.append(piece);
  return true;
}

void GrpcResponse::end() {
  if (verdict() != nullptr) return;
  if (status_ == 0) {
    decide(Reason::garbled, "no status line");
  } else if (!grpc_status_) {
    decide(Reason::garbled, "no grpc-status");
  } else if (*grpc_status_ != 0) {
    decide(Reason::wrong_answer, fmt::format("{}{}{}", code_text(*grpc_status_), message_.empty() ? "" : ": ", message_));
  } else if (const auto health = parse_health(frame_); !health) {
    decide(Reason::garbled, "no HealthCheckResponse");
  } else {
    decide(*health == serving ? Reason::answered : Reason::wrong_answer, health_text(*health));
  }
}

} // namespace hanat::probes
