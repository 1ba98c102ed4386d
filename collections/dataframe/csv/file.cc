// pread(2) with errors as values.
#include "collections/dataframe/csv/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

namespace dask::dataframe::csv {

Result<File> File::open(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0)
    return fail(errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kUnavailable, "cannot open " + path + ": " + std::strerror(errno));
  struct stat status {};
  if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor);
    return fail(ErrorCode::kUnsupported, path + " is not a file");
  }
  return File(path, descriptor, status.st_size);
}

File::~File() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<std::size_t> File::read(std::int64_t offset, char* out, std::size_t size) const {
  std::size_t done = 0;
  while (done < size) {
    const ssize_t n = ::pread(descriptor_, out + done, size - done, offset + static_cast<std::int64_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(ErrorCode::kUnavailable, "cannot read " + path_ + ": " + std::strerror(errno));
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  return done;
}

std::int64_t File::line_of(std::int64_t offset) const {
  std::vector<char> buffer(1 << 20);
  std::int64_t line = 1;
  for (std::int64_t at = 0; at < offset;) {
    const auto wanted = static_cast<std::size_t>(std::min<std::int64_t>(offset - at, static_cast<std::int64_t>(buffer.size())));
    auto got = read(at, buffer.data(), wanted);
    if (!got || *got == 0) break;
    line += std::count(buffer.data(), buffer.data() + *got, '\n');
    at += static_cast<std::int64_t>(*got);
  }
  return line;
}

}  // namespace dask::dataframe::csv
