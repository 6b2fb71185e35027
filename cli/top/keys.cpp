// One function for each mode of the picture. No key changes anything at hanatd before its question was answered with y.
#include "cli/top/keys.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "cli/top/cells.hpp"

namespace hanat::cli::top {
namespace {

constexpr std::size_t longest_filter = 64;
constexpr std::size_t most_choices = 9; // one digit

void refuse(Picture& picture, std::string text) { picture.mode = Answered{{.done = false, .text = std::move(text)}}; }

Action confirm(Picture& picture, Change change) {
  std::string service = change.service;
  picture.mode = Confirming{.change = std::move(change), .standing = std::nullopt};
  return CountOf{std::move(service)};
}

/// Asks for the server where there are several, and for a confirmation where there is one.
Action choose(Picture& picture, const Row& row, Change::Kind kind, std::vector<Server> servers) {
  if (servers.size() == 1) return confirm(picture, {.kind = kind, .service = row.name, .server = servers.front().role});
  if (servers.size() > most_choices) servers.resize(most_choices);
  picture.mode = Choosing{.kind = kind, .service = row.name, .servers = std::move(servers)};
  return Nothing{};
}

Action begin_force(Picture& picture, const Row& row) {
  if (row.servers.size() < 2) {
    refuse(picture, fmt::format("{} has no other server: there is nothing to force.", row.name));
    return Nothing{};
  }
  std::vector<Server> backups = row.servers;
  std::erase_if(backups, [](const Server& server) { return server.role == "primary"; });
  const bool only_one_way = row.target == "primary" && !row.forced && backups.size() == 1;
  return choose(picture, row, Change::Kind::force, only_one_way ? backups : row.servers);
}

Action begin_release(Picture& picture, const Row& row) {
  if (row.forced) return confirm(picture, {.kind = Change::Kind::release, .service = row.name});
  refuse(picture, fmt::format("{} is not forced: hanatd decides already.", row.name));
  return Nothing{};
}

Action begin_maintenance(Picture& picture, const Row& row, Change::Kind kind) {
  std::vector<Server> servers = row.servers;
  std::erase_if(servers, [&](const Server& server) { return server.disabled == (kind == Change::Kind::disable); });
  if (!servers.empty()) return choose(picture, row, kind, std::move(servers));
  refuse(picture, kind == Change::Kind::disable ? fmt::format("all servers of {} are disabled already.", row.name)
                                                : fmt::format("no server of {} is disabled.", row.name));
  return Nothing{};
}

Action begin_change(Picture& picture, char key) {
  const Row* const row = picture.list.selected();
  if (row == nullptr) return Nothing{};
  if (!picture.lost.empty()) {
    refuse(picture, "hanatd does not answer: nothing can be changed. See systemctl status hanatd.");
    return Nothing{};
  }
  switch (key) {
  case 'f': return begin_force(picture, *row);
  case 'a': return begin_release(picture, *row);
  case 'd': return begin_maintenance(picture, *row, Change::Kind::disable);
  default: return begin_maintenance(picture, *row, Change::Kind::enable);
  }
}

Action press_letter(Picture& picture, const std::string& text) {
  const char letter = text.size() == 1 ? text.front() : '\0';
  switch (letter) {
  case 'q': return Quit{};
  case '?':
  case 'h': picture.mode = Helping{}; return Nothing{};
  case '/': picture.mode = Filtering{.before = picture.list.filter()}; return Nothing{};
  case 'k': picture.list.move(-1); return Nothing{};
  case 'j': picture.list.move(1); return Nothing{};
  case ' ': picture.list.move(static_cast<std::ptrdiff_t>(picture.page)); return Nothing{};
  case 'f':
  case 'a':
  case 'd':
  case 'e': return begin_change(picture, letter);
  default: return Nothing{};
  }
}

/// The keys that move the selection do so while a filter is typed, too.
void move(Picture& picture, Key key) {
  const auto page = static_cast<std::ptrdiff_t>(std::max<std::size_t>(picture.page, 1));
  switch (key) {
  case Key::up: return picture.list.move(-1);
  case Key::down: return picture.list.move(1);
  case Key::page_up: return picture.list.move(-page);
  case Key::page_down: return picture.list.move(page);
  case Key::home: return picture.list.move_to_first();
  case Key::end: return picture.list.move_to_last();
  case Key::enter:
  case Key::escape:
  case Key::backspace:
  case Key::character:
  case Key::other: return;
  }
}

Action press_in(Picture& picture, const Browsing&, const Press& key) {
  if (key.key == Key::character) return press_letter(picture, key.text);
  if (key.key == Key::escape) picture.list.set_filter("");
  move(picture, key.key);
  return Nothing{};
}

Action press_in(Picture& picture, const Filtering& mode, const Press& key) {
  const std::string& filter = picture.list.filter();
  if (key.key == Key::character && filter.size() + key.text.size() <= longest_filter) picture.list.set_filter(filter + key.text);
  if (key.key == Key::backspace) picture.list.set_filter(std::string{without_last(filter)});
  if (key.key == Key::escape) picture.list.set_filter(mode.before);
  if (key.key == Key::enter || key.key == Key::escape) picture.mode = Browsing{};
  move(picture, key.key);
  return Nothing{};
}

Action press_in(Picture& picture, const Helping&, const Press&) {
  picture.mode = Browsing{};
  return Nothing{};
}

Action press_in(Picture& picture, const Choosing& mode, const Press& key) {
  const char digit = key.key == Key::character && key.text.size() == 1 ? key.text.front() : '0';
  const auto number = static_cast<std::size_t>(digit - '0');
  if (digit > '0' && digit <= '9' && number <= mode.servers.size())
    return confirm(picture, {.kind = mode.kind, .service = mode.service, .server = mode.servers[number - 1].role});
  picture.mode = Browsing{};
  return Nothing{};
}

/// Enter is not enough: somebody may have meant the list.
Action press_in(Picture& picture, const Confirming& mode, const Press& key) {
  if (key.key != Key::character || (key.text != "y" && key.text != "Y")) {
    picture.mode = Browsing{};
    return Nothing{};
  }
  Change change = mode.change;
  picture.mode = Waiting{change};
  return change;
}

Action press_in(Picture& picture, const Waiting&, const Press& key) {
  if (key.key == Key::character && key.text == "q") return Quit{};
  if (key.key == Key::escape) picture.mode = Browsing{}; // the answer is shown when it comes
  return Nothing{};
}

Action press_in(Picture& picture, const Answered&, const Press&) {
  picture.mode = Browsing{};
  return Nothing{};
}

} // namespace

void add_events(Picture& picture, std::vector<Event> events, bool instead) {
  if (instead) picture.events.clear();
  std::ranges::move(events, std::back_inserter(picture.events));
  while (picture.events.size() > most_events) picture.events.pop_front();
}

Action press(Picture& picture, const Press& key) {
  const Mode mode = picture.mode; // the key may replace it
  return std::visit([&](const auto& current) { return press_in(picture, current, key); }, mode);
}

void take_standing(Picture& picture, const Standing& standing) {
  auto* const question = std::get_if<Confirming>(&picture.mode);
  if (question != nullptr && question->change.service == standing.service) question->standing = standing;
}

void take_answer(Picture& picture, Answer answer) { picture.mode = Answered{std::move(answer)}; }

} // namespace hanat::cli::top
