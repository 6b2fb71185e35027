// A format's parser, what all have in common, and the configuration's own parser as the judge.
#include "cli/import/import.hpp"

#include <algorithm>
#include <stdexcept>
#include <variant>

#include <fmt/format.h>

#include "cli/import/haproxy.hpp"
#include "cli/import/iptables.hpp"
#include "cli/import/keepalived.hpp"
#include "cli/import/values.hpp"
#include "cli/import/write_toml.hpp"
#include "daemon/config/load_config.hpp"

namespace hanat::cli::imports {
namespace {

Imported parse(System system, const SourceText& source, const Includes& includes, const Options& options) {
  switch (system) {
  case System::keepalived: return parse_keepalived(source, includes);
  case System::haproxy: return parse_haproxy(source, options.any);
  case System::iptables: return parse_iptables(source, options.any);
  }
  return {};
}

/// The errors stand at a service, or at the pair. Returns whether one was found that can become a comment.
bool refuse(Imported& imported, const TomlText& text, const std::vector<ConfigError>& errors) {
  bool found = false;
  const auto holds = [](const Lines& lines, const ConfigError& error) { return lines.first <= error.line && error.line <= lines.last; };
  for (const ConfigError& error : errors) {
    if (!imported.pair.empty() && holds(text.pair, error) && imported.pair.front().refused.empty()) {
      imported.pair.front().refused = error.message;
      found = true;
    }
    for (std::size_t index = 0; index < imported.services.size(); ++index)
      if (holds(text.services[index], error) && imported.services[index].refused.empty()) {
        imported.services[index].refused = error.message;
        found = true;
      }
  }
  return found;
}

std::string accepted_text(Imported& imported) {
  for (;;) {
    const TomlText text = write_toml(imported);
    const auto result = parse_config(text.text, "hanat.toml");
    const auto* const errors = std::get_if<std::vector<ConfigError>>(&result);
    if (errors == nullptr) return text.text;
    if (refuse(imported, text, *errors)) continue;
    // Not known to happen; what cannot be placed must not be written all the same.
    throw std::logic_error(fmt::format("what was made of the file is refused (line {}: {}): report this with the file",
                                       errors->front().line, errors->front().message));
  }
}

} // namespace

Outcome import_text(System system, const SourceText& source, const Includes& includes, const Options& options) {
  check_text(source);
  Imported imported = parse(system, source, includes, options);
  finish(imported);
  Outcome outcome;
  outcome.toml = accepted_text(imported);
  outcome.counts = count(imported);
  return outcome;
}

std::string summary(const Counts& counts) {
  const auto number = [](std::size_t count, std::string_view what) { return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s"); };
  std::string text = fmt::format("{} carried over", number(counts.services, "service"));
  text += counts.lost == 0
              ? (counts.hints == 0 ? ", nothing lost" : fmt::format(", nothing lost; {} to read", number(counts.hints, "NOTE")))
              : fmt::format("; {} {} not carried over: look for LOST in the output", number(counts.lost, "setting"),
                            counts.lost == 1 ? "was" : "were");
  if (counts.refused > 0) text += fmt::format("; {} as a comment only", number(counts.refused, "service"));
  if (counts.needless > 0) text += fmt::format("; {} not needed, listed at the end", number(counts.needless, "line"));
  return text;
}

} // namespace hanat::cli::imports
