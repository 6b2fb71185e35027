// Framing, requests and replies of varlink, byte by byte. Not here: the methods (methods_test), the socket (control).
#include "daemon/api/varlink.hpp"

#include <gmock/gmock.h>

namespace hanat::varlink {
namespace {

using nlohmann::json;
using testing::HasSubstr;

std::string why(std::string_view message) {
  const auto parsed = parse_request(message);
  const auto* malformed = std::get_if<Malformed>(&parsed);
  return malformed == nullptr ? "" : malformed->why;
}
Request request(std::string_view message) { return std::get<Request>(parse_request(message)); }

TEST(VarlinkFramer, GivesEachMessageWithoutItsNul) {
  Framer framer{100};
  framer.feed(std::string_view{"one\0two\0thr", 11});
  EXPECT_EQ(framer.next(), "one");
  EXPECT_TRUE(framer.has_message());
  EXPECT_EQ(framer.next(), "two");
  EXPECT_EQ(framer.next(), std::nullopt);
  EXPECT_TRUE(framer.partial());
  framer.feed(std::string_view{"ee\0", 3});
  EXPECT_FALSE(framer.partial());
  EXPECT_EQ(framer.next(), "three");
  EXPECT_FALSE(framer.partial());
}

TEST(VarlinkFramer, GivesTheSameMessagesHoweverTheBytesWereCut) {
  const std::string stream{"a\0bb\0\0cccc\0", 11};
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    Framer framer{10};
    std::vector<std::string> messages;
    for (const auto& part : {stream.substr(0, cut), stream.substr(cut)}) {
      framer.feed(part);
      while (auto message = framer.next()) messages.push_back(*message);
    }
    EXPECT_EQ(messages, (std::vector<std::string>{"a", "bb", "", "cccc"})) << cut;
  }
}

TEST(VarlinkFramer, KnowsAMessageThatIsTooLongBeforeItEnds) {
  Framer framer{10};
  framer.feed("0123456789");
  EXPECT_FALSE(framer.too_long());
  framer.feed("0");
  EXPECT_TRUE(framer.too_long());
}

TEST(VarlinkFramer, KnowsAMessageThatIsTooLongWhenItsEndCameAtOnce) {
  Framer framer{10};
  framer.feed(std::string_view{"short\0", 6});
  framer.feed(std::string(11, 'x') + '\0');
  EXPECT_FALSE(framer.too_long());
  EXPECT_EQ(framer.next(), "short");
  EXPECT_TRUE(framer.too_long());
}

TEST(VarlinkRequest, IsReadWithItsFlags) {
  const auto read = request(R"({"method": "io.hanat.Control.Status", "parameters": {"service": "web"}, "more": true, "oneway": false})");
  EXPECT_EQ(read.interface, "io.hanat.Control");
  EXPECT_EQ(read.method, "Status");
  EXPECT_EQ(read.parameters, (json{{"service", "web"}}));
  EXPECT_TRUE(read.more);
  EXPECT_FALSE(read.oneway);
}

TEST(VarlinkRequest, MayLeaveItsParametersOut) {
  EXPECT_EQ(request(R"({"method": "a.B"})").parameters, json::object());
  EXPECT_EQ(request(R"({"method": "a.B", "parameters": null})").parameters, json::object());
}

TEST(VarlinkRequest, ThatIsNoneSaysWhatIsWrong) {
  EXPECT_THAT(why(""), HasSubstr("not JSON"));
  EXPECT_THAT(why("{"), HasSubstr("not JSON"));
  EXPECT_THAT(why("status\r\n"), HasSubstr("not JSON"));
  EXPECT_THAT(why("{\"method\": \"a.\xff\"}"), HasSubstr("not JSON"));
  EXPECT_EQ(why("[]"), "not a JSON object");
  EXPECT_EQ(why("{}"), "no \"method\"");
  EXPECT_EQ(why(R"({"method": 1})"), "no \"method\"");
  for (const auto* bad : {R"({"method": ""})", R"({"method": "Status"})", R"({"method": ".Status"})", R"({"method": "a."})"})
    EXPECT_EQ(why(bad), "\"method\" is not interface.Method") << bad;
  EXPECT_EQ(why(R"({"method": "a.B", "parameters": []})"), "\"parameters\" is not an object");
  EXPECT_THAT(why(R"({"method": "a.B", "oneway": 1})"), HasSubstr("true or false"));
  EXPECT_THAT(why(R"({"method": "a.B", "parameters": {"x": 1e999}})"), HasSubstr("too large"));
}

TEST(VarlinkRequest, NestedDeeperThanAnyOfOursIsRefusedBeforeItCanFillTheStack) {
  const std::size_t depth = 60'000;
  EXPECT_THAT(why(std::string(depth, '[')), HasSubstr("nested too deep"));
  EXPECT_THAT(why(R"({"method": "a.B", "parameters": {"x": )" + std::string(depth / 2, '[') + std::string(depth / 2, ']') + "}}"),
              HasSubstr("nested too deep"));
}

TEST(VarlinkReply, HoldsNoNulButTheLast) {
  const auto bytes = reply_bytes({{"text", std::string("a\0b\x1b\xff", 5)}});
  EXPECT_EQ(bytes.find('\0'), bytes.size() - 1);
  EXPECT_EQ(bytes.find('\x1b'), std::string::npos);
}

} // namespace
} // namespace hanat::varlink
