// A list is taken out of a text, however the text comes. Not here: whole replies (server_test, netns).
#include "daemon/api/list_reader.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace hanat {
namespace {

using Elements = std::vector<std::string>;

struct Read {
  Elements elements;
  std::string rest;
  bool operator==(const Read&) const = default;
};
void PrintTo(const Read& read, std::ostream* out) {
  for (const std::string& element : read.elements) *out << element << " | ";
  *out << read.rest;
}

Read read(const std::string& text, std::size_t piece = std::string::npos) {
  Read result;
  ListReader reader{"services", [&](std::string_view element) { result.elements.emplace_back(element); }};
  for (std::size_t at = 0; at < text.size(); at += std::min(piece, text.size() - at)) reader.feed(std::string_view{text}.substr(at, piece));
  result.rest = reader.rest();
  return result;
}

TEST(ListReader, PassesEachElementOnHoweverTheTextComes) {
  const std::string text = R"({"a":{"b":1},"services":[{"name":"x]\"},","list":[{},[1]]},{},"y"],"version":{"services":[1]}})";
  const Read expected{.elements = {R"({"name":"x]\"},","list":[{},[1]]})", "{}", R"("y")"},
                      .rest = R"({"a":{"b":1},"services":[],"version":{"services":[1]}})"};
  for (std::size_t piece = 1; piece <= text.size(); ++piece) EXPECT_EQ(read(text, piece), expected) << piece;
}

TEST(ListReader, LeavesATextWithoutElementsAsItIs) {
  for (const std::string text : {"", R"({"error":"x"})", R"({"services":[]})", R"({"services":"none"})", R"({"services":)"})
    for (const std::size_t piece : {std::size_t{1}, std::string::npos}) EXPECT_EQ(read(text, piece), (Read{{}, text})) << text;
}

TEST(ListReader, OfADamagedTextAnElementOrTheRestIsNoJson) {
  EXPECT_EQ(read(R"({"services":[,]})"), (Read{{""}, R"({"services":[]})"}));
  EXPECT_EQ(read(R"({"services":[{},]})"), (Read{{"{}"}, R"({"services":[]})"}));
  EXPECT_EQ(read(R"({"services":[{}}})"), (Read{{}, R"({"services":[{}}})"}));
  EXPECT_EQ(read(R"({"services":[{"a":1)"), (Read{{}, R"({"services":[{"a":1)"}));
}

} // namespace
} // namespace hanat
