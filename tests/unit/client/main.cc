// The tests start themselves again as workers, as every program of users does.
#include <gtest/gtest.h>

#include "dask/init.h"

int main(int argc, char** argv) {
  dask::init(argc, argv);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
