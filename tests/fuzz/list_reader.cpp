// Feeds any bytes to the reader of long lists, whole and byte by byte: it must not throw, and finds the same both ways.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "daemon/api/list_reader.hpp"

namespace {

std::string all_of(std::string_view text, std::size_t piece) {
  std::string all;
  hanat::ListReader reader{"s", [&all](std::string_view element) { all.append(element).push_back('\n'); }};
  for (; !text.empty(); text.remove_prefix(std::min(piece, text.size()))) reader.feed(text.substr(0, piece));
  return all + reader.rest();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const std::string list = "{\"s\":[" + std::string{text} + "]}";
  for (const std::string_view one : {text, std::string_view{list}})
    if (all_of(one, size + 1) != all_of(one, 1)) std::abort();
  return 0;
}
