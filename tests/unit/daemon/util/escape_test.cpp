// Text from outside for a terminal, with nothing lost.
#include "daemon/util/escape.hpp"

#include <gtest/gtest.h>

namespace hanat {
namespace {

TEST(Escape, KeepsPrintableAsciiAndEscapesEveryOtherByte) {
  EXPECT_EQ(escaped("web-1 (a) ~"), "web-1 (a) ~");
  EXPECT_EQ(escaped(std::string_view{"\x1b]0;x\x07\n\0\xc3\xbc", 10}), "\\x1b]0;x\\x07\\x0a\\x00\\xc3\\xbc");
}

} // namespace
} // namespace hanat
