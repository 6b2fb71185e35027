// Parts from the top and from the bottom; what is between them is the list's. The smaller the screen, the fewer parts.
#include "cli/top/draw.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "cli/top/cells.hpp"
#include "cli/top/flow_rates.hpp"
#include "cli/top/questions.hpp"
#include "cli/top/times.hpp"

namespace hanat::cli::top {
namespace {

constexpr std::size_t rows_for_heading = 12; // a smaller screen has better use for the line
constexpr std::size_t columns_for_since = 50;
constexpr std::size_t columns_for_flows = 70;
constexpr std::size_t least_of_list = 3;
constexpr std::chrono::seconds silence{4}; // what is in view is asked for every second

using Lines = std::vector<Line>;

/// What every part has to know.
struct Canvas {
  Size size;
  WallTime now;
  bool utf8 = false;

  std::string safe_text(std::string_view text) const { return safe(text, utf8); }
  void fold_into(Lines& lines, const Line& line, std::size_t hang) const {
    for (std::string& part : folded(safe_text(line.text), size.columns, hang))
      lines.push_back({.text = std::move(part), .style = line.style, .reverse = line.reverse});
  }
  Line ruler(std::string_view text) const {
    std::string line = fmt::format("-- {} ", safe_text(text));
    line.append(size.columns - std::min(size.columns, columns_of(line)), '-');
    return {.text = cut_to(line, size.columns), .style = Style::title};
  }
};

std::string plural_of(std::size_t number, std::string_view what) { return fmt::format("{} {}{}", number, what, number == 1 ? "" : "s"); }

// ---- above the list

Line title_line(const Picture& picture, const Canvas& canvas) {
  const std::string text = short_time(canvas.now, canvas.now) + "  " + picture.head.title;
  return {.text = cut_to(canvas.safe_text(text), canvas.size.columns), .style = Style::bold};
}

/// "2 problems, 1 note; 297 of 300 services at their primary"
Line totals_line(const Picture& picture, const Canvas& canvas) {
  const auto& list = picture.list;
  const auto bad = static_cast<std::size_t>(std::ranges::count(picture.head.notices, Style::bad, &Line::style));
  const auto noted = static_cast<std::size_t>(std::ranges::count(picture.head.notices, Style::note, &Line::style));
  const std::size_t problems = list.number(Rank::unserved) + list.number(Rank::trouble) + bad;
  const std::size_t notes = list.number(Rank::note) + noted;
  std::string text = problems == 0 ? "no problems" : plural_of(problems, "problem");
  if (notes > 0) text += ", " + plural_of(notes, "note");
  text += fmt::format("; {} of {} at {} primary", list.at_primary(), plural_of(list.size(), "service"), list.size() == 1 ? "its" : "their");
  if (!list.filter().empty()) text += fmt::format("; {} with \"{}\"", list.shown(), canvas.safe_text(list.filter()));
  const Style style = problems > 0 ? Style::bad : notes > 0 ? Style::note : Style::good;
  return {.text = cut_to(text, canvas.size.columns), .style = style};
}

Lines lines_above(const Picture& picture, const Canvas& canvas) {
  Lines lines{title_line(picture, canvas)};
  if (!picture.lost.empty()) {
    const std::string old = picture.heard ? fmt::format(" What follows is of {}.", short_time(*picture.heard, canvas.now)) : "";
    Lines why;
    canvas.fold_into(
        why, {.text = fmt::format("hanatd DOES NOT ANSWER.{} Trying again. {}", old, picture.lost), .style = Style::bad, .reverse = true},
        0);
    why.resize(std::min(why.size(), std::max<std::size_t>(canvas.size.rows / 5, 1)));
    lines.insert(lines.end(), why.begin(), why.end());
  }
  if (!picture.heard) {
    if (picture.lost.empty()) lines.push_back({.text = cut_to("waiting for hanatd ...", canvas.size.columns)});
    return lines;
  }
  if (const auto silent = std::chrono::floor<std::chrono::seconds>(canvas.now - *picture.heard); picture.lost.empty() && silent > silence)
    lines.push_back(
        {.text = cut_to(fmt::format("hanatd has not answered for {}: what follows is old", short_duration(silent)), canvas.size.columns),
         .style = Style::bad,
         .reverse = true});
  lines.push_back(totals_line(picture, canvas));
  Lines notices;
  for (const Line& notice : picture.head.notices) canvas.fold_into(notices, notice, 3);
  const std::size_t room = std::max<std::size_t>(canvas.size.rows / 5, 1);
  if (notices.size() > room) {
    notices.resize(room);
    notices.back() = {.text = cut_to("   ... more of hanatd itself: hanatctl status", canvas.size.columns), .style = Style::bad};
  }
  lines.insert(lines.end(), notices.begin(), notices.end());
  return lines;
}

// ---- the list

std::string_view mark_of(Rank rank) {
  switch (rank) {
  case Rank::unserved:
  case Rank::trouble: return "!!";
  case Rank::note: return " !";
  case Rank::fine: return "  ";
  }
  return "  ";
}

Style style_of(Rank rank) {
  switch (rank) {
  case Rank::unserved:
  case Rank::trouble: return Style::bad;
  case Rank::note: return Style::note;
  case Rank::fine: return Style::plain;
  }
  return Style::plain;
}

/// How wide the columns are.
struct Columns {
  std::size_t name = 7, target = 7, since = 0, flows = 0;
};

Columns columns_for(const std::vector<const Row*>& rows, const Canvas& canvas) {
  Columns columns{.since = canvas.size.columns < columns_for_since ? std::size_t{0} : std::size_t{7},
                  .flows = canvas.size.columns < columns_for_flows ? std::size_t{0} : std::size_t{8}};
  for (const Row* row : rows) {
    columns.name = std::max(columns.name, columns_of(canvas.safe_text(row->name)));
    columns.target = std::max(columns.target, columns_of(canvas.safe_text(row->target)));
  }
  columns.name = std::min(columns.name, std::max<std::size_t>(canvas.size.columns / 3, 7));
  columns.target = std::min<std::size_t>(columns.target, 10);
  return columns;
}

std::string row_text(std::string_view begin, const Columns& columns, const std::array<std::string_view, 5>& cells) {
  std::string text = fmt::format("{} {} {} ", begin, padded(cells[0], columns.name), padded(cells[1], columns.target));
  if (columns.since > 0) text += padded(cells[2], columns.since);
  if (columns.flows > 0) text += padded(cells[3], columns.flows);
  return text + std::string{cells[4]};
}

Lines list_lines(const Listing::View& view, const Columns& columns, const Canvas& canvas) {
  Lines lines;
  for (std::size_t index = 0; index < view.rows.size(); ++index) {
    const Row& row = *view.rows[index];
    const bool selected = index == view.selected;
    const std::string since = row.since ? short_duration(std::chrono::floor<std::chrono::seconds>(canvas.now - *row.since)) : "?";
    const std::string flows = row.flows_per_s ? rate_text(*row.flows_per_s) : "";
    const std::string begin = std::string{selected ? ">" : " "} + std::string{mark_of(row.rank)};
    const std::string name = canvas.safe_text(row.name), target = canvas.safe_text(row.target), sentence = canvas.safe_text(row.sentence);
    lines.push_back({.text = cut_to(row_text(begin, columns, {name, target, since, flows, sentence}), canvas.size.columns),
                     .style = style_of(row.rank),
                     .reverse = selected});
  }
  return lines;
}

/// What stands in place of a list without rows.
Line empty_line(const Picture& picture, const Canvas& canvas) {
  if (!picture.heard) return {};
  if (picture.list.size() == 0)
    return {.text = cut_to("no services: write one into /etc/hanat/conf.d/NAME.toml, then hanatctl reload", canvas.size.columns)};
  return {.text = cut_to("no service has this text; Escape shows all of them", canvas.size.columns)};
}

Lines lines_of_list(Picture& picture, const Canvas& canvas, std::size_t room) {
  const bool heading = canvas.size.rows >= rows_for_heading && room > 1 && picture.list.shown() > 0;
  const Listing::View view = picture.list.view(room - (heading ? 1 : 0));
  picture.page = std::max<std::size_t>(view.rows.size(), 1);
  if (view.rows.empty()) return {empty_line(picture, canvas)};
  const Columns columns = columns_for(view.rows, canvas);
  Lines lines;
  if (heading) {
    std::string text = row_text("   ", columns, {"SERVICE", "TARGET", "SINCE", "FLOWS/S", "WHAT"});
    const std::size_t end = view.first + view.rows.size();
    const std::string place =
        end - view.first == picture.list.shown() ? "" : fmt::format(" {}-{} of {}", view.first + 1, end, picture.list.shown());
    text = padded(text, canvas.size.columns - std::min(canvas.size.columns, place.size())) + place;
    lines.push_back({.text = cut_to(text, canvas.size.columns), .style = Style::title});
  }
  for (Line& line : list_lines(view, columns, canvas)) lines.push_back(std::move(line));
  return lines;
}

// ---- below it

Lines lines_of_details(const Picture& picture, const Canvas& canvas) {
  const Row* const row = picture.list.selected();
  Lines lines;
  if (row == nullptr || row->details.empty()) return lines;
  const std::string group = row->group ? fmt::format(" (group {})", *row->group) : "";
  lines.push_back(canvas.ruler(row->name + group));
  for (const Line& line : row->details) canvas.fold_into(lines, line, std::min(line.text.find_first_not_of(' '), line.text.size()) + 2);
  return lines;
}

/// The newest first.
Lines lines_of_events(const Picture& picture, const Canvas& canvas, std::size_t room) {
  Lines lines;
  if (room < 2 || picture.events.empty()) return lines;
  lines.push_back(canvas.ruler("last events, the newest first"));
  for (std::size_t left = picture.events.size(); left > 0 && lines.size() < room; --left) {
    const Event& event = picture.events[left - 1];
    const std::string at = event.at ? short_time(*event.at, canvas.now) : "?";
    const std::string text = canvas.safe_text(fmt::format("{} {}  {}", at, event.service.empty() ? "hanatd" : event.service, event.text));
    lines.push_back({.text = cut_to(text, canvas.size.columns), .style = event.style});
  }
  return lines;
}

Line keys_line(const Picture& picture, const std::string& keys, const Canvas& canvas) {
  std::string text = " " + keys;
  if (std::holds_alternative<Filtering>(picture.mode)) text = fmt::format("/{}_   {}", canvas.safe_text(picture.list.filter()), keys);
  return {.text = padded(text, canvas.size.columns), .style = Style::plain, .reverse = true};
}

/// What is asked, and above it the service in question as far as there is room.
Lines lines_of_panel(const Picture& picture, const Panel& panel, const Canvas& canvas, std::size_t room, std::size_t for_list) {
  Lines lines;
  for (const Line& line : panel.lines) canvas.fold_into(lines, line, 2);
  const bool help = std::holds_alternative<Helping>(picture.mode);
  const std::size_t most = room - std::min<std::size_t>(help ? 0 : 1, room); // the service in question stays in sight
  if (lines.size() < most) lines.insert(lines.begin(), canvas.ruler("hanatctl"));
  lines.resize(std::min(lines.size(), most));
  Lines details = help ? Lines{} : lines_of_details(picture, canvas);
  details.resize(std::min(details.size(), room - std::min(room, lines.size() + for_list)));
  if (details.size() > 1) lines.insert(lines.begin(), details.begin(), details.end());
  return lines;
}

/// The details and the events, or what is asked.
Lines lines_below(const Picture& picture, const Panel& panel, const Canvas& canvas, std::size_t room) {
  const std::size_t wanted = std::max<std::size_t>(picture.list.shown(), 1) + (canvas.size.rows >= rows_for_heading ? 1 : 0);
  const std::size_t for_list = std::min({wanted, std::max(room / 2, least_of_list), room});
  if (!panel.lines.empty()) return lines_of_panel(picture, panel, canvas, room, std::min(for_list, room / 4 + 1));
  const std::size_t left = room - for_list;
  Lines lines = lines_of_details(picture, canvas);
  const std::size_t for_events = std::min(picture.events.size() + 1, left);
  const std::size_t for_details = std::max(left * 3 / 5, left - for_events);
  if (lines.size() > for_details) lines.resize(for_details);
  if (lines.size() < 2) lines.clear();
  for (Line& line : lines_of_events(picture, canvas, left - lines.size())) lines.push_back(std::move(line));
  return lines;
}

} // namespace

std::vector<Line> draw(Picture& picture, Size size, WallTime now) {
  if (size.rows == 0 || size.columns == 0) return {};
  const Canvas canvas{.size = size, .now = now, .utf8 = picture.utf8};
  const Panel panel = panel_of(picture.mode, picture.list);
  Lines lines = lines_above(picture, canvas);
  const std::size_t most_above = size.rows - (size.rows > 2 ? 2 : 1); // a line for the list, one for the keys
  if (lines.size() > most_above) lines.resize(most_above);
  const std::size_t room = size.rows - 1 - lines.size();
  const Lines below = lines_below(picture, panel, canvas, room);
  const std::size_t for_list = room - below.size();
  if (for_list > 0) {
    for (Line& line : lines_of_list(picture, canvas, for_list)) lines.push_back(std::move(line));
  }
  lines.resize(size.rows - 1 - below.size());
  lines.insert(lines.end(), below.begin(), below.end());
  lines.push_back(keys_line(picture, panel.keys, canvas));
  return lines;
}

} // namespace hanat::cli::top
