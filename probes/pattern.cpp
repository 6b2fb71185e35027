// Plain bytes are searched as they are; expressions treat text as Latin-1, so that every byte is a character.
#include "probes/pattern.hpp"

#include <utility>

#include <re2/re2.h>

namespace hanat::probes {
namespace {

constexpr std::int64_t max_memory = std::int64_t{1} << 20; // bytes per compiled expression; a typical one takes a few thousand

std::shared_ptr<const re2::RE2> compile(std::string_view expression) {
  re2::RE2::Options options{re2::RE2::Latin1};
  options.set_log_errors(false);
  options.set_max_mem(max_memory);
  return std::make_shared<const re2::RE2>(re2::StringPiece{expression.data(), expression.size()}, options);
}

} // namespace

Pattern Pattern::text(std::string bytes) {
  Pattern pattern;
  pattern.source_ = std::move(bytes);
  return pattern;
}

Pattern Pattern::expression(std::string expression) {
  Pattern pattern = text(std::move(expression));
  pattern.compiled_ = compile(pattern.source_);
  return pattern;
}

std::optional<std::string> Pattern::error(std::string_view expression) {
  const auto compiled = compile(expression);
  return compiled->ok() ? std::nullopt : std::optional{compiled->error()};
}

bool Pattern::found_in(std::string_view bytes) const {
  if (!compiled_) return bytes.find(source_) != std::string_view::npos;
  return re2::RE2::PartialMatch(re2::StringPiece{bytes.data(), bytes.size()}, *compiled_);
}

} // namespace hanat::probes
