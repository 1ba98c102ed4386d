// What a user sees of a graph and of its progress.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "dask/delayed.h"
#include "dask/progress_bar.h"
#include "tests/unit/client/functions.h"

namespace dask {
namespace {

using namespace testing_functions;

std::string contents(const std::string& filename) {
  std::ifstream file(filename);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

class Visualize : public testing::Test {
 protected:
  Visualize() { std::filesystem::create_directory(folder_); }
  ~Visualize() override { std::filesystem::remove_all(folder_); }
  std::string folder_ = testing::TempDir() + "dask-visualize-" + std::to_string(getpid());
  Delayed<int> total_ = delayed<add>(delayed<inc>(1), delayed<inc>(2));
};

TEST_F(Visualize, dot_names_functions_and_edges) {
  const std::string text = contents(total_.visualize(folder_ + "/graph.dot"));
  EXPECT_THAT(text, testing::HasSubstr("label=\"add\""));
  EXPECT_THAT(text, testing::HasSubstr("n0 -> n2;"));
  EXPECT_THAT(text, testing::HasSubstr("n1 -> n2;"));
}

TEST_F(Visualize, svg_is_drawn_with_and_without_graphviz) {
  EXPECT_THAT(contents(total_.visualize(folder_ + "/graph.svg")), testing::HasSubstr("</svg>"));
  const char* path = std::getenv("PATH");
  const std::string kept = path ? path : "";
  setenv("PATH", "/nowhere", 1);
  const std::string text = contents(total_.visualize(folder_ + "/own.svg"));
  EXPECT_THROW(total_.visualize(folder_ + "/own.png"), std::runtime_error);
  setenv("PATH", kept.c_str(), 1);
  EXPECT_THAT(text, testing::AllOf(testing::HasSubstr("<circle"), testing::HasSubstr(">add<"), testing::HasSubstr("marker-end")));
}

TEST_F(Visualize, other_endings_and_folders_that_are_not_there_are_refused) {
  EXPECT_THROW(total_.visualize(folder_ + "/graph.gif"), std::invalid_argument);
  EXPECT_THROW(total_.visualize(folder_ + "/none/graph.dot"), std::runtime_error);
}

TEST(ProgressBar, shows_the_end_of_each_computation) {
  for (const char* scheduler : {"sync", "threads", "processes"}) {
    std::FILE* out = std::tmpfile();
    {
      const ProgressBar bar({.width = 10, .out = out});
      delayed<add>(delayed<inc>(1), delayed<inc>(2)).compute({.scheduler = scheduler});
    }
    delayed<inc>(1).compute({.scheduler = "sync"});  // nobody looks any more
    std::rewind(out);
    char text[1000] = "";
    text[std::fread(text, 1, sizeof text - 1, out)] = 0;
    std::fclose(out);
    EXPECT_THAT(text, testing::HasSubstr("[##########] | 100% Completed | "));
    EXPECT_EQ(std::count(text, text + std::strlen(text), '\n'), 1) << text;
  }
}

}  // namespace
}  // namespace dask
