// fork and exec with a parent-death signal, pipes for what the program says.
#include "tests/netns/lab/process.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/netns/lab/fd.hpp"

namespace hanat::test {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

milliseconds left_until(Clock::time_point end) { return std::max(milliseconds{0}, std::chrono::ceil<milliseconds>(end - Clock::now())); }

Fd null_device() { return Fd{checked(open("/dev/null", O_RDWR | O_CLOEXEC), "/dev/null")}; }

/// Between fork and exec: async-signal-safe calls only.
[[noreturn]] void become(char* const* argv, pid_t parent, int in, int out, int err) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127); // killed before the line above: no signal will come
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  dup2(in, 0);
  dup2(out, 1);
  dup2(err, 2);
  execvp(argv[0], argv);
  _exit(127);
}

pid_t start(const std::vector<std::string>& argv, int in, int out, int err) {
  std::vector<char*> words;
  words.reserve(argv.size() + 1);
  for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t pid = checked(fork(), "fork for " + argv.at(0));
  if (pid == 0) become(words.data(), parent, in, out, err);
  setpgid(pid, pid); // both sides set it: whoever comes first, the group exists before anybody signals it
  return pid;
}

struct Pipe {
  Fd read_end, write_end;
};
Pipe make_pipe() {
  std::array<int, 2> ends{};
  checked(pipe2(ends.data(), O_CLOEXEC), "pipe");
  return {.read_end = Fd{ends[0]}, .write_end = Fd{ends[1]}};
}

/// An unlinked file that holds a program's stdin: no writer is needed, whatever its size.
Fd file_with(const std::string& text) {
  Fd file{checked(static_cast<int>(syscall(SYS_memfd_create, "stdin", 1U /* MFD_CLOEXEC */)), "memfd")};
  if (write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    throw std::system_error(errno, std::generic_category(), "write stdin");
  lseek(file.get(), 0, SEEK_SET);
  return file;
}

/// Appends what is there; closes `from` at its end.
void read_some(Fd& from, std::string& to) {
  std::array<char, 65536> buffer;
  const ssize_t got = read(from.get(), buffer.data(), buffer.size());
  if (got > 0)
    to.append(buffer.data(), static_cast<std::size_t>(got));
  else if (got == 0)
    from.reset();
}

/// Reads both until their end; false: the deadline came first.
bool read_both(Fd& out, Fd& err, Output& output, Clock::time_point end) {
  while (out || err) {
    std::array<pollfd, 2> polled{pollfd{.fd = out.get(), .events = POLLIN, .revents = 0},
                                 pollfd{.fd = err.get(), .events = POLLIN, .revents = 0}};
    if (poll(polled.data(), polled.size(), static_cast<int>(left_until(end).count())) == 0) return false;
    if (polled[0].revents != 0) read_some(out, output.out);
    if (polled[1].revents != 0) read_some(err, output.err);
  }
  return true;
}

} // namespace

Process::Process(const std::vector<std::string>& argv, int out, int err) {
  const Fd null = null_device();
  pid_ = start(argv, null.get(), out < 0 ? null.get() : out, err < 0 ? null.get() : err);
}

Process::~Process() { kill(); }

Process::Process(Process&& other) noexcept : pid_(std::exchange(other.pid_, -1)), exit_(other.exit_) {}

Process& Process::operator=(Process&& other) noexcept {
  if (this != &other) {
    kill();
    pid_ = std::exchange(other.pid_, -1);
    exit_ = other.exit_;
  }
  return *this;
}

void Process::signal(int number) const {
  if (pid_ > 0 && !exit_) ::kill(pid_, number);
}

std::optional<int> Process::wait(milliseconds deadline) {
  if (exit_ || pid_ <= 0) return exit_.value_or(-1);
  const Fd handle{checked(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)), "pidfd_open")};
  pollfd polled{.fd = handle.get(), .events = POLLIN, .revents = 0};
  const auto end = Clock::now() + deadline;
  while (poll(&polled, 1, static_cast<int>(left_until(end).count())) < 0 && errno == EINTR) {
  }
  if (polled.revents == 0) return std::nullopt;
  int status = 0;
  checked(waitpid(pid_, &status, 0), "waitpid");
  exit_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return exit_;
}

void Process::kill() {
  if (pid_ <= 0 || exit_) return;
  ::kill(-pid_, SIGKILL);
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  exit_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

Output collect(const std::vector<std::string>& argv, milliseconds deadline, const std::string& input) {
  const auto end = Clock::now() + deadline;
  Pipe out = make_pipe();
  Pipe err = make_pipe();
  const Fd in = input.empty() ? null_device() : file_with(input);
  const pid_t pid = start(argv, in.get(), out.write_end.get(), err.write_end.get());
  out.write_end.reset();
  err.write_end.reset();
  Output output;
  const bool in_time = read_both(out.read_end, err.read_end, output, end);
  if (!in_time) {
    ::kill(-pid, SIGKILL);
    output.err += argv.at(0) + ": killed by the test, it did not end in time\n";
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  output.exit = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return output;
}

} // namespace hanat::test
