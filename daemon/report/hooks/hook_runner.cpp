// A file in memory is the input, a pipe takes the output, a pidfd tells of the end, a timer has the limit.
#include "daemon/report/hooks/hook_runner.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <map>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/util/trusted_program.hpp"
#include "nat/fd.hpp"
#include "probes/kinds/exec_answer.hpp"
#include "probes/kinds/exec_orphans.hpp"
#include "probes/kinds/exec_spawn.hpp"

namespace hanat {
namespace {

using probes::ExecOutput;
using probes::Poll;
using probes::Spawner;
using probes::StartedProgram;
using probes::Timer;

constexpr auto of_pidfd = static_cast<idtype_t>(3);   // P_PIDFD, which older libc headers lack
constexpr std::chrono::milliseconds last_moment{200}; // that programs have to end by themselves, when hanatd ends
constexpr int pieces_per_turn = 16;

std::string errno_text(int error) { return std::generic_category().message(error); }

/// What a program reads as its stdin. It is there as a whole: writing it waits for nobody.
Fd memory_file(const std::string& content) {
  Fd file{memfd_create("hanat-hook", MFD_CLOEXEC)};
  std::size_t written = 0;
  while (file && written < content.size()) {
    const ssize_t count = pwrite(file.get(), content.data() + written, content.size() - written, static_cast<off_t>(written));
    if (count < 0) return {};
    written += static_cast<std::size_t>(count);
  }
  return file;
}

/// Why the program must not be run; asked before each call.
std::string refusal_of(const std::string& program) {
  const std::array owners{geteuid()};
  return untrusted(program, owners);
}

/// A call that was made and has not ended.
struct Running {
  Running(HookRunner::Impl& runner, std::uint64_t number, HookCall what) : impl(runner), id(number), call(std::move(what)) {}

  HookRunner::Impl& impl;
  std::uint64_t id;
  HookCall call;
  StartedProgram program = {}; // pid -1: not started yet
  bool expired = false;        // the time limit has passed
  ExecOutput written = {};
  Fd output = {}; // declared before its poll handle, so closed after it
  Poll readable = {};
  Poll exited = {};
  Timer timer = {};

  void signal_group(int number) const {
    if (program.pid > 0) kill(-program.pid, number);
  }
};

} // namespace

struct HookRunner::Impl {
  Impl(uv_loop_t* uv_loop, OnEnd callback)
      : loop(uv_loop), on_end(std::move(callback)), spawner(uv_loop, [this](StartedProgram program) { on_started(std::move(program)); }) {}
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  int order(Running& running);
  void on_started(StartedProgram program);
  void on_exit(Running& running);
  void fail(std::uint64_t id, HookFault fault, std::string detail);
  void end(std::uint64_t id, const HookResult& result);
  static void read_output(Running& running);
  static void on_time(Running& running);

  uv_loop_t* loop;
  OnEnd on_end;
  std::uint64_t last_id = 0;
  std::map<std::uint64_t, Running> calls;
  Spawner spawner;
};

/// Hands it to the thread; an errno when there is no memory or no descriptor for it.
int HookRunner::Impl::order(Running& running) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return errno;
  Fd input{ends[1]};
  running.output = Fd{ends[0]};
  Fd document = memory_file(running.call.input);
  if (!document || fcntl(running.output.get(), F_SETFL, O_NONBLOCK) != 0) return errno;
  int error = 0;
  running.readable = probes::try_poll(loop, running.output.get(), error);
  if (!running.readable) return -error;
  running.readable->data = &running;
  uv_poll_start(running.readable.get(), UV_READABLE, [](uv_poll_t* poll, int, int) { read_output(*static_cast<Running*>(poll->data)); });
  spawner.start({.id = running.id,
                 .command = running.call.command,
                 .environment = running.call.environment,
                 .output = std::move(input),
                 .input = std::move(document),
                 .refusal = [program = running.call.command.front()] { return refusal_of(program); }});
  return 0;
}

void HookRunner::Impl::on_started(StartedProgram program) {
  const auto found = calls.find(program.id);
  if (found == calls.end()) return;
  Running& running = found->second;
  if (!program.refused.empty()) return fail(program.id, HookFault::not_trusted, std::move(program.refused));
  if (program.error != 0) return fail(program.id, HookFault::not_started, errno_text(program.error));
  int error = 0;
  running.program = std::move(program);
  running.exited = probes::try_poll(loop, running.program.pidfd.get(), error);
  if (!running.exited) { // nothing would notice its exit
    running.signal_group(SIGKILL);
    waitpid(running.program.pid, nullptr, 0);
    spawner.ended(running.program.pid);
    return fail(running.id, HookFault::not_started, errno_text(-error));
  }
  running.exited->data = &running;
  uv_poll_start(running.exited.get(), UV_READABLE, [](uv_poll_t* poll, int, int) {
    auto& one = *static_cast<Running*>(poll->data);
    one.impl.on_exit(one);
  });
  if (running.expired) running.signal_group(SIGKILL); // the start took longer than it may run
}

