// Turns every .story file into one test: tests/stories/<core>/<name>.story is the test <core>.<name>.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "operator_story.h"
#include "scheduler_story.h"
#include "worker_story.h"

namespace {

template <class Core>
class Story : public testing::Test {
 public:
  explicit Story(std::filesystem::path file) : file_(std::move(file)) {}
  void TestBody() override {
    std::ifstream in(file_);
    ASSERT_TRUE(in) << "cannot read " << file_;
    std::stringstream script;
    script << in.rdbuf();
    const std::string complaint = Core().run(script.str());
    EXPECT_TRUE(complaint.empty()) << file_.filename().string() << ":" << complaint;
  }

 private:
  std::filesystem::path file_;
};

template <class Core>
void register_stories(const char* core) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(DASK_STORIES_DIR) / core))
    if (entry.path().extension() == ".story") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    const std::string name = file.stem().string();
    testing::RegisterTest(core, name.c_str(), nullptr, nullptr, file.c_str(), 1,
                          [file]() -> testing::Test* { return new Story<Core>(file); });
  }
}

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  register_stories<dask::stories::SchedulerStory>("scheduler");
  register_stories<dask::stories::WorkerStory>("worker");
  register_stories<dask::stories::OperatorStory>("operator");
  return RUN_ALL_TESTS();
}
