// What an answer must hold: plain bytes, or a regular expression of RE2, whose time is linear in the text however hostile that is.
// Not here: which part of an answer is looked at (a file a kind).
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
  Pattern() = default; // found in everything
  static Pattern text(std::string bytes);
  /// `expression` must be one that complaint() has nothing to say about.
  static Pattern expression(std::string expression);
  /// What is wrong with a regular expression, in RE2's words; nullopt: nothing.
  static std::optional<std::string> complaint(std::string_view expression);

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
