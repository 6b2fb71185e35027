// What the live screen knows, and what it asks: one value, which the keys and what hanatd says change, and which is drawn.
// Not here: changing it (keys), drawing it (draw), asking hanatd (connection).
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cli/top/listing.hpp"
#include "cli/top/values.hpp"

namespace hanat::cli::top {

/// The keys go to the list.
struct Browsing {};
/// A text for the filter is typed.
struct Filtering {
  std::string before; // what Escape brings back
};
struct Helping {};
/// Which server?
struct Choosing {
  Change::Kind kind = Change::Kind::force;
  std::string service;
  std::vector<Server> servers; // by their numbers
};
/// Do it?
struct Confirming {
  Change change;
  std::optional<Standing> standing; // nullopt: it is being counted
};
/// hanatd is asked to do it.
struct Waiting {
  Change change;
};
/// What became of it.
struct Answered {
  Answer answer;
};
using Mode = std::variant<Browsing, Filtering, Helping, Choosing, Confirming, Waiting, Answered>;

struct Picture {
  Listing list;
  Head head;
  std::deque<Event> events;           // the newest at the end
  std::optional<WallTime> heard = {}; // the status on the screen is of then; nullopt: there is none yet
  std::string lost = {};              // why hanatd does not answer; empty: it does
  Mode mode = {};
  std::size_t page = 1; // rows of the list in view, for PageUp and PageDown
  bool utf8 = false;    // the terminal shows it
};

inline constexpr std::size_t most_events = 100;
void add_events(Picture& picture, std::vector<Event> events, bool instead);

} // namespace hanat::cli::top
