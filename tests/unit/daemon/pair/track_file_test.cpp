// What keepalived reads.
#include "daemon/pair/track_file.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "probes/io/uv.hpp"
#include "tests/unit/temp_dir.hpp"

namespace hanat {
namespace {

class TrackFileTest : public testing::Test {
protected:
  TrackFileTest() {
    check_uv(uv_loop_init(&loop_), "make a loop");
    file_ = std::make_unique<TrackFile>(&loop_, [this](const std::string& error) { failures_.push_back(error); });
  }
  ~TrackFileTest() override {
    file_.reset();
    uv_run(&loop_, UV_RUN_DEFAULT);
    uv_loop_close(&loop_);
  }
  void finish() const { file_->finish(); }

  uv_loop_t loop_{};
  test::TempDir dir_;
  std::vector<std::string> failures_;
  std::unique_ptr<TrackFile> file_;
};

TEST_F(TrackFileTest, IsZeroWhileAServerIsReachedOtherwiseOne) {
  file_->set_path(dir_ / "fit");
  finish();
  EXPECT_EQ(test::read_text(dir_ / "fit"), "") << "nothing is known yet";
  for (const bool reached : {true, false, true}) {
    file_->set(reached);
    finish();
    EXPECT_EQ(test::read_text(dir_ / "fit"), reached ? "0\n" : "1\n");
  }
  struct stat info {};
  ASSERT_EQ(stat((dir_ / "fit").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0644U);
  EXPECT_TRUE(failures_.empty());
}

TEST_F(TrackFileTest, IsNotWrittenAgainWhenItSaysSoAlready) {
  file_->set_path(dir_ / "fit");
  file_->set(true);
  finish();
  test::write_text(dir_ / "fit", "somebody else's\n");
  file_->set(true);
  finish();
  EXPECT_EQ(test::read_text(dir_ / "fit"), "somebody else's\n");
}

TEST_F(TrackFileTest, AnotherPathIsWrittenAtOnce) {
  file_->set(false);
  file_->set_path(dir_ / "one");
  file_->set_path(dir_ / "other");
  finish();
  EXPECT_EQ(test::read_text(dir_ / "other"), "1\n");
  file_->set_path("");
  file_->set(true);
  finish();
  EXPECT_EQ(test::read_text(dir_ / "other"), "1\n");
}

TEST_F(TrackFileTest, AFailureIsToldOnceAndTriedAgain) {
  file_->set_path(dir_ / "missing/fit");
  for (const bool reached : {true, false, true}) {
    file_->set(reached);
    finish();
  }
  ASSERT_EQ(failures_.size(), 1U);
  EXPECT_NE(failures_.front().find("missing/fit.new"), std::string::npos);
  std::filesystem::create_directory(dir_.path() / "missing");
  file_->set(true);
  finish();
  EXPECT_EQ(test::read_text(dir_ / "missing/fit"), "0\n");
}

} // namespace
} // namespace hanat
