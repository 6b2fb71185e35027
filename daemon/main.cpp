// hanatd: arguments, configuration, build, run.
#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <malloc.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <uv.h>

#include "daemon/accepted_config.hpp"
#include "daemon/commands.hpp"
#include "daemon/config.hpp"
#include "daemon/control.hpp"
#include "daemon/gateway.hpp"
#include "daemon/history.hpp"
#include "daemon/journal.hpp"
#include "daemon/metrics_server.hpp"
#include "daemon/notify.hpp"
#include "daemon/peer.hpp"
#include "daemon/report.hpp"
#include "daemon/side_thread.hpp"
#include "daemon/state_writer.hpp"
#include "nat/modules.hpp"

namespace hanat {
namespace {

struct Arguments {
  std::string config = "/etc/hanat/hanat.toml";
  std::string socket = "/run/hanat/control.sock";
  std::string state = "/var/lib/hanat";
  std::string table = "hanat";
  bool check = false;
  bool remove = false;
  bool shared_table = false;
  bool fallback = false;
};

/// What a start goes by.
struct StartConfig {
  Config config;
  std::string file;
  std::optional<std::string> fallback; // why it is not the file that was named
};

/// The directory, or the remedy when it is not there.
std::filesystem::path existing(const std::filesystem::path& directory, const char* what) {
  if (!directory.empty() && !std::filesystem::is_directory(directory))
    throw std::runtime_error(
        fmt::format("the {} {} is not there: make it with mkdir -p {}, or name another", what, directory.string(), directory.string()));
  return directory;
}

/// What else to say of a start that the kernel refused.
std::string remedy(const std::error_code& error) {
  if (error == std::errc::operation_not_permitted) return "; hanatd needs CAP_NET_ADMIN: run it as root or by its unit";
  // A family of netlink or an expression of a rule that the kernel has not, in its words.
  const bool unknown = error == std::errc::no_such_file_or_directory || error == std::errc::operation_not_supported ||
                       error == std::errc::invalid_argument || error == std::errc::protocol_not_supported;
  const std::vector<std::string> names = unknown ? nat::modules_not_loaded() : std::vector<std::string>{};
  if (names.empty()) return {};
  return fmt::format("; modules that hanatd needs are not loaded, and the kernel could not load them itself: modprobe -a {}",
                     fmt::join(names, " "));
}

/// The running daemon: everything that main() builds, in the order in which it depends on each other.
class Daemon {
public:
  Daemon(uv_loop_t* loop, Arguments arguments, const StartConfig& start);
  void run();

private:
  nlohmann::json reload();
  void accepted();
  void keep();
  void kept();
  std::optional<Telling> make_telling() const;
  std::string operators_of(const Config& config) const;
  void serve_metrics(const std::optional<Endpoint>& at);
  void on_signal(int number);
  void watch_signal(int number);
  void give_memory_back();
  void stop();
  void publish(const Event& event);
  void tell(Level level, const std::string& text) const { journal_.write({.level = level, .service = {}, .text = text}); }

