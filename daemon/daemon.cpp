// Puts the parts together, reloads and stops them.
#include "daemon/daemon.hpp"

#include <algorithm>
#include <array>
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

#include "daemon/config/read_hook.hpp"
#include "daemon/report/event_text.hpp"
#include "daemon/report/make_status.hpp"
#include "daemon/util/credentials.hpp"

namespace hanat {
namespace {

constexpr mode_t usual_mode = 0750; // StateDirectoryMode and RuntimeDirectoryMode of the unit

/// The directory, or an error with the remedy when it does not exist. The usual one is made, as the unit makes it; the name of another may
/// be a slip.
std::filesystem::path existing(const std::filesystem::path& directory, const std::filesystem::path& usual, const char* what) {
  if (directory == usual) static_cast<void>(mkdir(directory.c_str(), usual_mode)); // where that fails, the next line says what is missing
  if (!directory.empty() && !std::filesystem::is_directory(directory))
    throw std::runtime_error(
        fmt::format("the {} {} does not exist: make it with mkdir -p {}, or name another", what, directory.string(), directory.string()));
  return directory;
}

std::filesystem::path directory_of(const std::filesystem::path& file) { return file.parent_path(); }

std::string kernel_release() {
  utsname system{};
  uname(&system);
  return system.release;
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

/// What the metrics and the status page are made of.
StatusSource status_source(const Controller& controller, const Handlers& handlers, const History& history) {
  return {.daemon =
              [&handlers] {
                handlers.count_flows();
                return handlers.daemon_status();
              },
          .names =
              [&controller] {
                std::vector<std::string> names;
                for (const auto& service : controller.registry().services())
                  if (!service->removed) names.push_back(service->config->name);
                return names;
              },
          .service = [&controller, &handlers](const std::string& name) -> std::optional<ServiceStatus> {
            const ServiceState* service = controller.registry().find(name);
            return service == nullptr ? std::nullopt : std::optional{handlers.service_status(*service)};
          },
          .last_events =
              [&history](std::size_t at_most) {
                std::vector<HistoryEntry> events;
                const std::uint64_t end = history.end(), count = std::min<std::uint64_t>(at_most, end - history.begin());
                for (std::uint64_t number = end - count; number < end; ++number) events.push_back(history[number]);
                return events;
              }};
}

/// Failover must begin, whatever became of a hook's program: it is told now, and at each call.
std::vector<std::string> hooks_that_cannot_run(const Config& config) {
  const std::array owners{geteuid()};
  return hook_errors(config, owners);
}

/// A service has the hook of the configuration that is in use at the moment.
std::unique_ptr<Hooks> make_hooks(uv_loop_t* loop, const Config& config, const std::unique_ptr<Controller>& controller,
                                  std::function<void(const Event&)> publish) {
  const auto hook_of = [&controller](const std::string& service) {
    const ServiceState* const found = controller ? controller->registry().find(service) : nullptr;
    return found == nullptr || found->removed ? nullptr : &found->config->hook;
  };
  auto hooks = std::make_unique<Hooks>(loop, hook_of, std::move(publish));
  hooks->configure(config);
  return hooks;
}

/// Servers by their names. Addresses that they get are saved.
std::unique_ptr<NameLink> make_names(uv_loop_t* loop, Controller& controller, StateKeeper& state,
                                     const std::function<void(const Event&)>& publish) {
  auto names =
      std::make_unique<NameLink>(loop, controller, [publish](events::Payload what) { publish(events::make({}, std::move(what))); });
  names->on_change = [&controller, &state] { state.save(controller, Controller::Urgency::soon); };
  return names;
}

/// Whoever looks for what stops clients.
std::unique_ptr<Examinations> make_examinations(uv_loop_t* loop, const std::string& table, Controller& controller,
                                                const std::function<void(events::Payload)>& log,
                                                const std::function<void(const Event&)>& publish) {
  return std::make_unique<Examinations>(
      loop, table, controller,
      [log](const std::string& warning) {
        log(events::Message{Level::warning, warning});
      },
      [publish](const Finding& finding, bool gone) {
        publish(events::make({}, events::SettingChanged{finding, gone}));
      });
}

/// What handlers need of them.
Handlers::LiveAddresses live_addresses(const std::unique_ptr<NameLink>& names, const std::unique_ptr<InterfaceLink>& interfaces) {
  return {.add_to =
              [&](ServiceStatus& status, const ServiceConfig& service) {
                names->add_to(status, service);
                interfaces->add_to(status);
              },
          .look_up = [&](const std::shared_ptr<const Config>& config,
                         LookUps::Done done) { names->look_up(interfaces->fill(config), std::move(done)); },
          .findings = [&](const std::string& service) { return interfaces->findings(service); }};
}

/// The link to the other gateway of a pair, as the configuration has it.
void replace_link(std::unique_ptr<PeerLink>& link, uv_loop_t* loop, const Config& config, Controller& controller, Handlers& handlers,
                  const ProgramMonitor& programs, const std::function<void(const Event&)>& publish) {
  const auto peer = config.pair ? config.pair->peer : std::nullopt;
  if (link && peer && link->config() == *peer) return link->config_changed();
  if (link) link->end_following();
  handlers.set_peer(std::nullopt);
  link.reset();
  if (!peer) return;
  link =
      std::make_unique<PeerLink>(loop, *peer, controller,
                                 PeerLink::Owner{.publish = [publish](events::Payload what) { publish(events::make({}, std::move(what))); },
                                                 .run = [&handlers](const Call& call) { return handlers.operate(call); },
                                                 .programs = [&programs] { return programs.programs(); }});
  handlers.set_peer(
      Handlers::Peer{.status = [&link] { return link->status(); }, .forward = [&link](const Call& call) { return link->forward(call); }});
}

/// Of the other programs of a pair, here.
std::unique_ptr<ProgramMonitor> make_program_monitor(uv_loop_t* loop, const std::unique_ptr<PeerLink>& link, const Controller& controller,
                                                     const std::function<void(const Event&)>& publish) {
  const auto told = std::make_shared<ProgramEvents>("", [publish](events::Payload what) { publish(events::make({}, std::move(what))); });
  return std::make_unique<ProgramMonitor>(
      loop, ProgramMonitor::Owner{.other_speaks = [&link] { return link && link->status().keepalived == to_text(Vrrp::ok); },
                                  .changed =
                                      [&link, &controller, told](const PairPrograms& programs) {
                                        const Role role = controller.role.machine().role();
                                        told->take(programs, role == Role::standby);
                                        if (link) link->gateway_changed(role);
                                      }});
}

/// Where there is no such group only root may change things, and servers fail over all the same.
Operators operators_of(const Config& config, std::optional<gid_t> gid, const std::function<void(events::Payload)>& log) {
  if (config.operators.empty() || gid) return {.name = config.operators, .gid = config.operators.empty() ? std::nullopt : gid};
  log(events::OperatorsUnknown{config.operators});
  return {};
}

void tell_when_proven(JobQueue& proofs, const nat::ProvenFilters& filters, std::function<void(events::Payload)> log) {
  proofs.run([filters] { filters.wait(); },
             [filters, log = std::move(log)] {
               for (const Family family : {Family::ipv4, Family::ipv6}) {
                 const nat::Capabilities& proven = filters.get().of(family);
                 log(events::CutMethod{.family = family, .method = proven.method, .failed_check = proven.why});
               }
             });
}

} // namespace

Daemon::Daemon(uv_loop_t* loop, Paths paths, const StartConfig& start, const nat::ProvenFilters& filters)
    : loop_(loop), paths_(std::move(paths)), lock_(own(existing(paths_.state, Paths{}.state, "state directory"))),
      state_(loop, paths_.state, [this](events::Payload what) { log(std::move(what)); }),
      notify_(loop,
              [this] {
                return (config_.fallback || config_.reverted ? "an older configuration is in force, see hanatctl status; "
                        : config_.refused                    ? "the last reload was refused, see hanatctl status; "
                        : config_.unconfirmed                ? "the configuration waits for hanatctl confirm; "
                                                             : "") +
                       summary(controller_->registry().services());
              }),
      store_(loop, paths_.state, paths_.config, start.config), trim_timer_(make_timer(loop, this)), proofs_(loop) {
  const Config& config = *start.config->config;
  for (const Event& warning : events::pair_warnings(config)) journal_.write(warning);
  hooks_ = make_hooks(loop_, config, controller_, [this](const Event& event) { publish(event); });
  for (const std::string& warning : hooks_that_cannot_run(config)) log(events::Message{Level::warning, warning});
  // Everything that can refuse the start comes before the first change of the kernel: a start that fails changes nothing.
  existing(directory_of(paths_.socket), directory_of(Paths{}.socket), "socket's directory");
  control_ = std::make_unique<ControlServer>(
      loop_, paths_.socket,
      operators_of(config, find_group_at_start(config.operators), [this](events::Payload what) { log(std::move(what)); }),
      [this](const Call& call) { return (*handlers_)(call); });
  nat::Cutter cutter{filters};
  nat::NftTable kernel{paths_.table, paths_.shared_table ? nat::Ownership::shared : nat::Ownership::exclusive};
  history_ = std::make_unique<History>(loop_, paths_.state, [this](const Event& event) { log(event.what); });
  controller_ = std::make_unique<Controller>(
      loop_, std::move(kernel), nat::HeartbeatSocket{paths_.table}, std::move(cutter), make_client_notifier(),
      Controller::Publish{.event = [this](Event event) { publish(std::move(event)); },
                          .send_now =
                              [this] {
                                if (control_) control_->send_waiting();
                              },
                          .state_changed = [this](Controller::Urgency urgency) { state_.save(*controller_, urgency); },
                          .health_changed =
                              [this](std::set<std::string> services) {
                                if (link_) link_->services_changed(services);
                                state_.health_changed(std::move(services));
                              },
                          .server_reached = [this](bool reached) { state_.server_reached(reached); }});
  sources_.names = make_names(loop_, *controller_, state_, [this](const Event& event) { publish(event); });
  sources_.interfaces =
      std::make_unique<InterfaceLink>(loop_, *controller_, *sources_.names, [this](const Event& event) { publish(event); });
  state_.start(*controller_, *sources_.names, sources_.interfaces->follow(start.config->config), history_->ring());
  log(events::Started{.kernel_release = kernel_release(), .table = paths_.table, .owns_table = controller_->table().is_owned()});
  tell_when_proven(proofs_, filters, [this](events::Payload what) { log(std::move(what)); });
  config_ = {.file = start.file, .fallback = start.fallback, .loaded_at = wall_now()};
  reloads_ = std::make_unique<ReloadRequests>(loop_, paths_.config, config.operators, config_, reload_steps());
  handlers_ = std::make_unique<Handlers>(loop_, *controller_, *history_, paths_.config, config_, *reloads_);
  examinations_ = make_examinations(
      loop_, paths_.table, *controller_, [this](events::Payload what) { log(std::move(what)); },
      [this](const Event& event) { publish(event); });
  examinations_->configure(config.path_check);
  handlers_->set_examinations(examinations_.get());
  programs_ = make_program_monitor(loop_, link_, *controller_, [this](const Event& event) { publish(event); });
  programs_->enable(config.pair.has_value());
  handlers_->set_programs(programs_.get());
  handlers_->set_flow_counter(std::make_unique<FlowCounter>(loop_, paths_.table));
  handlers_->set_live_addresses(live_addresses(sources_.names, sources_.interfaces));
  handlers_->set_hooks([this] { return hooks_ ? hooks_->status() : std::nullopt; });
  if (start.fallback)
    log(events::Message{Level::error, *start.fallback});
  else
    store_.keep(start.config, [this](const std::string& failure) {
      if (!failure.empty()) log(events::ConfigNotCopied{failure});
    });
  config_watch_ = std::make_unique<ConfigWatch>(loop_, paths_.config, [this](bool differs) { config_.stale = differs; });
  config_watch_->set_in_use(start.config->content);
  serve_metrics(config.metrics);
  replace_link(link_, loop_, config, *controller_, *handlers_, *programs_, [this](const Event& event) { publish(event); });
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) watch_signal(number);
}

/// Of events that are not in the history, and of which nobody but the journal and the hook is told.
void Daemon::log(events::Payload what) const {
  const Event event = events::make({}, std::move(what));
  const std::string text = text_of(event);
  journal_.write(event, text);
  if (hooks_) hooks_->add(event, text);
}

void Daemon::watch_signal(int number) {
  auto handle = std::make_unique<uv_signal_t>();
  check_uv(uv_signal_init(loop_, handle.get()), "watch signals");
  handle->data = this;
  uv_signal_start(
      handle.get(), [](uv_signal_t* signal, int raised) { static_cast<Daemon*>(signal->data)->on_signal(raised); }, number);
  signals_.emplace_back(handle.release());
}

void Daemon::publish(Event event) {
  const bool is_role = std::holds_alternative<events::RoleChanged>(event.what);
  std::string text = text_of(event);
  if (history_) history_->add(event, text);
  if (hooks_) hooks_->add(event, text);
  journal_.write(std::move(event), std::move(text));
  notify_.changed();
  if (!is_role) return;
  if (examinations_) examinations_->follow_role();
  if (link_) link_->gateway_changed(controller_->role.machine().role());
}

/// Reading ten thousand services and loading their first targets takes half as much memory again as running them.
void Daemon::trim_memory() {
  constexpr std::uint64_t later_ms = 10'000;
  uv_timer_start(
      trim_timer_.get(), [](uv_timer_t*) { malloc_trim(0); }, later_ms, 0);
}

void Daemon::run() {
  trim_memory();
  sigset_t reload{}; // main() holds it back until it can be taken
  sigemptyset(&reload);
  sigaddset(&reload, SIGHUP);
  pthread_sigmask(SIG_UNBLOCK, &reload, nullptr);
  notify_.ready();
  uv_run(loop_, UV_RUN_DEFAULT);
}

void Daemon::on_signal(int number) {
  if (number != SIGHUP) {
    stop();
    return;
  }
  reloads_->add({.by = "SIGHUP"});
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
  store_.stop();
  control_.reset();
  metrics_.server.reset();
  link_.reset();
  config_watch_.reset();
  handlers_->stop();
  sources_.interfaces.reset();
  sources_.names.reset(); // its addresses are saved
  reloads_.reset();
  handlers_->set_examinations(nullptr);
  handlers_->set_programs(nullptr);
  programs_.reset();
  examinations_.reset();
  hooks_.reset();
  history_.reset(); // replies on the control socket read it
  trim_timer_.reset();
  signals_.clear(); // the loop ends when the last handle is closed
}

ReloadSteps Daemon::reload_steps() {
  return {.read = [this](const auto& done) { store_.read(done); },
          .begin_trial = [this](const ConfigPtr& next, const auto& done) { store_.begin_trial(next, done); },
          .apply = [this](const ConfigPtr& next, const std::string& by, const auto& done) { apply(next, by, done); },
          .keep = [this](const ConfigPtr& kept, const auto& done) { store_.keep(kept, done); },
          .publish = [this](const Event& event) { publish(event); },
          .reloading = [this](bool begins) { begins ? notify_.reloading() : notify_.reloaded(); }};
}

void Daemon::apply(const ConfigPtr& next, const std::string& by, const std::function<void(const Reloaded&)>& done) {
  control_->set_operators(operators_of(*next->config, next->operators, [this](events::Payload what) { log(std::move(what)); }));
  const auto ended = [this, next, done](const Reloaded& reloaded) {
    config_watch_->set_in_use(next->content);
    for (const Event& warning : events::pair_warnings(*next->config)) publish(warning);
    hooks_->configure(*next->config);
    state_.follow(*next->config);
    examinations_->configure(next->config->path_check);
    programs_->enable(next->config->pair.has_value());
    serve_metrics(next->config->metrics);
    replace_link(link_, loop_, *next->config, *controller_, *handlers_, *programs_, [this](const Event& event) { publish(event); });
    trim_memory();
    done(reloaded);
  };
  controller_->reload({.next = sources_.names->follow(sources_.interfaces->follow(next->config)), .by = by, .done = ended});
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
  if (at == metrics_.at && (metrics_.server || !at)) return;
  metrics_.server.reset();
  metrics_.at = at;
  if (!at) return;
  metrics_.server = std::make_unique<MetricsServer>(loop_, *at, status_source(*controller_, *handlers_, *history_));
} catch (const std::system_error& error) {
  log(events::MetricsNotServed{error.what()});
}

} // namespace hanat
