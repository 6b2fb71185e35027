// The tests on the real kernel: root is asked for once, here, with the remedy.
#include <cstdio>

#include <gtest/gtest.h>
#include <unistd.h>

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (geteuid() != 0) {
    std::fputs("hanat-netns makes network namespaces: run it as root (sudo tests/run.sh)\n", stderr);
    return 2;
  }
  return RUN_ALL_TESTS();
}
