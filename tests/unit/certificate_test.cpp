// The words for a certificate's end.
#include <chrono>

#include <gtest/gtest.h>

#include "probes/certificate.hpp"

namespace hanat::probes {
namespace {

using namespace std::chrono_literals;

TEST(Certificate, ItsEndHasWords) {
  EXPECT_EQ(certificate_words(std::chrono::days{9} + 5h), "ends in 9 days");
  EXPECT_EQ(certificate_words(30h), "ends in 1 day");
  EXPECT_EQ(certificate_words(1h), "ends in less than a day");
  EXPECT_EQ(certificate_words(-50h), "ended 2 days ago");
}

} // namespace
} // namespace hanat::probes
