// A line an answer, and one more for what it means.
#include "cli/show_probes.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "cli/text.hpp"
#include "daemon/util/escape.hpp"

namespace hanat::cli {

bool is_good(const ProbeAnswer& answer) { return answer.outcome == "pass" || answer.outcome == "full"; }

std::string show_probes(const std::vector<ProbeAnswer>& answers, const View& view) {
  if (answers.empty()) return "no server has a probe\n";
  const Colorizer paint{view.colour};
  std::size_t names = 0, roles = 0, probes = 0;
  for (const ProbeAnswer& answer : answers) {
    names = std::max(names, escaped(answer.service).size());
    roles = std::max(roles, escaped(answer.role).size());
    probes = std::max(probes, escaped(answer.probe).size());
  }
  std::string text;
  for (const ProbeAnswer& answer : answers) {
    std::string row =
        fmt::format("{:<{}}  {:<{}}  {:<{}}  {} {}", escaped(answer.service), names, escaped(answer.role), roles, escaped(answer.probe),
                    std::min<std::size_t>(probes, 40), escaped(answer.outcome), escaped(answer.reason));
    if (!answer.detail.empty()) row += fmt::format(" ({})", escaped(answer.detail));
    if (!answer.wanted.empty()) row += fmt::format(", wanted: {}", escaped(answer.wanted));
    row += fmt::format("  {:.2f} ms", answer.latency_ms);
    const Colour colour = is_good(answer) ? Colour::none : Colour::red;
    for (const std::string& line : wrapped(row, view.width, 4)) text += paint(colour, line) + "\n";
    if (!is_good(answer))
      for (const std::string& line : wrapped("    " + escaped(answer.explanation), view.width, 4)) text += line + "\n";
  }
  const auto good = std::ranges::count_if(answers, is_good);
  return text + fmt::format("{} of {} good\n", good, answers.size());
}

} // namespace hanat::cli