/// The first line is kept, the rest is thrown away: a program that writes much does not wait.
void HookRunner::Impl::read_output(Running& running) {
  std::array<char, 4'096> piece{};
  for (int pieces = 0; pieces < pieces_per_turn; ++pieces) {
    const ssize_t count = read(running.output.get(), piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count == 0) uv_poll_stop(running.readable.get()); // it has closed its output and still runs
    if (count <= 0) return;
    if (!running.written.too_large()) running.written.add({piece.data(), static_cast<std::size_t>(count)});
  }
}

/// First the program and its children may end by themselves.
void HookRunner::Impl::on_time(Running& running) {
  running.signal_group(std::exchange(running.expired, true) ? SIGKILL : SIGTERM);
  const auto again = std::chrono::duration_cast<std::chrono::milliseconds>(grace).count();
  uv_timer_start(
      running.timer.get(), [](uv_timer_t* timer) { on_time(*static_cast<Running*>(timer->data)); }, static_cast<std::uint64_t>(again), 0);
}

void HookRunner::Impl::on_exit(Running& running) {
  siginfo_t info{};
  const int error = waitid(of_pidfd, static_cast<id_t>(running.program.pidfd.get()), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ? errno : 0;
  if (error == 0 && info.si_pid == 0) return;
  running.signal_group(SIGKILL); // the children it left, while the pid is not reused
  waitpid(running.program.pid, nullptr, 0);
  spawner.ended(running.program.pid);
  read_output(running);
  HookResult result{.number = info.si_status, .detail = running.written.first_line()};
  if (running.expired)
    result.fault = HookFault::time_limit;
  else if (error != 0 || info.si_code != CLD_EXITED)
    result.fault = HookFault::signal;
  else if (info.si_status != 0)
    result.fault = HookFault::exit_status;
  end(running.id, result);
}

void HookRunner::Impl::fail(std::uint64_t id, HookFault fault, std::string detail) {
  end(id, {.fault = fault, .detail = std::move(detail)});
}

void HookRunner::Impl::end(std::uint64_t id, const HookResult& result) {
  const std::string owner = calls.at(id).call.owner;
  calls.erase(id);
  on_end(owner, result);
}

/// A last call may be about the reason for which hanatd ends: it gets a moment.
HookRunner::Impl::~Impl() {
  auto unreported = spawner.stop();
  for (StartedProgram& program : unreported)
    if (const auto call = calls.find(program.id); call != calls.end()) call->second.program = std::move(program);
  for (const auto& [id, running] : calls) running.signal_group(SIGTERM);
  const auto until = Clock::now() + last_moment;
  for (const auto& [id, running] : calls) {
    if (running.program.pid <= 0) continue;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
    pollfd exited{.fd = running.program.pidfd.get(), .events = POLLIN, .revents = 0};
    poll(&exited, 1, static_cast<int>(std::max<std::int64_t>(left, 0)));
    running.signal_group(SIGKILL);
    waitpid(running.program.pid, nullptr, WNOHANG);
    probes::orphans().forget(running.program.pid);
  }
}

HookRunner::HookRunner(uv_loop_t* loop, OnEnd on_end) : impl_(std::make_unique<Impl>(loop, std::move(on_end))) {}
HookRunner::~HookRunner() = default;

void HookRunner::start(HookCall&& call) {
  const std::uint64_t id = ++impl_->last_id;
  const auto limit = std::chrono::ceil<std::chrono::milliseconds>(call.timeout).count();
  Running& running = impl_->calls.try_emplace(id, *impl_, id, std::move(call)).first->second;
  running.timer = make_timer(impl_->loop, &running);
  if (const int error = impl_->order(running); error != 0) { // told in a later turn, as everything else
    running.program.error = error;
    uv_timer_start(
        running.timer.get(),
        [](uv_timer_t* timer) {
          auto& one = *static_cast<Running*>(timer->data);
          one.impl.fail(one.id, HookFault::not_started, errno_text(one.program.error));
        },
        0, 0);
    return;
  }
  uv_timer_start(
      running.timer.get(), [](uv_timer_t* timer) { Impl::on_time(*static_cast<Running*>(timer->data)); }, static_cast<std::uint64_t>(limit),
      0);
}

} // namespace hanat
