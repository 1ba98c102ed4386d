// The live page's files, built into the program (dashboard/embed.cmake).
#pragma once

#include <string_view>

namespace dask::dashboard {

struct File {
  std::string_view name;  // index.html
  const char* content_type;
  std::string_view content;
};

// Null when there is no such file.
const File* find(std::string_view name);

}  // namespace dask::dashboard
