// Text for the expiry of a certificate.
#include <chrono>

#include <gtest/gtest.h>

#include "probes/kinds/certificate.hpp"

namespace hanat::probes {
namespace {

using namespace std::chrono_literals;

TEST(Certificate, ItsExpiryHasAText) {
  EXPECT_EQ(expiry_text(std::chrono::days{9} + 5h), "expires in 9 days");
  EXPECT_EQ(expiry_text(30h), "expires in 1 day");
  EXPECT_EQ(expiry_text(1h), "expires in less than a day");
  EXPECT_EQ(expiry_text(-50h), "expired 2 days ago");
}

} // namespace
} // namespace hanat::probes
