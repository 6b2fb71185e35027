// Reads and writes the numbers and strings of binary protocols. Reading past the end returns zeros and sets failed().
// Not here: what they mean (kinds/).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace hanat::probes {

class WireReader {
public:
  explicit WireReader(std::string_view bytes) : rest_(bytes) {}
  bool failed() const { return failed_; }
  std::string_view rest() const { return rest_; }

  std::string_view bytes(std::size_t count) {
    if (count > rest_.size()) {
      failed_ = true;
      rest_ = {};
      return {};
    }
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }
  /// Up to a zero byte, which is consumed, too.
  std::string_view text() {
    const auto end = rest_.find('\0');
    if (end == std::string_view::npos) return bytes(rest_.size() + 1); // fails
    const std::string_view taken = bytes(end);
    bytes(1);
    return taken;
  }
  std::uint32_t big(std::size_t width) {
    std::uint32_t value = 0;
    for (const char byte : bytes(width)) value = value << 8 | static_cast<std::uint8_t>(byte);
    return value;
  }
  std::uint32_t little(std::size_t width) {
    std::uint32_t value = 0;
    unsigned shift = 0;
    for (const char byte : bytes(width)) {
      value |= std::uint32_t{static_cast<std::uint8_t>(byte)} << shift;
      shift += 8;
    }
    return value;
  }

private:
  std::string_view rest_;
  bool failed_ = false;
};

/// The `width` low bytes of a number, most significant first.
inline std::string big_endian(std::uint64_t value, std::size_t width) {
  std::string bytes(width, '\0');
  for (std::size_t i = width; i-- > 0; value >>= 8) bytes[i] = static_cast<char>(value & 0xff);
  return bytes;
}
/// The same, least significant first.
inline std::string little_endian(std::uint32_t value, std::size_t width) {
  std::string bytes(width, '\0');
  for (std::size_t i = 0; i < width; ++i, value >>= 8) bytes[i] = static_cast<char>(value & 0xff);
  return bytes;
}

} // namespace hanat::probes
