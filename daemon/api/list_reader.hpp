// Takes a long list out of a JSON text while the text comes, element by element: nobody needs a tree of all of it. Not here: reading the
// elements and what is left, which replies have such a list (client).
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace hanat {

class ListReader {
public:
  /// The list is the first that `key` names, as hanatd writes it: without blanks before its bracket.
  ListReader(std::string_view key, std::function<void(std::string_view)> on_element);

  void feed(std::string_view bytes);
  /// The text with an empty list. Where the text is no JSON, this or an element is none.
  std::string rest() const { return rest_ + text_; }

private:
  enum class Part : unsigned char { before, inside, behind };

  void find_list();
  void read_elements();

  std::string begin_; // "key":[
  std::function<void(std::string_view)> on_element_;
  Part part_ = Part::before;
  std::string rest_, text_; // text_: what came and belongs to no element yet, or to one that is not complete
  std::size_t scanned_ = 0; // of text_
  std::size_t depth_ = 0;   // of brackets inside the element
  bool in_string_ = false, escaped_ = false;
};

} // namespace hanat