  uv_loop_t* loop_;
  Arguments arguments_;
  Journal journal_;
  StateLock lock_;
  StateWriter writer_;
  std::unique_ptr<History> history_;
  Notify notify_;
  std::unique_ptr<Gateway> gateway_;
  std::unique_ptr<Commands> commands_;
  std::unique_ptr<ControlServer> control_;
  std::optional<Endpoint> metrics_at_; // as configured
  std::unique_ptr<MetricsServer> metrics_;
  std::string keeping_failure_; // the keeper's, while it is busy
  bool keep_again_ = false;
  SideThread keeper_; // copies the configuration that was accepted: a disk that hangs holds up nobody
  std::vector<UvHandle<uv_signal_t>> signals_;
  UvHandle<uv_timer_t> tidy_up_;
};

Daemon::Daemon(uv_loop_t* loop, Arguments arguments, const StartConfig& start)
    : loop_(loop), arguments_(std::move(arguments)), lock_(existing(arguments_.state, "state directory")),
      writer_(
          loop,
          [this](const std::string& error) {
            tell(Level::error, fmt::format("the state could not be saved: {}; what was forced, ended or began to drain last is forgotten "
                                           "by a restart",
                                           error));
          },
          [dir = arguments_.state](const State& state) { save_state(dir, state); }),
      notify_(loop,
              [this] {
                return (commands_->fallback() ? "an older configuration is in force, see hanatctl status; " : "") +
                       summary(gateway_->services());
              }),
      keeper_(loop, [this] { kept(); }), tidy_up_(make_timer(loop, this)) {
  const Config& config = start.config;
  // Whatever can refuse the start comes before the kernel is touched: a start that fails changes nothing.
  existing(std::filesystem::path{arguments_.socket}.parent_path(), "socket's directory");
  control_ = std::make_unique<ControlServer>(loop_, arguments_.socket, operators_of(config),
                                             [this](const Call& call) { return (*commands_)(call); });
  nat::Cutter cutter;
  for (const Family family : {Family::ipv4, Family::ipv6})
    tell(Level::info, fmt::format("{} flows are cut by {}{}{}", family == Family::ipv4 ? "IPv4" : "IPv6", to_text(cutter.rung(family)),
                                  cutter.proof(family).empty() ? "" : "; a faster way failed its test on this kernel, nothing to do: ",
                                  cutter.proof(family)));
  nat::Kernel kernel{arguments_.table, arguments_.shared_table ? nat::Ownership::shared : nat::Ownership::exclusive};
  history_ = std::make_unique<History>(loop_, arguments_.state, [this](Level level, const std::string& text) { tell(level, text); });
  gateway_ = std::make_unique<Gateway>(loop_, std::move(kernel), std::move(cutter), make_telling(),
                                       [this](const Event& event) { publish(event); });
  const LoadedState kept = load_state(arguments_.state);
  if (!kept.warning.empty()) tell(Level::warning, kept.warning);
  gateway_->on_state_changed = [this](Gateway::Urgency urgency) {
    urgency == Gateway::Urgency::now ? writer_.save_now(gateway_->state()) : writer_.save_soon(gateway_->state());
  };
  gateway_->start(config, kept.state);
  utsname system{};
  uname(&system);
  tell(Level::info, fmt::format("on Linux {} table {} {}", system.release, arguments_.table,
                                gateway_->owns_table() ? "belongs to hanatd: nobody else can change it"
                                                       : "can be changed by others, too: hanatd watches it and puts it right"));
  commands_ = std::make_unique<Commands>(*gateway_, *history_, [this] { return reload(); });
  commands_->set_config(start.file, start.fallback);
  if (start.fallback)
    tell(Level::error, *start.fallback);
  else
    keep();
  serve_metrics(config.metrics);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) watch_signal(number);
}

/// The group, unless there is none of that name: then root alone may change things, and servers fail over all the same.
std::string Daemon::operators_of(const Config& config) const {
  if (config.operators.empty() || find_group(config.operators)) return config.operators;
  tell(Level::error,
       fmt::format("no group \"{0}\" (operators): only root may change things now; make it with groupadd {0}, or name another, "
                   "then hanatctl reload",
                   config.operators));
  return {};
}

void Daemon::accepted() {
  commands_->set_config(arguments_.config, std::nullopt);
  keep();
}

void Daemon::keep() {
  keep_again_ = keeper_.busy();
  if (keep_again_) return;
  const auto job = [this] {
    try {
      keep_accepted(arguments_.state, arguments_.config);
    } catch (const std::exception& error) {
      keeping_failure_ = error.what();
    }
  };
  if (keeper_.run(job, probes::Clock::duration::zero())) kept();
}

void Daemon::kept() {
  if (const std::string failure = std::exchange(keeping_failure_, {}); !failure.empty())
    tell(Level::warning,
         fmt::format("the configuration could not be copied: {}; if it has an error at the next start, an older copy is used, or none",
                     failure));
  if (keep_again_) keep();
}

void Daemon::watch_signal(int number) {
  auto handle = std::make_unique<uv_signal_t>();
  check_uv(uv_signal_init(loop_, handle.get()), "watch signals");
  handle->data = this;
  uv_signal_start(
      handle.get(), [](uv_signal_t* signal, int raised) { static_cast<Daemon*>(signal->data)->on_signal(raised); }, number);
  signals_.emplace_back(handle.release());
}

void Daemon::publish(const Event& event) {
  journal_.write(event);
  if (history_) history_->note(event, wall_now());
  notify_.changed();
}

/// Reading ten thousand services and giving them their first targets takes half as much memory again as running them.
void Daemon::give_memory_back() {
  constexpr std::uint64_t when_it_is_quiet_ms = 10'000;
  uv_timer_start(
      tidy_up_.get(), [](uv_timer_t*) { malloc_trim(0); }, when_it_is_quiet_ms, 0);
}

void Daemon::run() {
  give_memory_back();
  notify_.ready();
  uv_run(loop_, UV_RUN_DEFAULT);
}

void Daemon::on_signal(int number) {
  if (number != SIGHUP) {
    stop();
    return;
  }
  notify_.reloading();
  try {
    reload();
  } catch (const ControlError&) { // NOLINT(bugprone-empty-catch): reload() has told
  } catch (const std::exception& error) {
    tell(Level::error, fmt::format("the reload failed: {}", error.what()));
  }
  notify_.reloaded();
}

void Daemon::stop() {
  notify_.stopping();
  tell(Level::notice, "stopping");
  try {
    gateway_->stop();
  } catch (const std::exception& error) {
    tell(Level::error,
         fmt::format("the table could not be removed: {}; remove it with nft delete table inet {}", error.what(), arguments_.table));
  }
  writer_.finish();
  keep_again_ = false;
  while (keeper_.join()) kept();
  control_.reset();
  metrics_.reset();
  history_.reset(); // the control socket's replies read it
  tidy_up_.reset();
  signals_.clear(); // the loop ends when the last handle is closed
}

nlohmann::json Daemon::reload() {
  const ConfigResult result = load_config(arguments_.config);
  if (const auto* errors = std::get_if<std::vector<ConfigError>>(&result)) {
    std::vector<std::string> lines;
    for (const ConfigError& error : *errors) lines.push_back(to_text(error));
    for (const std::string& line : lines) tell(Level::error, line);
    const std::string text = fmt::format("the new configuration has {} error{}; nothing was changed, the old one stays in force",
                                         lines.size(), lines.size() == 1 ? "" : "s");
    tell(Level::error, text);
    throw ControlError{"BadConfiguration", text, {{"errors", lines}}};
  }
  const Config& config = std::get<Config>(result);
  try {
    control_->set_operators(config.operators);
  } catch (const std::exception& error) {
    const std::string text = fmt::format("{}; nothing was changed, the old configuration stays in force", error.what());
    tell(Level::error, text);
    throw ControlError{"BadConfiguration", text, {{"errors", nlohmann::json::array()}}};
  }
  const Reloaded done = gateway_->reload(config);
  accepted();
  serve_metrics(config.metrics);
  give_memory_back();
  const auto listed = [](const char* what, const std::vector<std::string>& names) {
    return names.empty() ? std::string{} : fmt::format("; {}: {}", what, fmt::join(names, ", "));
  };
  tell(Level::notice, fmt::format("configuration read again, services: {}{}{}{}", config.services.size(), listed("added", done.added),
                                  listed("changed", done.changed), listed("removed", done.removed)));
  return {{"services", config.services.size()}, {"added", done.added}, {"changed", done.changed}, {"removed", done.removed}};
}

/// Without CAP_NET_RAW hanatd does all but that.
std::optional<Telling> Daemon::make_telling() const try {
  return Telling{.nudger = {}, .held = nat::HeldReader{arguments_.table}};
} catch (const std::system_error& error) {
  const bool no_right = error.code() == std::errc::operation_not_permitted;
  tell(Level::warning, fmt::format("nudging is off: {}; clients that wait learn of a flip by their own timers{}", error.what(),
                                   no_right ? "; give hanatd CAP_NET_RAW" : ""));
  return std::nullopt;
}

/// Servers fail over whether or not anybody can read figures of it: a port that is taken stops nothing.
void Daemon::serve_metrics(const std::optional<Endpoint>& at) try {
  if (at == metrics_at_ && (metrics_ || !at)) return;
  metrics_.reset();
  metrics_at_ = at;
  if (!at) return;
  metrics_ = std::make_unique<MetricsServer>(loop_, *at,
                                             MetricsSource{.daemon = [this] { return commands_->daemon_status(); },
                                                           .names =
                                                               [this] {
                                                                 std::vector<std::string> names;
                                                                 for (const auto& service : gateway_->services())
                                                                   if (!service->removed) names.push_back(service->config.name);
                                                                 return names;
                                                               },
                                                           .service = [this](const std::string& name) -> std::optional<ServiceStatus> {
                                                             const RunningService* service = gateway_->find(name);
                                                             return service == nullptr ? std::nullopt
                                                                                       : std::optional{report(*service, Clock::now())};
                                                           }});
} catch (const std::system_error& error) {
  tell(Level::error, fmt::format("no metrics are served: {}; all else works. Free the port, or name another one as [hanatd] metrics, then "
                                 "hanatctl reload",
                                 error.what()));
}

/// The event loop; what is still closing when everything else is gone gets its last turn here.
class Loop {
public:
  Loop() { check_uv(uv_loop_init(&loop_), "make the event loop"); }
  ~Loop() {
    uv_run(&loop_, UV_RUN_DEFAULT);
    uv_loop_close(&loop_);
  }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  uv_loop_t* get() { return &loop_; }

private:
  uv_loop_t loop_{};
};

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  CLI::App app{"hanatd keeps services reachable when their server dies: it watches servers and rewrites NAT in the kernel.", "hanatd"};
  app.add_option("--config", arguments.config, "configuration file")->capture_default_str();
  app.add_option("--socket", arguments.socket, "control socket")->capture_default_str();
  app.add_option("--state", arguments.state, "directory for overrides and history")->capture_default_str();
  app.add_option("--table", arguments.table, "name of the nftables table, for tests")->capture_default_str();
  app.add_flag("--shared-table", arguments.shared_table, "let others change the table, as on kernels that cannot prevent it, for tests");
  app.add_flag("--fallback", arguments.fallback, "where the configuration has errors, start with the one that was accepted last");
  app.add_flag("--check", arguments.check, "check the configuration and exit");
  app.add_flag("--remove", arguments.remove, "remove the table that a stopped hanatd left in the kernel, and exit");
  app.set_version_flag("--version", HANAT_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error) == 0 ? 0 : 2); // NOLINT(concurrency-mt-unsafe): no thread yet
  }
  return arguments;
}

