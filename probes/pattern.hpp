// What a reply must hold: plain bytes, or an RE2 regular expression, which matches hostile text in linear time.
// Not here: which part of a reply is searched (kinds/).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace re2 {
class RE2;
}

namespace hanat::probes {

class Pattern {
public:
  Pattern() = default; // matches everything
  static Pattern text(std::string bytes);
  /// `expression` must be valid: error() returns nullopt.
  static Pattern expression(std::string expression);
  /// RE2's error message for an invalid regular expression; nullopt: it is valid.
  static std::optional<std::string> error(std::string_view expression);

  bool empty() const { return source_.empty(); }
  const std::string& source() const { return source_; }
  bool found_in(std::string_view bytes) const;

  bool operator==(const Pattern& other) const {
    return source_ == other.source_ && static_cast<bool>(compiled_) == static_cast<bool>(other.compiled_);
  }

private:
  std::string source_;
  std::shared_ptr<const re2::RE2> compiled_; // null: plain bytes
};

} // namespace hanat::probes
