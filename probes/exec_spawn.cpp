// posix_spawn() on a thread.
#include "probes/exec_spawn.hpp"

#include <cerrno>
#include <csignal>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace hanat::probes {
namespace {

class SpawnSetup {
public:
  /// `output`: where the program writes to.
  explicit SpawnSetup(int output) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
    posix_spawn_file_actions_addopen(&actions_, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions_, output, 1);
    posix_spawn_file_actions_adddup2(&actions_, output, 2);
    posix_spawn_file_actions_addclosefrom_np(&actions_, 3); // whatever of ours is open, and however
    posix_spawn_file_actions_addchdir_np(&actions_, "/");
    sigset_t none{}, all{};
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &all); // this process ignores SIGPIPE
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  ~SpawnSetup() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnSetup(const SpawnSetup&) = delete;
  SpawnSetup& operator=(const SpawnSetup&) = delete;
  const posix_spawn_file_actions_t* actions() const { return &actions_; }
  const posix_spawnattr_t* attributes() const { return &attributes_; }

private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> result;
  result.reserve(words.size() + 1);
  for (std::string& word : words) result.push_back(word.data());
  result.push_back(nullptr);
  return result;
}

/// A daemon that is the last to be killed for want of memory must not make its programs so: one that leaks would outlive everything else.
void be_killed_like_others(pid_t program) {
  const Descriptor file{open(fmt::format("/proc/{}/oom_score_adj", program).c_str(), O_WRONLY | O_CLOEXEC)};
  if (file.fd() >= 0 && write(file.fd(), "0", 1) < 0) return; // it keeps what it has
}

StartedProgram start_program(ProgramOrder& order) {
  StartedProgram started{.id = order.id, .error = 0, .pid = -1, .pidfd = Descriptor{}};
  const SpawnSetup setup{order.output.fd()};
  const auto arguments = pointers(order.command), variables = pointers(order.environment);
  started.error =
      posix_spawn(&started.pid, order.command[0].c_str(), setup.actions(), setup.attributes(), arguments.data(), variables.data());
  if (started.error != 0) return started;
  be_killed_like_others(started.pid);
  started.pidfd = Descriptor{static_cast<int>(syscall(SYS_pidfd_open, started.pid, 0))};
  if (started.pidfd.fd() >= 0) return started;
  started.error = errno; // nobody would learn of its end
  kill(-started.pid, SIGKILL);
  waitpid(started.pid, nullptr, 0);
  return started;
}

/// The thread takes no signals: they are the loop's.
std::thread without_signals(const std::function<void()>& body) {
  sigset_t all{}, before{};
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread;
  try {
    thread = std::thread{body};
  } catch (...) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

} // namespace

Spawner::Spawner(uv_loop_t* loop, Heard heard) : heard_(std::move(heard)) {
  // Started with SIGCHLD ignored, as some supervisors do, this process would never learn how a program ended.
  struct sigaction action {};
  if (sigaction(SIGCHLD, nullptr, &action) == 0 && action.sa_handler == SIG_IGN) {
    action.sa_handler = SIG_DFL;
    sigaction(SIGCHLD, &action, nullptr);
  }
  auto wake = std::make_unique<uv_async_t>();
  if (const int error = uv_async_init(loop, wake.get(), [](uv_async_t* async) { static_cast<Spawner*>(async->data)->on_wake(); });
      error < 0)
    throw std::system_error(-error, std::generic_category(), "uv_async_init");
  wake->data = this;
  wake_.reset(wake.release());
  uv_unref(reinterpret_cast<uv_handle_t*>(wake_.get())); // a thread without an order keeps no loop alive; who asks has a deadline
  thread_ = without_signals([this] { run(); });
}

Spawner::~Spawner() { stop(); }

void Spawner::start(ProgramOrder order) {
  {
    const std::lock_guard lock{mutex_};
    orders_.push_back(std::move(order));
  }
  ordered_.notify_one();
}

std::deque<StartedProgram> Spawner::stop() {
  {
    const std::lock_guard lock{mutex_};
    over_ = true;
    orders_.clear();
  }
  ordered_.notify_one();
  if (thread_.joinable()) thread_.join();
  return std::exchange(started_, {});
}

void Spawner::run() {
  // Rights that this process holds without being root would go on to the programs it starts: they get none. Rights are a thread's own.
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  std::unique_lock lock{mutex_};
  for (;;) {
    ordered_.wait(lock, [this] { return over_ || !orders_.empty(); });
    if (over_) return;
    ProgramOrder order = std::move(orders_.front());
    orders_.pop_front();
    lock.unlock();
    StartedProgram started = start_program(order);
    lock.lock();
    started_.push_back(std::move(started));
    uv_async_send(wake_.get());
  }
}

void Spawner::on_wake() {
  std::deque<StartedProgram> heard;
  {
    const std::lock_guard lock{mutex_};
    heard.swap(started_);
  }
  for (StartedProgram& program : heard) heard_(std::move(program));
}

} // namespace hanat::probes
