// How a program ended and what it wrote, judged.
#include <csignal>
#include <string>

#include <gtest/gtest.h>

#include "probes/exec_answer.hpp"

namespace hanat::probes {
namespace {

using namespace std::chrono_literals;

TEST(ExecAnswer, ZeroIsRightAndTheRestIsTold) {
  ExecOutput output;
  EXPECT_TRUE(output.add("disk \x1b"));
  EXPECT_TRUE(output.add("full\nsecond line\n"));
  EXPECT_EQ(answer_from_exit({}, true, 0, output, 3ms), (Answer{Outcome::normal, Reason::answered, 3ms, ""}));
  EXPECT_EQ(answer_from_exit({}, true, 2, output, 3ms), (Answer{Outcome::abnormal, Reason::wrong_answer, 3ms, "exit 2: disk ?full"}));
  EXPECT_EQ(answer_from_exit({}, false, SIGKILL, {}, 3ms), (Answer{Outcome::abnormal, Reason::wrong_answer, 3ms, "signal 9"}));
  Spec spec;
  spec.slow = 1ms;
  EXPECT_EQ(answer_from_exit(spec, true, 0, {}, 3ms).reason, Reason::slow);
}

TEST(ExecAnswer, OutputIsBounded) {
  ExecOutput output;
  EXPECT_TRUE(output.add(std::string(ExecOutput::longest, 'x')));
  EXPECT_FALSE(output.add("x"));
  EXPECT_EQ(output.first_line(), std::string(80, 'x'));
  EXPECT_EQ(answer_from_exit({}, true, 0, output, 3ms).reason, Reason::too_large);
}

} // namespace
} // namespace hanat::probes
