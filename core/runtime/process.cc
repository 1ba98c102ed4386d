// fork and exec with what a supervised child needs. vfork: the parent may hold gigabytes, and the child only execs.
#include "core/runtime/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

extern char** environ;

namespace dask {

namespace {

// argv[0] as a path, looked up in PATH; empty when it is not there.
std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* path = std::getenv("PATH");
  std::string_view rest = path ? path : "/usr/local/bin:/usr/bin:/bin";
  while (!rest.empty()) {
    auto colon = rest.find(':');
    std::string candidate = fmt::format("{}/{}", rest.substr(0, colon), name);
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    if (colon == std::string_view::npos) break;
    rest.remove_prefix(colon + 1);
  }
  return {};
}

// Everything the child needs, made before the fork: between vfork and exec only system calls happen.
struct Plan {
  std::string path;
  std::vector<char*> argv;
  std::vector<std::string> environment_lines;
  std::vector<char*> environment;
  const std::vector<int>* inherit = nullptr;
  int output = -1;
  pid_t parent = 0;
  int report = -1;  // where the child writes errno when it cannot exec; closes by itself when it can
};

[[noreturn]] void run_child(Plan& plan) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != plan.parent) ::_exit(127);  // the parent died before the line above
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  if (plan.output >= 0) {
    ::dup2(plan.output, STDOUT_FILENO);
    ::dup2(plan.output, STDERR_FILENO);
  }
  // Libraries open sockets that a child would keep open after us: their peers would never see the end. Linux before 5.11 does not know
  // this; there core/net's own sockets are closed because they say so themselves.
  ::close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
  for (int fd : *plan.inherit) ::fcntl(fd, F_SETFD, 0);
  ::execve(plan.path.c_str(), plan.argv.data(), plan.environment.data());
  int error = errno;
  (void)!::write(plan.report, &error, sizeof error);
  ::_exit(127);
}

Result<void> make_pipe(FileDescriptor& read_end, FileDescriptor& write_end) {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return fail(ErrorCode::kUnavailable, fmt::format("cannot make a pipe: {}", std::strerror(errno)));
  read_end = FileDescriptor(fds[0]);
  write_end = FileDescriptor(fds[1]);
  return {};
}

// Apart from start(), so that no local of the caller lives across vfork's two returns.
[[gnu::noinline]] pid_t fork_and_run(Plan& plan) {
  pid_t pid = ::vfork();
  if (pid == 0) run_child(plan);
  return pid;
}

}  // namespace

void FileDescriptor::reset() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

void raise_file_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

static Result<std::pair<FileDescriptor, FileDescriptor>> pair_of(int type) {
  int fds[2];
  if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) != 0) {
    return fail(ErrorCode::kUnavailable, fmt::format("cannot make a pair of sockets: {}", std::strerror(errno)));
  }
  return std::pair{FileDescriptor(fds[0]), FileDescriptor(fds[1])};
}
Result<std::pair<FileDescriptor, FileDescriptor>> socket_pair() { return pair_of(SOCK_STREAM); }
Result<std::pair<FileDescriptor, FileDescriptor>> packet_socket_pair() { return pair_of(SOCK_SEQPACKET); }

std::string ExitStatus::str() const {
  if (signal != 0) return fmt::format("killed by signal {} ({})", signal, ::strsignal(signal));
  return fmt::format("exit code {}", code);
}

Result<ChildProcess> ChildProcess::start(const ProcessOptions& options) {
  if (options.argv.empty()) return fail(ErrorCode::kInvalidArgument, "no program to start: argv is empty");
  Plan plan;
  plan.path = find_program(options.argv[0]);
  if (plan.path.empty()) {
    return fail(ErrorCode::kNotFound, fmt::format("program '{}' is not in PATH; install it or name its full path", options.argv[0]));
  }
  for (const std::string& argument : options.argv) plan.argv.push_back(const_cast<char*>(argument.c_str()));
  plan.argv.push_back(nullptr);
  for (char** at = environ; at && *at; ++at) {
    std::string_view line(*at);
    if (!options.environment.count(std::string(line.substr(0, line.find('='))))) plan.environment_lines.emplace_back(line);
  }
  for (const auto& [name, value] : options.environment) plan.environment_lines.push_back(name + "=" + value);
  for (std::string& line : plan.environment_lines) plan.environment.push_back(line.data());
  plan.environment.push_back(nullptr);
  plan.inherit = &options.inherit;
  plan.parent = ::getpid();

  ChildProcess child;
  FileDescriptor output_end;
  if (options.capture_output) {
    DASK_TRY_VOID(make_pipe(child.output_, output_end));
    plan.output = output_end.get();
  }
  FileDescriptor report;
  FileDescriptor report_end;
  DASK_TRY_VOID(make_pipe(report, report_end));
  plan.report = report_end.get();
  pid_t pid = fork_and_run(plan);
  if (pid < 0) return fail(ErrorCode::kUnavailable, fmt::format("cannot start {}: {}", plan.path, std::strerror(errno)));
  child.pid_ = pid;
  report_end.reset();
  int error = 0;
  if (::read(report.get(), &error, sizeof error) == sizeof error) {
    child.wait();
    return fail(error == ENOENT ? ErrorCode::kNotFound : ErrorCode::kUnavailable,
                fmt::format("cannot run {}: {}", plan.path, std::strerror(error)));
  }
  child.pidfd_ = FileDescriptor(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!child.pidfd_.valid()) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("cannot watch process {}: {} (pidfd_open needs Linux 5.3)", pid, std::strerror(errno)));
  }
  return child;
}

ChildProcess::~ChildProcess() {
  if (pid_ < 0 || status_) return;
  ::kill(pid_, SIGKILL);
  wait();
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), pidfd_(std::move(other.pidfd_)), output_(std::move(other.output_)), status_(other.status_) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  if (this != &other) {
    this->~ChildProcess();
    new (this) ChildProcess(std::move(other));
  }
  return *this;
}

void ChildProcess::kill(int signal) {
  if (pid_ > 0 && !status_) ::kill(pid_, signal);  // not reaped yet, so the number is still the child's
}

std::optional<ExitStatus> ChildProcess::poll() { return reap(WNOHANG); }
ExitStatus ChildProcess::wait() { return reap(0).value_or(ExitStatus{}); }

std::optional<ExitStatus> ChildProcess::reap(int flags) {
  if (status_ || pid_ < 0) return status_;
  int raw = 0;
  pid_t got;
  rusage usage{};
  do {
    got = ::wait4(pid_, &raw, flags, &usage);
  } while (got < 0 && errno == EINTR);
  if (got == 0) return std::nullopt;
  ExitStatus status;
  if (got < 0)
    status.code = 127;  // somebody else took it
  else if (WIFSIGNALED(raw))
    status.signal = WTERMSIG(raw);
  else
    status.code = WEXITSTATUS(raw);
  if (got > 0) status.peak_memory_bytes = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
  status_ = status;
  return status_;
}

}  // namespace dask
