// Puts the parts together, reloads and stops them.
#include "daemon/daemon.hpp"

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <variant>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <malloc.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "daemon/config/fingerprint.hpp"
#include "daemon/config/load_config.hpp"
#include "daemon/report/event_text.hpp"
#include "daemon/report/make_status.hpp"
#include "daemon/util/credentials.hpp"

namespace hanat {
namespace {

/// The directory, or an error with the remedy when it does not exist.
std::filesystem::path existing(const std::filesystem::path& directory, const char* what) {
  if (!directory.empty() && !std::filesystem::is_directory(directory))
    throw std::runtime_error(
        fmt::format("the {} {} does not exist: make it with mkdir -p {}, or name another", what, directory.string(), directory.string()));
  return directory;
}

/// Files that root leaves there could not be read or replaced by the hanatd of another user.
std::filesystem::path own(const std::filesystem::path& directory) {
  struct stat info {};
  if (geteuid() == 0 && stat(directory.c_str(), &info) == 0 && info.st_uid != 0)
    throw std::runtime_error(
        fmt::format("the state directory {0} belongs to {1}, whose hanatd could not use files that root leaves in it: start hanatd by its "
                    "unit (systemctl start hanatd), name another directory with --state, or give it to root (chown -R root: {0})",
                    directory.string(), user_name(info.st_uid)));
  return directory;
}

} // namespace

Daemon::Daemon(uv_loop_t* loop, Paths paths, const StartConfig& start)
    : loop_(loop), paths_(std::move(paths)), lock_(own(existing(paths_.state, "state directory"))),
      state_(loop, paths_.state, [this](events::Payload what) { log(std::move(what)); }),
      notify_(loop,
              [this] {
                return (handlers_->fallback()         ? "an older configuration is in force, see hanatctl status; "
                        : handlers_->reload_refused() ? "the last reload was refused, see hanatctl status; "
                                                      : "") +
                       summary(controller_->registry().services());
              }),
      config_copy_(loop, paths_.state, paths_.config,
                   [this](const std::string& failure) {
                     if (!failure.empty()) log(events::ConfigNotCopied{failure});
                     trim_memory(); // it was read once more
                   }),
      trim_timer_(make_timer(loop, this)) {
  const Config& config = start.config;
  // Everything that can refuse the start comes before the first change of the kernel: a start that fails changes nothing.
  existing(std::filesystem::path{paths_.socket}.parent_path(), "socket's directory");
  control_ =
      std::make_unique<ControlServer>(loop_, paths_.socket, operators_of(config), [this](const Call& call) { return (*handlers_)(call); });
  nat::Cutter cutter;
  log_capabilities(cutter);
  nat::NftTable kernel{paths_.table, paths_.shared_table ? nat::Ownership::shared : nat::Ownership::exclusive};
  history_ = std::make_unique<History>(loop_, paths_.state, [this](const Event& event) { journal_.write(event); });
  controller_ = std::make_unique<Controller>(
      loop_, std::move(kernel), nat::HeartbeatSocket{paths_.table}, std::move(cutter), make_client_notifier(),
      Controller::Publish{.event = [this](const Event& event) { publish(event); },
                          .send_now =
                              [this] {
                                if (control_) control_->send_waiting();
                              },
                          .health_changed = [this](std::set<std::string> services) { state_.health_changed(std::move(services)); }});
  state_.start(*controller_, config, history_->ring());
  utsname system{};
  uname(&system);
  log(events::Started{.kernel_release = system.release, .table = paths_.table, .owns_table = controller_->table().is_owned()});
  handlers_ =
      std::make_unique<Handlers>(loop_, *controller_, *history_, paths_.config, [this](const std::string& by) { return reload(by); });
  examinations_ = std::make_unique<Examinations>(loop_, paths_.table, *controller_, [this](const std::string& warning) {
    log(events::Message{Level::warning, warning});
  });
  examinations_->configure(config.path_check);
  handlers_->set_doctor(&examinations_->doctor());
  operators_ = config.operators;
  handlers_->set_config(start.file, start.fallback);
  if (start.fallback)
    log(events::Message{Level::error, *start.fallback});
  else
    config_copy_.start();
  config_watch_ = std::make_unique<ConfigWatch>(loop_, paths_.config, [this](bool differs) { handlers_->set_config_stale(differs); });
  config_watch_->set_in_use(start.content);
  serve_metrics(config.metrics);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) watch_signal(number);
}

void Daemon::log_capabilities(const nat::Cutter& cutter) const {
  for (const Family family : {Family::ipv4, Family::ipv6})
    log(events::CutMethod{.family = family, .method = cutter.method(family), .failed_check = cutter.limitation(family)});
}

/// The group, unless it does not exist: then only root may change things, and servers fail over all the same.
std::string Daemon::operators_of(const Config& config) const {
  if (config.operators.empty() || find_group(config.operators)) return config.operators;
  log(events::OperatorsUnknown{config.operators});
  return {};
}

