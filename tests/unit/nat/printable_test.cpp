// Text from outside made safe for a terminal.
#include "nat/printable.hpp"

#include <gtest/gtest.h>

namespace hanat {
namespace {

TEST(Printable, KeepsPrintableAsciiAndReplacesEveryOtherByte) {
  EXPECT_EQ(printable("web-1 (a) ~"), "web-1 (a) ~");
  EXPECT_EQ(printable(std::string_view{"\x1b]0;x\x07\n\0\xc3\xbc", 10}), "?]0;x?????");
}

} // namespace
} // namespace hanat
