// The terminal: lines on it, keys from it, and as it was before at every end. The only file that knows ncurses is terminal.cpp.
// Not here: what stands on it (draw), what keys do (keys), signals (loop).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/top/values.hpp"

namespace hanat::cli::top {

/// Why this terminal cannot show a live screen, and what to do; empty: it can.
std::string terminal_error();

class Terminal {
public:
  /// stdin and stdout. Throws std::runtime_error.
  explicit Terminal(bool colour);
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  bool utf8() const;
  Size size() const;
  /// One line for each row.
  void show(const std::vector<Line>& lines);
  /// Without waiting; nullopt: there is none.
  std::optional<Press> read();
  /// It has another size.
  void resize();
  /// As it was before; show() takes it again, and draws all of it anew.
  void leave();

private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

} // namespace hanat::cli::top