void Daemon::accepted(std::uint64_t content) {
  handlers_->set_config(paths_.config, std::nullopt);
  config_watch_->set_in_use(content);
  config_copy_.start();
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
  const std::string text = text_of(event);
  journal_.write(event, text);
  if (history_) history_->add(event, text);
  notify_.changed();
}

/// Reading ten thousand services and loading their first targets takes half as much memory again as running them.
void Daemon::trim_memory() {
  constexpr std::uint64_t later_ms = 10'000;
  uv_timer_start(
      trim_timer_.get(), [](uv_timer_t*) { malloc_trim(0); }, later_ms, 0);
}

void Daemon::run() {
  trim_memory();
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
    reload("SIGHUP");
  } catch (const ControlError&) { // NOLINT(bugprone-empty-catch): reload() has logged it
  } catch (const std::exception& error) {
    publish(events::make({}, events::ReloadFailed{.error = error.what(), .by = "SIGHUP"}));
  }
  notify_.reloaded();
}

void Daemon::stop() {
  notify_.stopping();
  log(events::Stopping{});
  state_.save_health();
  try {
    controller_->stop();
  } catch (const std::exception& error) {
    log(events::TableNotRemoved{.table = paths_.table, .error = error.what()});
  }
  state_.finish();
  config_copy_.finish();
  control_.reset();
  metrics_.reset();
  config_watch_.reset();
  handlers_->stop();
  handlers_->set_doctor(nullptr);
  examinations_.reset();
  history_.reset(); // replies on the control socket read it
  trim_timer_.reset();
  signals_.clear(); // the loop ends when the last handle is closed
}

/// Nothing has changed: told to whom asked, in the status and the history.
void Daemon::refuse_reload(const std::string& by, const Event& refused, const std::vector<std::string>& errors) {
  const auto* failed = std::get_if<events::ReloadFailed>(&refused.what);
  const std::string first = !errors.empty() ? errors.front() : failed != nullptr ? failed->error : text_of(refused);
  handlers_->set_reload_refused(by, std::max<std::size_t>(errors.size(), 1), first);
  publish(refused);
  throw ControlError{"BadConfiguration", text_of(refused), {{"errors", errors}}};
}

nlohmann::json Daemon::reload(const std::string& by) {
  const std::uint64_t content = config_content_hash(paths_.config); // first: what changes while it is read shows as changed
  const ConfigResult result = load_config(paths_.config);
  if (const auto* errors = std::get_if<std::vector<ConfigError>>(&result)) {
    std::vector<std::string> lines;
    for (const ConfigError& error : *errors) lines.push_back(to_text(error));
    for (const std::string& line : lines) log(events::ConfigError{line});
    refuse_reload(by, events::make({}, events::ConfigRefused{.errors = lines.size(), .by = by, .first = lines.front()}), lines);
  }
  const Config& config = std::get<Config>(result);
  try { // a new name may be mistyped; a group that is gone must not prevent a change of servers
    control_->set_operators(config.operators == operators_ ? operators_of(config) : config.operators);
    operators_ = config.operators;
  } catch (const std::exception& error) {
    refuse_reload(by, events::make({}, events::ReloadFailed{.error = error.what(), .nothing_changed = true, .by = by}), {});
  }
  const Reloaded done = controller_->reload(config, by);
  accepted(content);
  examinations_->configure(config.path_check);
  serve_metrics(config.metrics);
  trim_memory();
  return {{"services", config.services.size()}, {"added", done.added}, {"changed", done.changed}, {"removed", done.removed},
          {"settings", done.settings},          {"plan", *done.plan}};
}

/// Without CAP_NET_RAW hanatd does everything else.
std::optional<ClientNotifier> Daemon::make_client_notifier() const try {
  return ClientNotifier{.nudger = {}, .held = nat::HeldClientReader{paths_.table}};
} catch (const std::system_error& error) {
  log(events::NudgingOff{.error = error.what(), .not_permitted = error.code() == std::errc::operation_not_permitted});
  return std::nullopt;
}

/// A port that is taken must not stop failover: only the metrics are missing then.
void Daemon::serve_metrics(const std::optional<Endpoint>& at) try {
  if (at == metrics_at_ && (metrics_ || !at)) return;
  metrics_.reset();
  metrics_at_ = at;
  if (!at) return;
  metrics_ = std::make_unique<MetricsServer>(loop_, *at,
                                             MetricsSource{.daemon = [this] { return handlers_->daemon_status(); },
                                                           .names =
                                                               [this] {
                                                                 std::vector<std::string> names;
                                                                 for (const auto& service : controller_->registry().services())
                                                                   if (!service->removed) names.push_back(service->config.name);
                                                                 return names;
                                                               },
                                                           .service = [this](const std::string& name) -> std::optional<ServiceStatus> {
                                                             const ServiceState* service = controller_->registry().find(name);
                                                             return service == nullptr ? std::nullopt
                                                                                       : std::optional{handlers_->service_status(*service)};
                                                           }});
} catch (const std::system_error& error) {
  log(events::MetricsNotServed{error.what()});
}

} // namespace hanat
