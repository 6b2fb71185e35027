// Feeds any bytes to what makes text safe for the live screen and fits it into columns. Not here: what stands on the screen.
#include <clocale>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "cli/top/cells.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hanat::cli::top;
  static const bool utf8 = std::setlocale(LC_CTYPE, "C.UTF-8") != nullptr;
  const auto must = [](bool condition) {
    if (!condition) std::abort();
  };
  if (size == 0) return 0;
  const std::size_t columns = data[0] % 100;
  const std::string_view bytes{reinterpret_cast<const char*>(data) + 1, size - 1};
  const std::string text = safe(bytes, utf8);
  for (const char c : text) must(!(c >= 0 && c < ' ') && c != 0x7f);
  must(safe(text, utf8) == text);
  for (const char c : safe(bytes, false)) must(c >= ' ' && c <= '~');
  must(columns_of(cut_to(text, columns)) <= columns);
  must(columns_of(padded(text, columns)) == columns);
  for (const std::string& line : folded(text, columns, 2)) must(columns_of(line) <= columns);
  std::string_view rest = text;
  while (!rest.empty()) rest = without_last(rest);
  return 0;
}
