// How the parts are put together, told of each other, changed by a reload and ended.
#include "daemon/daemon.hpp"

#include <csignal>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <variant>

#include <fmt/format.h>
#include <malloc.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "daemon/accepted_config.hpp"
#include "daemon/peer.hpp"
#include "daemon/report.hpp"

namespace hanat {
namespace {

/// The directory, or the remedy when it is not there.
std::filesystem::path existing(const std::filesystem::path& directory, const char* what) {
  if (!directory.empty() && !std::filesystem::is_directory(directory))
    throw std::runtime_error(
        fmt::format("the {} {} is not there: make it with mkdir -p {}, or name another", what, directory.string(), directory.string()));
  return directory;
}

/// What root leaves there another user's hanatd could not read, nor replace.
std::filesystem::path own(const std::filesystem::path& directory) {
  struct stat info {};
  if (geteuid() == 0 && stat(directory.c_str(), &info) == 0 && info.st_uid != 0)
    throw std::runtime_error(
        fmt::format("the state directory {0} belongs to {1}, and what root leaves in it that user's hanatd cannot use: start hanatd by its "
                    "unit (systemctl start hanatd), or name another directory with --state, or make it root's (chown -R root: {0})",
                    directory.string(), user_name(info.st_uid)));
  return directory;
}

} // namespace

Daemon::Daemon(uv_loop_t* loop, Places places, const StartConfig& start)
    : loop_(loop), places_(std::move(places)), lock_(own(existing(places_.state, "state directory"))),
      writer_(
          loop,
          [this](const std::string& error) {
            tell(Level::error, fmt::format("the state could not be saved: {}; what was forced, ended or began to drain last is forgotten "
                                           "by a restart",
                                           error));
          },
          [dir = places_.state](const State& state) { save_state(dir, state); }),
      notify_(loop,
              [this] {
                return (commands_->fallback() ? "an older configuration is in force, see hanatctl status; " : "") +
                       summary(gateway_->services());
              }),
      keeper_(loop, [this] { kept(); }), tidy_up_(make_timer(loop, this)) {
  const Config& config = start.config;
  // Whatever can refuse the start comes before the kernel is touched: a start that fails changes nothing.
  existing(std::filesystem::path{places_.socket}.parent_path(), "socket's directory");
  control_ =
      std::make_unique<ControlServer>(loop_, places_.socket, operators_of(config), [this](const Call& call) { return (*commands_)(call); });
  nat::Cutter cutter;
  for (const Family family : {Family::ipv4, Family::ipv6})
    tell(Level::info, fmt::format("{} flows are cut by {}{}{}", family == Family::ipv4 ? "IPv4" : "IPv6", to_text(cutter.rung(family)),
                                  cutter.proof(family).empty() ? "" : "; a faster way failed its test on this kernel, nothing to do: ",
                                  cutter.proof(family)));
  nat::Kernel kernel{places_.table, places_.shared_table ? nat::Ownership::shared : nat::Ownership::exclusive};
  history_ = std::make_unique<History>(loop_, places_.state, [this](Level level, const std::string& text) { tell(level, text); });
  gateway_ = std::make_unique<Gateway>(loop_, std::move(kernel), std::move(cutter), make_telling(),
                                       [this](const Event& event) { publish(event); });
  const LoadedState kept = load_state(places_.state);
  if (!kept.warning.empty()) tell(Level::warning, kept.warning);
  gateway_->on_state_changed = [this](Gateway::Urgency urgency) {
    urgency == Gateway::Urgency::now ? writer_.save_now(gateway_->state()) : writer_.save_soon(gateway_->state());
  };
  gateway_->start(config, kept.state);
  utsname system{};
  uname(&system);
  tell(Level::info, fmt::format("on Linux {} table {} {}", system.release, places_.table,
                                gateway_->owns_table() ? "belongs to hanatd: nobody else can change it"
                                                       : "can be changed by others, too: hanatd watches it and puts it right"));
  commands_ = std::make_unique<Commands>(*gateway_, *history_, [this] { return reload(); });
  operators_ = config.operators;
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
       fmt::format("no group \"{0}\" (operators): only root may change things now; make it with groupadd {0}, or name another (one of a "
                   "directory service may not have been there yet), then hanatctl reload",
                   config.operators));
  return {};
}

void Daemon::accepted() {
  commands_->set_config(places_.config, std::nullopt);
  keep();
}

void Daemon::keep() {
  keep_again_ = keeper_.busy();
  if (keep_again_) return;
  const auto job = [this] {
    try {
      keep_accepted(places_.state, places_.config);
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
  give_memory_back(); // it was read once more
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
         fmt::format("the table could not be removed: {}; remove it with nft delete table inet {}", error.what(), places_.table));
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
  const ConfigResult result = load_config(places_.config);
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
  try { // a new name may be a slip of the pen; a group that is gone must not keep a server from being changed
    control_->set_operators(config.operators == operators_ ? operators_of(config) : config.operators);
    operators_ = config.operators;
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
  return Telling{.nudger = {}, .held = nat::HeldReader{places_.table}};
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

} // namespace hanat