/// Connections that are there go on until they end: conntrack knows them without the table.
int remove_table(const std::string& name) {
  nat::Kernel kernel{name};
  if (!kernel.read()) return 0; // somebody else's table, or that of a hanatd that runs, throws
  kernel.remove();
  return 0;
}

/// The file that was named, or the accepted one where that has errors; every error is told. nullopt: there is none.
std::optional<StartConfig> config_for(const Arguments& arguments) {
  ConfigResult named = load_config(arguments.config);
  if (auto* config = std::get_if<Config>(&named)) return StartConfig{std::move(*config), arguments.config, std::nullopt};
  const auto& errors = std::get<std::vector<ConfigError>>(named);
  for (const ConfigError& error : errors) fmt::print(stderr, "{}\n", to_text(error));
  if (!arguments.fallback || arguments.check) return std::nullopt;
  const std::filesystem::path file = accepted_config(arguments.state, arguments.config);
  ConfigResult kept = load_config(file);
  auto* const config = std::get_if<Config>(&kept);
  if (config == nullptr) {
    fmt::print(stderr, "{} has no configuration that was accepted before; correct these errors, then start hanatd again\n",
               file.parent_path().string());
    return std::nullopt;
  }
  return StartConfig{
      std::move(*config), file.string(),
      fmt::format(
          "{} has {} error{}: the configuration that was accepted last is in force; correct it (hanatctl check), then hanatctl reload",
          errors.front().file, errors.size(), errors.size() == 1 ? "" : "s")};
}

int run(const Arguments& arguments) {
  if (arguments.remove) return remove_table(arguments.table);
  std::optional<StartConfig> start = config_for(arguments);
  if (!start) return 2;
  if (arguments.check) {
    fmt::print("{}: {} services, ok\n", arguments.config, start->config.services.size());
    return 0;
  }
  Loop loop;
  Daemon daemon{loop.get(), arguments, *start};
  start.reset(); // the daemon has made its services of it
  daemon.run();
  return 0;
}

} // namespace
} // namespace hanat

int main(int argc, char** argv) {
  while (true) { // started without stdin, stdout or stderr: their numbers must not fall to a socket
    const int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd > STDERR_FILENO) close(fd);
    if (fd < 0 || fd > STDERR_FILENO) break;
  }
  std::signal(SIGPIPE, SIG_IGN); // whoever hangs up on us ends their own conversation
  try {
    return hanat::run(hanat::parse(argc, argv));
  } catch (const std::system_error& error) {
    std::fprintf(stderr, "hanatd: %s%s\n", error.what(), hanat::remedy(error.code()).c_str());
    return 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "hanatd: %s\n", error.what());
    return 1;
  }
}
