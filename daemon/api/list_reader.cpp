// Counts brackets outside of strings.
#include "daemon/api/list_reader.hpp"

#include <algorithm>
#include <utility>

namespace hanat {

ListReader::ListReader(std::string_view key, std::function<void(std::string_view)> on_element)
    : begin_('"' + std::string{key} + "\":["), on_element_(std::move(on_element)) {}

void ListReader::feed(std::string_view bytes) {
  text_ += bytes;
  if (part_ == Part::before) find_list();
  if (part_ == Part::inside) read_elements();
  if (part_ == Part::behind) rest_ += std::exchange(text_, {});
}

void ListReader::find_list() {
  const std::size_t found = text_.find(begin_, scanned_);
  if (found == std::string::npos) {
    scanned_ = text_.size() - std::min(text_.size(), begin_.size() - 1); // its beginning may have come
    return;
  }
  rest_ = text_.substr(0, found + begin_.size());
  text_.erase(0, rest_.size());
  scanned_ = 0;
  part_ = Part::inside;
}

void ListReader::read_elements() {
  std::size_t begin = 0; // of an element
  for (; scanned_ < text_.size() && part_ == Part::inside; ++scanned_) {
    const char c = text_[scanned_];
    if (in_string_) {
      in_string_ = escaped_ || c != '"';
      escaped_ = c == '\\' && !escaped_;
    } else if (c == '"') {
      in_string_ = true;
    } else if (depth_ == 0 && (c == ',' || c == ']')) {
      const std::string_view element = std::string_view{text_}.substr(begin, scanned_ - begin);
      if (c == ']') part_ = Part::behind;
      if (c == ',' || !element.empty()) on_element_(element);
      begin = c == ']' ? scanned_ : scanned_ + 1;
    } else if (c == '{' || c == '[') {
      ++depth_;
    } else if (depth_ > 0 && (c == '}' || c == ']')) {
      --depth_;
    }
  }
  text_.erase(0, begin);
  scanned_ -= begin;
}

} // namespace hanat
