// A picture for the tests of the live screen, in the time zone UTC. Not here: any test.
#pragma once

#include <cstdlib>
#include <ctime>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "cli/top/draw.hpp"
#include "cli/top/keys.hpp"

namespace hanat::cli::top {

inline const WallTime noon = *parse_wall_time("2026-01-31T12:00:00.000Z");

class TopScreen : public testing::Test {
protected:
  TopScreen() {
    setenv("TZ", "UTC", 1);
    tzset();
    picture.heard = noon;
    picture.head = {.title = "gw1  hanatd 0.1.0 up 3 d 4 h"};
    picture.list.replace({web(), mail()});
  }

  static Row web() {
    return {.name = "web",
            .target = "primary",
            .why = "primary-up",
            .since = noon - std::chrono::minutes{123},
            .sentence = "primary-up: connected 0.21 ms, 0.4 s ago",
            .details = {{.text = "-> primary 198.18.1.2:8443  up  connected 0.21 ms, 0.4 s ago"},
                        {.text = "   backup 198.18.1.3:8443  up  connected 0.30 ms, 0.2 s ago"}},
            .servers = {{.role = "primary", .address = "198.18.1.2:8443", .health = "up"},
                        {.role = "backup", .address = "198.18.1.3:8443", .health = "up"}},
            .flows_per_s = 3.44};
  }
  static Row mail() {
    return {.name = "mail",
            .rank = Rank::unserved,
            .target = "none",
            .why = "no-server-up",
            .since = noon - std::chrono::seconds{43},
            .sentence = "no server is up: clients are turned away until one is",
            .details = {{.text = "!! no server is up: clients are turned away until one is", .style = Style::bad}},
            .servers = {{.role = "primary", .address = "198.18.1.2:26", .health = "down"},
                        {.role = "backup", .address = "198.18.1.3:27", .health = "down"}}};
  }

  std::vector<std::string> texts(Size size = {24, 80}) {
    std::vector<std::string> all;
    for (const Line& line : draw(picture, size, noon)) all.push_back(line.text);
    return all;
  }
  std::string text(Size size = {24, 80}) {
    std::string all;
    for (const std::string& line : texts(size)) all += line + "\n";
    return all;
  }
  /// Sentences that are folded on the screen are whole again.
  std::string flat() {
    std::string all = text();
    for (auto at = all.find("\n  "); at != std::string::npos; at = all.find("\n  ", at)) all.replace(at, 3, " ");
    return all;
  }
  Action type(const char* letters) {
    Action last = Nothing{};
    for (const char* letter = letters; *letter != '\0'; ++letter)
      last = press(picture, {.key = Key::character, .text = std::string(1, *letter)});
    return last;
  }
  Action hit(Key key) { return press(picture, {.key = key}); }

  Picture picture;
};

} // namespace hanat::cli::top
