// Child programs: started in our process group, killed by the kernel when we die, never left as zombies. What they inherit
// is said explicitly; every other descriptor of ours is closed in them.
// Thread ownership: one thread; the thread that starts a child must live as long as the program (the kernel ties a child's
// life to the thread that made it).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/result.h"

namespace dask {

// A file descriptor that closes itself.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() { reset(); }
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(other.release()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = other.release();
    }
    return *this;
  }
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset();

 private:
  int fd_ = -1;
};

// Two connected unix stream sockets, closed on exec: one for us, one to be inherited by a child.
Result<std::pair<FileDescriptor, FileDescriptor>> socket_pair();
// The same of sockets that keep packets apart (SOCK_SEQPACKET).
Result<std::pair<FileDescriptor, FileDescriptor>> packet_socket_pair();

// Lets this process have as many descriptors as the system allows: thousands of peers need as many.
void raise_file_limit();

struct ProcessOptions {
  std::vector<std::string> argv;                   // argv[0] is looked up in PATH unless it has a '/'
  std::map<std::string, std::string> environment;  // added to ours
  std::vector<int> inherit;                        // descriptors that the child has under the same numbers
  bool capture_output = false;                     // stdout and stderr go into a pipe of ours instead of our own
};

struct ExitStatus {
  int code = 0;                         // exit code, when `signal` is 0
  int signal = 0;                       // the signal that killed it
  std::uint64_t peak_memory_bytes = 0;  // the most that was resident at once; 0: unknown
  bool ok() const { return code == 0 && signal == 0; }
  std::string str() const;  // "exit code 1", "killed by signal 9 (Killed)"
};

class ChildProcess {
 public:
  // kNotFound/kUnavailable name the program and the reason when it cannot be run.
  static Result<ChildProcess> start(const ProcessOptions& options);
  ChildProcess() = default;
  // Kills the child when it still runs.
  ~ChildProcess();
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;

  int pid() const { return pid_; }
  // Readable once the child has ended.
  int pidfd() const { return pidfd_.get(); }
  // The read end of the child's output; valid once, with capture_output.
  FileDescriptor take_output() { return std::move(output_); }
  void kill(int signal);
  // The status when the child has ended; the same ever after.
  std::optional<ExitStatus> poll();
  ExitStatus wait();

 private:
  std::optional<ExitStatus> reap(int flags);

  int pid_ = -1;
  FileDescriptor pidfd_;
  FileDescriptor output_;
  std::optional<ExitStatus> status_;
};

}  // namespace dask
