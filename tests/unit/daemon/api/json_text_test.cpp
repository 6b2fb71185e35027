// Text says what the tree says. Not here: what a status has (status_test).
#include "daemon/api/json_text.hpp"

#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "daemon/api/varlink.hpp"

namespace hanat::json_text_test {

struct Inner {
  bool on = true;
};
template <class To> void describe(To&& to, const Inner& inner) { to("on", inner.on); }

struct Outer {
  std::string text = "plain";
  double number = 0.25;
  std::int64_t below = -3;
  std::uint64_t large = std::numeric_limits<std::uint64_t>::max();
  std::optional<Inner> some = Inner{}, none = {};
  std::vector<Inner> list = {Inner{}, Inner{false}};
  std::vector<std::string> words = {"a", "b"}, no_words = {};
  std::map<std::string, std::uint64_t> counts = {{"x", 1}, {"y", 2}};
};
template <class To> void describe(To&& to, const Outer& outer) {
  to("text", outer.text);
  to("number", outer.number);
  to("below", outer.below);
  to("large", outer.large);
  to("some", outer.some);
  to("none", outer.none);
  to("list", outer.list);
  to("words", outer.words);
  to("no_words", outer.no_words);
  to("counts", outer.counts);
}

namespace {

std::string text_of(const Outer& outer) {
  std::string text;
  JsonText object{text};
  describe(object, outer);
  object.end();
  return text;
}

TEST(JsonText, SaysWhatTheTreeSays) {
  EXPECT_EQ(text_of({}), R"({"text":"plain","number":0.25,"below":-3,"large":18446744073709551615,"some":{"on":true},"none":null,)"
                         R"("list":[{"on":true},{"on":false}],"words":["a","b"],"no_words":[],"counts":{"x":1,"y":2}})");
  EXPECT_EQ(nlohmann::json::parse(text_of({})), tree_of(Outer{}));
}

TEST(JsonText, WritesEveryTextAndNumberAsTheLibraryDoes) {
  for (const std::string& text :
       {std::string{}, std::string{"\"\\/\b\n\x01\x7f\0", 8}, std::string{"\xc3\xa4\xe2\x82\xac"}, std::string{"\xff\xc3"}}) {
    EXPECT_EQ(nlohmann::json::parse(text_of({.text = text})), nlohmann::json::parse(varlink::to_text(tree_of(Outer{.text = text}))));
  }
  for (const double number : {0.0, -0.0, 1.0, 10.0, 0.001, 1e-7, 12345678.9, 1e16, 1e300, -2.5, std::nan(""), HUGE_VAL}) {
    const std::string text = text_of({.number = number}), tree = varlink::to_text(tree_of(Outer{.number = number}));
    EXPECT_EQ(nlohmann::json::parse(text), nlohmann::json::parse(tree)) << number;
    EXPECT_EQ(nlohmann::json::parse(text)["number"].type(), nlohmann::json::parse(tree)["number"].type()) << number;
  }
}

} // namespace
} // namespace hanat::json_text_test
