// What the live screen is made of, as values: services as rows, events, what a key asks for, and lines of text. Not here: making rows from
// a status (cli/top_texts), the order of rows (listing), how they look (draw).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "daemon/util/wall_time.hpp"

namespace hanat::cli::top {

/// How a line looks where there is colour. Without it the text has to say the same.
enum class Style : std::uint8_t { plain, bold, good, note, bad, title };

/// A line of the screen, printable, and no wider than that.
struct Line {
  std::string text;
  Style style = Style::plain;
  bool reverse = false;
  bool operator==(const Line&) const = default;
};

/// The order of the list: what needs a hand comes first.
enum class Rank : std::uint8_t { unserved, trouble, note, fine };

struct Server {
  std::string role, address, health; // "backup", "10.0.0.12:8443", "up"
  bool disabled = false;
  bool operator==(const Server&) const = default;
};

/// A service.
struct Row {
  std::string name;
  Rank rank = Rank::fine;
  std::string target, why; // "backup", "failover"
  std::optional<WallTime> since = std::nullopt;
  std::string sentence = {};        // what to know of it at a glance
  std::vector<Line> details = {};   // all of it, each line however long
  std::vector<Server> servers = {}; // without former ones
  std::optional<std::string> forced = std::nullopt, group = std::nullopt;
  bool observed = false;                            // hanatd moves nothing
  std::optional<double> flows_per_s = std::nullopt; // new ones, of all its servers
};

/// hanatd itself.
struct Head {
  std::string title;              // "gw1  hanatd 0.1.0 up 3 d 4 h"
  std::vector<Line> notices = {}; // Style::bad: a problem
};

struct Event {
  std::optional<WallTime> at;
  std::string service, text;
  Style style = Style::plain;
};

/// What an operator wants to change.
struct Change {
  enum class Kind : std::uint8_t { force, release, disable, enable };
  Kind kind = Kind::force;
  std::string service;
  std::string server = {}; // a role; empty for release
  bool operator==(const Change&) const = default;
};

/// What hanatd said to that.
struct Answer {
  bool done = false;
  std::string text; // lines
};

/// The connections of a service that a change could touch.
struct Standing {
  std::string service = {};
  std::string on_forced = {};                     // "reset", "drain 1m", "keep"; empty: it is not known
  std::map<std::string, std::uint64_t> live = {}; // by role
  std::string failure = {};                       // why nothing is known
};

struct Size {
  std::size_t rows = 0, columns = 0;
  bool operator==(const Size&) const = default;
};

enum class Key : std::uint8_t { up, down, page_up, page_down, home, end, enter, escape, backspace, character, other };
struct Press {
  Key key = Key::other;
  std::string text = {}; // of a character: its bytes
};

} // namespace hanat::cli::top
