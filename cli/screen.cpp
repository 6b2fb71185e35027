// isatty, TIOCGWINSZ, and the environment.
#include "cli/screen.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <string_view>

#include <sys/ioctl.h>
#include <unistd.h>

namespace hanat::cli {
namespace {

constexpr std::size_t least_width = 40;

std::string_view environment(const char* name) {
  const char* const value = std::getenv(name); // NOLINT(concurrency-mt-unsafe): one thread
  return value == nullptr ? std::string_view{} : std::string_view{value};
}

bool is_terminal(int fd = STDOUT_FILENO) { return isatty(fd) == 1; }

winsize terminal_size(int fd = STDOUT_FILENO) {
  winsize size{};
  if (ioctl(fd, TIOCGWINSZ, &size) != 0) size = {};
  return size;
}

bool has_colour(Color color) {
  switch (color) {
  case Color::always: return true;
  case Color::never: return false;
  case Color::automatic: return is_terminal() && environment("NO_COLOR").empty() && environment("TERM") != "dumb";
  }
  return false;
}

std::size_t width_of(int fd) {
  std::size_t columns = 0;
  const std::string_view named = environment("COLUMNS");
  std::from_chars(named.data(), named.data() + named.size(), columns);
  if (columns == 0 && is_terminal(fd)) columns = terminal_size(fd).ws_col == 0 ? 80 : terminal_size(fd).ws_col;
  return columns == 0 ? 0 : std::max(columns, least_width);
}

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

} // namespace

View view_of(Color color) {
  return {.colour = has_colour(color), .now = wall_now(), .width = width_of(STDOUT_FILENO), .host = host_name()};
}

std::size_t error_width() { return width_of(STDERR_FILENO); }

std::string as_screen(const std::string& text) {
  if (!is_terminal()) return text;
  std::size_t end = text.size();
  if (const std::size_t rows = terminal_size().ws_row; rows > 1) {
    std::size_t at = 0;
    for (std::size_t row = 1; row < rows && at < text.size(); ++row) at = std::min(text.find('\n', at), text.size() - 1) + 1;
    end = std::min(at, end);
  }
  return "\x1b[H\x1b[J" + text.substr(0, end);
}

} // namespace hanat::cli
