// A scanner that knows strings and comments of TOML, and counts dots outside of them.
#include "daemon/config_guard.hpp"

namespace hanat::config {
namespace {

constexpr unsigned most_dots = 16; // hanat's own keys have four at most; nested tables and lists are limited by the parser

class Scanner {
public:
  explicit Scanner(std::string_view text) : rest_{text} {}

  std::optional<TextPlace> run() {
    unsigned dots = 0;
    while (!rest_.empty()) {
      const char c = rest_.front();
      if (c == '"' || c == '\'') {
        skip_string(c);
        continue;
      }
      if (c == '#') {
        while (!rest_.empty() && rest_.front() != '\n') advance();
        continue;
      }
      if (c == '.' && ++dots > most_dots) return place_;
      if (std::string_view{"\n=,[]{}"}.find(c) != std::string_view::npos) dots = 0;
      advance();
    }
    return std::nullopt;
  }

private:
  void advance(std::size_t count = 1) {
    for (; count > 0 && !rest_.empty(); --count) {
      const auto byte = static_cast<unsigned char>(rest_.front());
      if (byte == '\n')
        place_ = {.line = place_.line + 1, .column = 1};
      else if ((byte & 0xc0U) != 0x80U) // columns count characters, and this byte begins one
        ++place_.column;
      rest_.remove_prefix(1);
    }
  }

  /// Past the string that begins here. One that never ends, or ends with its line where it must not, is left to the parser, which stops
  /// there.
  void skip_string(char quote) {
    const std::string_view three = quote == '"' ? R"(""")" : "'''";
    const bool multi_line = rest_.starts_with(three);
    const std::string_view end = multi_line ? three : three.substr(0, 1);
    advance(end.size());
    while (!rest_.empty() && !rest_.starts_with(end)) {
      if (!multi_line && rest_.front() == '\n') return;
      advance(quote == '"' && rest_.front() == '\\' ? 2 : 1);
    }
    advance(end.size());
  }

  std::string_view rest_;
  TextPlace place_;
};

} // namespace

std::optional<TextPlace> too_deep(std::string_view text) { return Scanner{text}.run(); }

} // namespace hanat::config
