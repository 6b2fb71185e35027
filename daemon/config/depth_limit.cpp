// A scanner that skips the strings and comments of TOML and counts the dots outside of them.
#include "daemon/config/depth_limit.hpp"

namespace hanat::config {
namespace {

constexpr unsigned most_dots = 16; // keys of hanat have at most four; the parser itself limits nested tables and lists

class Scanner {
public:
  explicit Scanner(std::string_view text) : rest_{text} {}

  std::optional<TextPosition> run() {
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
      if (c == '.' && ++dots > most_dots) return position_;
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
        position_ = {.line = position_.line + 1, .column = 1};
      else if ((byte & 0xc0U) != 0x80U) // columns count characters; this byte starts one
        ++position_.column;
      rest_.remove_prefix(1);
    }
  }

  /// Skips the string that starts here. An unterminated string is left to the parser, which reports it.
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
  TextPosition position_;
};

} // namespace

std::optional<TextPosition> too_deep(std::string_view text) { return Scanner{text}.run(); }

} // namespace hanat::config
