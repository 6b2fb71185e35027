// A table of verbs with their weights.
#include "tests/netns/model/step.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <sstream>
#include <stdexcept>

#include <fmt/format.h>

namespace hanat::test::model {
namespace {

struct Row {
  Verb verb;
  std::string_view text;
  unsigned weight; // of a thousand, about
};
constexpr std::array rows = {Row{Verb::shared_table, "shared-table", 0},
                             Row{Verb::app, "app", 240},
                             Row{Verb::silent, "silent", 40},
                             Row{Verb::link, "link", 40},
                             Row{Verb::flap, "flap", 50},
                             Row{Verb::blackout, "blackout", 6},
                             Row{Verb::force, "force", 90},
                             Row{Verb::unforce, "auto", 60},
                             Row{Verb::disable, "disable", 60},
                             Row{Verb::enable, "enable", 60},
                             Row{Verb::edit, "edit", 170},
                             Row{Verb::restart, "restart", 12},
                             Row{Verb::kill, "kill", 20},
                             Row{Verb::foreign, "foreign", 30},
                             Row{Verb::forget, "forget", 8},
                             Row{Verb::full, "full", 1},
                             Row{Verb::connect, "connect", 70},
                             Row{Verb::close, "close", 15},
                             Row{Verb::reconnect, "reconnect", 30},
                             Row{Verb::idle, "idle", 5}};

/// splitmix64: the distributions of the standard library differ between implementations.
class Random {
public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  unsigned below(unsigned limit) { return static_cast<unsigned>(next() % limit); }

private:
  std::uint64_t next() {
    std::uint64_t value = (state_ += 0x9e3779b97f4a7c15U);
    value = (value ^ (value >> 30U)) * 0xbf58476d1ce4e5b9U;
    value = (value ^ (value >> 27U)) * 0x94d049bb133111ebU;
    return value ^ (value >> 31U);
  }
  std::uint64_t state_;
};

Step random_step(Random& random) {
  constexpr unsigned numbers = 1000, one_in = 8;
  constexpr unsigned all = std::accumulate(rows.begin(), rows.end(), 0U, [](unsigned sum, const Row& row) { return sum + row.weight; });
  unsigned left = random.below(all);
  const Row* row = rows.data();
  while (left >= row->weight) left -= row++->weight;
  Step step{.verb = row->verb, .a = random.below(numbers), .b = random.below(numbers), .c = random.below(numbers)};
  step.races = random.below(one_in) == 0;
  return step;
}

Step parse_step(const std::string& text) {
  std::istringstream words(text);
  std::string verb, more;
  words >> verb;
  const auto row = std::ranges::find(rows, verb, &Row::text);
  if (row == rows.end()) throw std::invalid_argument(fmt::format("no step is called \"{}\" (in \"{}\")", verb, text));
  Step step{.verb = row->verb};
  for (unsigned* number : {&step.a, &step.b, &step.c})
    if (!(words >> *number)) throw std::invalid_argument(fmt::format("a step has three numbers: \"{}\"", text));
  if (words >> more) {
    if (more != "+") throw std::invalid_argument(fmt::format("\"{}\" at the end of \"{}\"", more, text));
    step.races = true;
  }
  return step;
}

} // namespace

std::string_view to_text(Verb verb) { return std::ranges::find(rows, verb, &Row::verb)->text; }

std::string to_text(const Step& step) {
  return fmt::format("{} {} {} {}{}", to_text(step.verb), step.a, step.b, step.c, step.races ? " +" : "");
}

std::string to_text(const std::vector<Step>& steps) {
  std::string text;
  for (const Step& step : steps) text += (text.empty() ? "" : "; ") + to_text(step);
  return text;
}

std::vector<Step> parse_steps(std::string_view text) {
  std::vector<Step> steps;
  std::istringstream parts{std::string{text}};
  for (std::string part; std::getline(parts, part, ';');)
    if (part.find_first_not_of(" \n\t") != std::string::npos) steps.push_back(parse_step(part));
  return steps;
}

std::vector<Step> random_steps(std::uint64_t seed, std::size_t count) {
  Random random{seed};
  std::vector<Step> steps;
  if (random.below(2) == 0) steps.push_back({.verb = Verb::shared_table});
  while (steps.size() < count) steps.push_back(random_step(random));
  if (!steps.empty()) steps.back().races = false;
  return steps;
}

} // namespace hanat::test::model
