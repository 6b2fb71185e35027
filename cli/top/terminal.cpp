// ncurses, wide characters. It compares with what is on the terminal, and sends what is different.
#include "cli/top/terminal.hpp"

#include <clocale>
#include <cstdlib>
#include <cwchar>
#include <stdexcept>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <langinfo.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "daemon/util/escape.hpp"

#define NCURSES_NOMACROS 1 // erase, move, clear and others are words of ours, too
#include <curses.h>

// Of <term.h>, which cannot be included: it makes macros of lines and columns.
extern "C" {
int setupterm(const char* name, int fd, int* error);
struct term* set_curterm(struct term* terminal);
int del_curterm(struct term* terminal);
}

namespace hanat::cli::top {
namespace {

constexpr const char* instead = "hanatctl status --watch shows the status without it, hanatctl events --follow what happens.";

std::string_view terminal_name() {
  const char* const name = std::getenv("TERM"); // NOLINT(concurrency-mt-unsafe): before there are threads
  return name == nullptr ? std::string_view{} : std::string_view{name};
}

/// Pairs of colours have numbers.
constexpr short pair_red = 1, pair_yellow = 2, pair_green = 3;

attr_t attributes_of(Style style, bool colour) {
  const auto in = [&](short pair, attr_t others) { return others | (colour ? static_cast<attr_t>(COLOR_PAIR(pair)) : attr_t{0}); };
  switch (style) {
  case Style::plain: return A_NORMAL;
  case Style::bold:
  case Style::title: return A_BOLD;
  case Style::good: return in(pair_green, A_NORMAL);
  case Style::note: return in(pair_yellow, A_NORMAL);
  case Style::bad: return in(pair_red, A_BOLD);
  }
  return A_NORMAL;
}

/// What terminals send in truth, also where TERM is a plainer one than it is.
void define_keys() {
  constexpr std::pair<const char*, int> sequences[] = {
      {"\x1b[A", KEY_UP},     {"\x1b[B", KEY_DOWN},  {"\x1bOA", KEY_UP},    {"\x1bOB", KEY_DOWN}, {"\x1b[5~", KEY_PPAGE},
      {"\x1b[6~", KEY_NPAGE}, {"\x1b[1~", KEY_HOME}, {"\x1b[7~", KEY_HOME}, {"\x1b[H", KEY_HOME}, {"\x1bOH", KEY_HOME},
      {"\x1b[4~", KEY_END},   {"\x1b[8~", KEY_END},  {"\x1b[F", KEY_END},   {"\x1bOF", KEY_END},
  };
  for (const auto& [sequence, code] : sequences) define_key(sequence, code);
}

Press press_of_code(wint_t code) {
  switch (code) {
  case KEY_UP: return {.key = Key::up};
  case KEY_DOWN: return {.key = Key::down};
  case KEY_PPAGE: return {.key = Key::page_up};
  case KEY_NPAGE: return {.key = Key::page_down};
  case KEY_HOME: return {.key = Key::home};
  case KEY_END: return {.key = Key::end};
  case KEY_ENTER: return {.key = Key::enter};
  case KEY_BACKSPACE: return {.key = Key::backspace};
  default: return {.key = Key::other};
  }
}

Press press_of_character(wint_t code) {
  constexpr wint_t escape = 0x1b, backspace = 0x08, rubout = 0x7f;
  if (code == escape) return {.key = Key::escape};
  if (code == backspace || code == rubout) return {.key = Key::backspace};
  if (code == '\r' || code == '\n') return {.key = Key::enter};
  if (code < ' ') return {.key = Key::other};
  std::string bytes(MB_CUR_MAX, '\0');
  std::mbstate_t state{};
  const std::size_t length = std::wcrtomb(bytes.data(), static_cast<wchar_t>(code), &state);
  if (length == static_cast<std::size_t>(-1)) return {.key = Key::other};
  bytes.resize(length);
  return {.key = Key::character, .text = std::move(bytes)};
}

} // namespace

std::string terminal_error() {
  if (isatty(STDOUT_FILENO) == 0) return fmt::format("top needs a terminal, and stdout is none. {}", instead);
  if (isatty(STDIN_FILENO) == 0) return fmt::format("top needs a terminal for its keys, and stdin is none. {}", instead);
  const std::string name = escaped(terminal_name());
  if (name.empty()) return fmt::format("TERM is not set: set it to what this terminal is, for example TERM=vt100. {}", instead);
  int found = 0;
  if (setupterm(nullptr, STDOUT_FILENO, &found) != OK)
    return fmt::format("TERM={} is not known here: set it to what this terminal is, for example TERM=vt100, or install its description "
                       "(ncurses-term). {}",
                       name, instead);
  const char* const move_cursor = tigetstr("cup");
  const bool can_move = move_cursor != nullptr && move_cursor != reinterpret_cast<const char*>(-1); // NOLINT(performance-no-int-to-ptr)
  del_curterm(set_curterm(nullptr));
  if (can_move) return {};
  return fmt::format(
      "TERM={} cannot move the cursor, which a live screen needs: if this terminal can, set TERM, for example TERM=vt100. {}", name,
      instead);
}

struct Terminal::Impl {
  SCREEN* screen = nullptr;
  bool colour = false, utf8 = false;
};

Terminal::Terminal(bool colour) : impl_(std::make_unique<Impl>()) {
  std::setlocale(LC_CTYPE, ""); // NOLINT(concurrency-mt-unsafe): before there are threads
  impl_->utf8 = std::string_view{nl_langinfo(CODESET)} == "UTF-8";
  impl_->screen = newterm(nullptr, stdout, stdin);
  if (impl_->screen == nullptr) throw std::runtime_error(terminal_error().empty() ? "the terminal cannot be used" : terminal_error());
  constexpr int escape_alone_ms = 25;
  set_escdelay(escape_alone_ms);
  cbreak();
  noecho();
  nonl();
  intrflush(stdscr, FALSE);
  keypad(stdscr, TRUE);
  nodelay(stdscr, TRUE);
  define_keys();
  curs_set(0);
  impl_->colour = colour && has_colors() && start_color() == OK;
  if (!impl_->colour) return;
  const short background = use_default_colors() == OK ? short{-1} : short{COLOR_BLACK};
  init_pair(pair_red, COLOR_RED, background);
  init_pair(pair_yellow, COLOR_YELLOW, background);
  init_pair(pair_green, COLOR_GREEN, background);
}

Terminal::~Terminal() {
  endwin();
  delscreen(impl_->screen);
}

bool Terminal::utf8() const { return impl_->utf8; }

Size Terminal::size() const {
  return {.rows = static_cast<std::size_t>(getmaxy(stdscr)), .columns = static_cast<std::size_t>(getmaxx(stdscr))};
}

void Terminal::show(const std::vector<Line>& lines) {
  werase(stdscr);
  int row = 0;
  for (const Line& line : lines) {
    const attr_t attributes = attributes_of(line.style, impl_->colour) | (line.reverse ? static_cast<attr_t>(A_REVERSE) : attr_t{0});
    wattrset(stdscr, static_cast<int>(attributes));
    mvwaddnstr(stdscr, row++, 0, line.text.c_str(), -1); // into the last corner, too: the error is that the cursor cannot go on
  }
  wattrset(stdscr, A_NORMAL);
  wrefresh(stdscr);
}

std::optional<Press> Terminal::read() {
  wint_t code = 0;
  const int kind = wget_wch(stdscr, &code);
  if (kind == ERR) return std::nullopt;
  return kind == KEY_CODE_YES ? press_of_code(code) : press_of_character(code);
}

void Terminal::resize() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0) return;
  resizeterm(size.ws_row, size.ws_col);
  clearok(curscr, TRUE);
}

void Terminal::leave() { endwin(); }

} // namespace hanat::cli::top
