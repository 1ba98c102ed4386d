// ProgressBar: shows on the terminal how far each compute() has come while the object lives, as Dask's diagnostics.ProgressBar:
//
//   dask::ProgressBar bar;
//   total.compute();          // [##########                              ] | 25% Completed | 1.23 s
#pragma once

#include <cstdio>
#include <memory>

namespace dask {

struct ProgressBarOptions {
  double minimum_s = 0;  // nothing is shown for what takes less
  int width = 40;
  double interval_s = 0.1;
  std::FILE* out = nullptr;  // stdout
};

class ProgressBar {
 public:
  explicit ProgressBar(const ProgressBarOptions& options = {});
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace dask
