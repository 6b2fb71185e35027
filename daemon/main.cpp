// hanatd: arguments, configuration, build, run. Not here: what is built (daemon).
#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <malloc.h>
#include <unistd.h>
#include <uv.h>

#include "daemon/arguments.hpp"
#include "daemon/config/config.hpp"
#include "daemon/config/last_good_config.hpp"
#include "daemon/config/read_config.hpp"
#include "daemon/config/read_hook.hpp"
#include "daemon/daemon.hpp"
#include "daemon/doctor/client_link.hpp"
#include "daemon/util/arguments.hpp"
#include "daemon/util/escape.hpp"
#include "daemon/util/loop_priority.hpp"
#include "daemon/util/version.hpp"
#include "nat/conntrack/capabilities.hpp"
#include "nat/kernel_modules.hpp"
#include "nat/nftables/table.hpp"
#include "probes/kinds/exec_orphans.hpp"

namespace hanat {
namespace {

constexpr int usage_or_configuration = 2; // exit status

/// The remedy for a start that the kernel refused; empty: none is known.
std::string remedy(const std::error_code& error) {
  if (error == std::errc::operation_not_permitted) return "; hanatd needs CAP_NET_ADMIN: run it as root or by its unit";
  // The errors that a kernel without a netlink family or a rule's expression gives.
  const bool unknown = error == std::errc::no_such_file_or_directory || error == std::errc::operation_not_supported ||
                       error == std::errc::invalid_argument || error == std::errc::protocol_not_supported;
  const std::vector<std::string> names = unknown ? nat::modules_not_loaded() : std::vector<std::string>{};
  if (names.empty()) return {};
  return fmt::format(
      "; kernel modules that hanatd needs are not loaded, and the kernel could not load them itself: load them with modprobe -a {}",
      fmt::join(names, " "));
}

/// The event loop. Its destructor runs the close callbacks that are left.
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

/// Established connections continue: conntrack translates them without the table.
int remove_table(const std::string& name) {
  nat::NftTable kernel{name};
  if (kernel.read()) kernel.remove(); // throws when the table belongs to another program or to a running hanatd
  remove_old_client_links(name);      // of one that was killed while its own client was on its way
  return 0;
}

/// The copy of the configuration that was accepted last. nullptr: there is none that can be used.
ConfigPtr load_last_good(const Arguments& arguments) {
  auto read = std::make_shared<const ReadConfig>(read_config_at_start(last_good_config(arguments.paths.state, arguments.paths.config)));
  return read->config ? read : nullptr;
}

/// Of a file that was loaded by reload --confirm, and that nobody confirmed: the configuration before it. nullopt: the file is not such
/// one.
std::optional<StartConfig> config_before_trial(const Arguments& arguments, const ReadConfig& named) {
  if (unconfirmed_content(arguments.paths.state) != std::optional{named.content}) return std::nullopt;
  ConfigPtr before = load_last_good(arguments);
  if (!before || before->content == named.content) return std::nullopt; // it was confirmed before the note was removed
  std::string file = before->files.main.string();
  return StartConfig{.config = std::move(before),
                     .file = std::move(file),
                     .fallback = fmt::format("{} was loaded by reload --confirm and was not confirmed: the configuration that was in force "
                                             "before it is in force; correct the file, or take it as it is: hanatctl reload",
                                             arguments.paths.config)};
}

/// The named file, unless it is on trial or, with --fallback, has errors: then the last accepted one. Prints every error. nullopt: neither
/// is usable.
std::optional<StartConfig> config_for(const Arguments& arguments) {
  auto named = std::make_shared<const ReadConfig>(read_config_at_start(arguments.paths.config));
  if (named->config) {
    if (auto before = arguments.action == Action::check ? std::nullopt : config_before_trial(arguments, *named)) return before;
    return StartConfig{.config = std::move(named), .file = arguments.paths.config};
  }
  const auto& errors = named->errors;
  for (const ConfigError& error : errors) fmt::print(stderr, "{}\n", escaped(to_text(error)));
  if (!arguments.fallback || arguments.action == Action::check) return std::nullopt;
  ConfigPtr last_good = load_last_good(arguments);
  if (!last_good) {
    fmt::print(stderr, "{} has no configuration that was accepted before: hanatd does nothing until these errors are corrected\n",
               escaped(last_good_config(arguments.paths.state, arguments.paths.config).parent_path().string()));
    return std::nullopt;
  }
  std::string file = last_good->files.main.string();
  return StartConfig{
      .config = std::move(last_good),
      .file = std::move(file),
      .fallback = fmt::format(
          "{} has {} error{}: the configuration that was accepted last is in force; correct it (hanatctl check), then hanatctl reload",
          errors.front().file, errors.size(), errors.size() == 1 ? "" : "s")};
}

int check(const Arguments& arguments) {
  const std::optional<StartConfig> start = config_for(arguments);
  if (!start) return usage_or_configuration;
  const std::array owners{geteuid()};
  const std::vector<std::string> errors = hook_errors(*start->config->config, owners);
  for (const std::string& error : errors) fmt::print(stderr, "{}: {}\n", escaped(arguments.paths.config), error);
  if (!errors.empty()) return usage_or_configuration;
  const auto services = start->config->config->services.size();
  fmt::print("{}: {} service{}, ok\n", arguments.paths.config, services, services == 1 ? "" : "s");
  return 0;
}

int run_daemon(const Arguments& arguments) {
  Loop loop;
  // Takes as long as ten thousand services to read, and nothing waits for it: until then a cut goes through all of conntrack.
  const nat::ProvenFilters filters = nat::prove_filters();
  std::optional<StartConfig> start = config_for(arguments);
  if (!start) {
    // The unit restarts hanatd until the files are corrected; the pause keeps that from filling the journal.
    if (arguments.fallback) std::this_thread::sleep_for(std::chrono::seconds{4});
    return usage_or_configuration;
  }
  probes::adopt_orphans(); // hanatd has no other children
  Daemon daemon{loop.get(), arguments.paths, *start, filters};
  start.reset(); // the daemon has copied what it needs
  prefer_this_thread();
  daemon.run();
  return 0;
}

/// A SIGHUP that comes before the daemon can take it waits; without that it would end the process.
void hold_reloads() {
  sigset_t reload{};
  sigemptyset(&reload);
  sigaddset(&reload, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &reload, nullptr);
}

int run(const Arguments& arguments) {
  switch (arguments.action) {
  case Action::run: return run_daemon(arguments);
  case Action::check: return check(arguments);
  case Action::remove: return remove_table(arguments.paths.table);
  case Action::version: fmt::print("{}\n", version()); return 0;
  case Action::help: fmt::print("{}", help_text()); return 0;
  }
  return usage_or_configuration;
}

} // namespace
} // namespace hanat

int main(int argc, char** argv) {
  while (true) { // started without stdin, stdout or stderr: no socket may get their numbers
    const int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd > STDERR_FILENO) close(fd);
    if (fd < 0 || fd > STDERR_FILENO) break;
  }
  hanat::hold_reloads();
  mallopt(M_ARENA_MAX, 1);       // malloc_trim() returns only the main arena's memory completely, and the threads allocate little
  std::signal(SIGPIPE, SIG_IGN); // a client that hangs up ends its own connection only
  const std::vector<std::string_view> arguments(argv + std::min(argc, 1), argv + argc);
  try {
    return hanat::run(hanat::parse_arguments(arguments));
  } catch (const hanat::UsageError& error) {
    std::fprintf(stderr, "hanatd: %s\nhanatd --help shows all options\n", hanat::escaped(error.what()).c_str());
    return hanat::usage_or_configuration;
  } catch (const std::system_error& error) {
    std::fprintf(stderr, "hanatd: %s%s\n", hanat::escaped(error.what()).c_str(), hanat::remedy(error.code()).c_str());
    return 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "hanatd: %s\n", hanat::escaped(error.what()).c_str());
    return 1;
  }
}
