// Turns every .story file into one test: tests/stories/<core>/<name>.story is the test <core>.<name>.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "scheduler_story.h"

namespace {

class Story : public testing::Test {
 public:
  explicit Story(std::filesystem::path file) : file_(std::move(file)) {}
  void TestBody() override {
    std::ifstream in(file_);
    ASSERT_TRUE(in) << "cannot read " << file_;
    std::stringstream script;
    script << in.rdbuf();
    const std::string complaint = dask::stories::SchedulerStory().run(script.str());
    EXPECT_TRUE(complaint.empty()) << file_.filename().string() << ":" << complaint;
  }

 private:
  std::filesystem::path file_;
};

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(DASK_STORIES_DIR) / "scheduler"))
    if (entry.path().extension() == ".story") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    const std::string name = file.stem().string();
    testing::RegisterTest("scheduler", name.c_str(), nullptr, nullptr, file.c_str(), 1,
                          [file]() -> testing::Test* { return new Story(file); });
  }
  return RUN_ALL_TESTS();
}
