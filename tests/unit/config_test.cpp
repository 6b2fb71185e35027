#include <gtest/gtest.h>
#include <cstdio>
#include "daemon/config.hpp"
TEST(X, Y) { auto r = hanat::parse_config("", "x"); (void)r; }
