// posix_spawn() on a thread.
#include "probes/kinds/exec_spawn.hpp"

#include <cerrno>
#include <csignal>
#include <optional>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probes/kinds/exec_orphans.hpp"

namespace hanat::probes {
namespace {

class SpawnSetup {
public:
  /// `input`: its stdin, -1: /dev/null; `output`: its stdout and stderr.
  SpawnSetup(int input, int output) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
    if (input < 0)
      posix_spawn_file_actions_addopen(&actions_, 0, "/dev/null", O_RDONLY, 0);
    else
      posix_spawn_file_actions_adddup2(&actions_, input, 0);
    posix_spawn_file_actions_adddup2(&actions_, output, 1);
    posix_spawn_file_actions_adddup2(&actions_, output, 2);
    posix_spawn_file_actions_addclosefrom_np(&actions_, 3); // every other descriptor of hanatd
    posix_spawn_file_actions_addchdir_np(&actions_, "/");
    sigset_t none{}, all{};
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &all); // hanatd ignores SIGPIPE
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

/// hanatd is protected from the OOM killer. Its programs must not inherit that: a leaking one would outlive everything else.
void reset_oom_score(pid_t program) {
  const Fd file{open(fmt::format("/proc/{}/oom_score_adj", program).c_str(), O_WRONLY | O_CLOEXEC)};
  if (file.get() >= 0 && write(file.get(), "0", 1) < 0) return; // keeps the inherited score
}

StartedProgram start_program(ProgramOrder& order) {
  StartedProgram started{.id = order.id};
  const SpawnSetup setup{order.input.get(), order.output.get()};
  const auto arguments = pointers(order.command), variables = pointers(order.environment);
  started.error =
      posix_spawn(&started.pid, order.command[0].c_str(), setup.actions(), setup.attributes(), arguments.data(), variables.data());
  if (started.error != 0) return started;
  reset_oom_score(started.pid);
  started.pidfd = Fd{static_cast<int>(syscall(SYS_pidfd_open, started.pid, 0))};
  if (started.pidfd.get() >= 0) return started;
  started.error = errno; // nothing would notice its exit
  kill(-started.pid, SIGKILL);
  waitpid(started.pid, nullptr, 0);
  return started;
}

/// Unless it may not be run.
StartedProgram try_to_start(ProgramOrder& order) {
  std::string refused = order.refusal ? order.refusal() : std::string{};
  if (!refused.empty()) return {.id = order.id, .refused = std::move(refused)};
  orphans().starting();
  StartedProgram started = start_program(order);
  orphans().started(started.error == 0 ? std::optional{started.pid} : std::nullopt);
  return started;
}

/// The thread blocks all signals: the main thread handles them.
std::thread thread_without_signals(const std::function<void()>& body) {
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

Spawner::Spawner(uv_loop_t* loop, OnStarted on_started) : on_started_(std::move(on_started)) {
  // Some supervisors start processes with SIGCHLD ignored: then no exit status would be available.
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
  uv_unref(reinterpret_cast<uv_handle_t*>(wake_.get())); // an idle thread must not keep the loop alive; a pending probe has a timer
  thread_ = thread_without_signals([this] { run(); });
}

Spawner::~Spawner() { stop(); }

void Spawner::start(ProgramOrder order) {
  {
    const std::lock_guard lock{mutex_};
    orders_.push_back(std::move(order));
  }
  has_order_.notify_one();
}

void Spawner::ended(pid_t program) {
  {
    const std::lock_guard lock{mutex_};
    ended_.push_back(program);
  }
  has_order_.notify_one();
}

std::deque<StartedProgram> Spawner::stop() {
  {
    const std::lock_guard lock{mutex_};
    stopping_ = true;
    orders_.clear();
  }
  has_order_.notify_one();
  if (thread_.joinable()) thread_.join();
  return std::exchange(started_, {});
}

void Spawner::run() {
  // Programs must not inherit the ambient capabilities of hanatd. Capabilities belong to the thread.
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  std::unique_lock lock{mutex_};
  while (work(lock)) continue;
}

/// The next thing to do; false: there is none any more.
bool Spawner::work(std::unique_lock<std::mutex>& lock) {
  has_order_.wait(lock, [this] { return stopping_ || !orders_.empty() || !ended_.empty(); });
  if (stopping_) return false;
  const std::deque<pid_t> ended = std::exchange(ended_, {});
  std::optional<ProgramOrder> order;
  if (!orders_.empty()) {
    order = std::move(orders_.front());
    orders_.pop_front();
  }
  lock.unlock();
  for (const pid_t program : ended) orphans().ended(program);
  StartedProgram started;
  if (order) started = try_to_start(*order);
  lock.lock();
  if (!order) return true;
  started_.push_back(std::move(started));
  uv_async_send(wake_.get());
  return true;
}

void Spawner::on_wake() {
  std::deque<StartedProgram> started;
  {
    const std::lock_guard lock{mutex_};
    started.swap(started_);
  }
  for (StartedProgram& program : started) on_started_(std::move(program));
}

} // namespace hanat::probes
