// Exit status and output of a program as a result.
#include <csignal>
#include <string>

#include <gtest/gtest.h>

#include "probes/kinds/exec_answer.hpp"

namespace hanat::probes {
namespace {

using namespace std::chrono_literals;

TEST(ExecAnswer, ZeroPassesAndAnythingElseFails) {
  ExecOutput output;
  EXPECT_TRUE(output.add("disk \x1b"));
  EXPECT_TRUE(output.add("full\nsecond line\n"));
  EXPECT_EQ(result_from_exit({}, true, 0, output, 3ms), (ProbeResult{Outcome::pass, Reason::answered, 3ms, ""}));
  EXPECT_EQ(result_from_exit({}, true, 2, output, 3ms),
            (ProbeResult{Outcome::fail, Reason::wrong_answer, 3ms, "exit status 2: disk ?full"}));
  EXPECT_EQ(result_from_exit({}, false, SIGKILL, {}, 3ms), (ProbeResult{Outcome::fail, Reason::wrong_answer, 3ms, "killed by signal 9"}));
  ProbeSpec spec;
  spec.slow = 1ms;
  EXPECT_EQ(result_from_exit(spec, true, 0, {}, 3ms).reason, Reason::slow);
}

TEST(ExecAnswer, OutputIsBounded) {
  ExecOutput output;
  EXPECT_TRUE(output.add(std::string(ExecOutput::longest, 'x')));
  EXPECT_FALSE(output.add("x"));
  EXPECT_EQ(output.first_line(), std::string(80, 'x'));
  EXPECT_EQ(result_from_exit({}, true, 0, output, 3ms).reason, Reason::too_large);
}

} // namespace
} // namespace hanat::probes
