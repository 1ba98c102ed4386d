#include "worker/store/spill_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <vector>

#include "core/runtime/process.h"
#include "core/wire/payload_memory.h"

namespace dask::worker {
namespace {

constexpr std::uint64_t kMagic = 0x314c4c4950534e44;  // "DNSPILL1"
constexpr std::uint64_t kFramesMax = 1'000'000;

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

}  // namespace

Result<std::uint64_t> write_spill_file(const std::string& path, const Opaque& data) {
  FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  const auto failed = [&](int error) -> Result<std::uint64_t> {
    file.reset();
    ::unlink(path.c_str());
    const bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
    return fail(full ? ErrorCode::kLimit : ErrorCode::kUnavailable, fmt::format("cannot write {}: {}", path, std::strerror(error)));
  };
  if (!file.valid()) return failed(errno);
  std::vector<std::uint64_t> head{kMagic, data.frames.size() + 1, data.header.size()};
  std::uint64_t size = data.header.size();
  for (const Bytes& frame : data.frames) {
    head.push_back(frame.size());
    size += frame.size();
  }
  const std::string_view head_bytes(reinterpret_cast<const char*>(head.data()), head.size() * sizeof head[0]);
  if (!write_all(file.get(), head_bytes) || !write_all(file.get(), data.header)) return failed(errno);
  for (const Bytes& frame : data.frames)
    if (!write_all(file.get(), frame)) return failed(errno);
  return size + head_bytes.size();
}

Result<OpaquePtr> read_spill_file(const std::string& path) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status {};
  if (!file.valid() || ::fstat(file.get(), &status) != 0)
    return fail(ErrorCode::kUnavailable, fmt::format("cannot read {}: {}", path, std::strerror(errno)));
  const auto size = static_cast<std::size_t>(status.st_size);
  const auto buffer = wire::payload_memory(size);
  if (!buffer) return fail(ErrorCode::kLimit, fmt::format("no memory for the {} bytes of {}", size, path));
  for (std::size_t done = 0; done < size;) {
    const ssize_t n = ::read(file.get(), buffer.get() + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0)
      return fail(ErrorCode::kUnavailable, fmt::format("cannot read {}: {}", path, n < 0 ? std::strerror(errno) : "it was cut short"));
    done += static_cast<std::size_t>(n);
  }
  const auto malformed = [&] { return fail(ErrorCode::kMalformed, fmt::format("{} is not what this worker wrote there", path)); };
  const auto number = [&](std::size_t index) {
    std::uint64_t value = 0;
    std::memcpy(&value, buffer.get() + index * sizeof value, sizeof value);
    return value;
  };
  if (size < 2 * sizeof(std::uint64_t) || number(0) != kMagic) return malformed();
  const std::uint64_t count = number(1);
  if (count == 0 || count > kFramesMax || size < (2 + count) * sizeof(std::uint64_t)) return malformed();
  auto data = std::make_shared<Opaque>();
  const Bytes whole(buffer, buffer.get(), size);
  std::size_t at = (2 + count) * sizeof(std::uint64_t);
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t length = number(2 + i);
    if (length > size - at) return malformed();
    (i == 0 ? data->header : data->frames.emplace_back()) = whole.slice(at, length);
    at += length;
  }
  if (at != size) return malformed();
  return OpaquePtr(std::move(data));
}

}  // namespace dask::worker
