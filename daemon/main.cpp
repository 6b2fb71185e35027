// hanatd: arguments, configuration, build, run. Not here: what is built (daemon).
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include <CLI/CLI.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <malloc.h>
#include <unistd.h>
#include <uv.h>

#include "daemon/accepted_config.hpp"
#include "daemon/config.hpp"
#include "daemon/daemon.hpp"
#include "nat/kernel.hpp"
#include "nat/modules.hpp"

namespace hanat {
namespace {

struct Arguments {
  Places places;
  bool check = false;
  bool remove = false;
  bool fallback = false;
};

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
  app.add_option("--config", arguments.places.config, "configuration file")->capture_default_str();
  app.add_option("--socket", arguments.places.socket, "control socket")->capture_default_str();
  app.add_option("--state", arguments.places.state, "directory for overrides and history")->capture_default_str();
  app.add_option("--table", arguments.places.table, "name of the nftables table, for tests")->capture_default_str();
  app.add_flag("--shared-table", arguments.places.shared_table,
               "let others change the table, as on kernels that cannot prevent it, for tests");
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
  ConfigResult named = load_config(arguments.places.config);
  if (auto* config = std::get_if<Config>(&named)) return StartConfig{std::move(*config), arguments.places.config, std::nullopt};
  const auto& errors = std::get<std::vector<ConfigError>>(named);
  for (const ConfigError& error : errors) fmt::print(stderr, "{}\n", to_text(error));
  if (!arguments.fallback || arguments.check) return std::nullopt;
  const std::filesystem::path file = accepted_config(arguments.places.state, arguments.places.config);
  ConfigResult kept = load_config(file);
  auto* const config = std::get_if<Config>(&kept);
  if (config == nullptr) {
    fmt::print(stderr, "{} has no configuration that was accepted before: hanatd does nothing until these errors are corrected\n",
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
  if (arguments.remove) return remove_table(arguments.places.table);
  std::optional<StartConfig> start = config_for(arguments);
  if (!start) {
    // The unit starts it again and again, so that corrected files are taken; not so often that the journal holds nothing else.
    if (arguments.fallback && !arguments.check) std::this_thread::sleep_for(std::chrono::seconds{4});
    return 2;
  }
  if (arguments.check) {
    fmt::print("{}: {} services, ok\n", arguments.places.config, start->config.services.size());
    return 0;
  }
  Loop loop;
  Daemon daemon{loop.get(), arguments.places, *start};
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
  mallopt(M_ARENA_MAX, 1); // malloc_trim() gives back only this one's memory wholly, and threads here allocate little but a configuration
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
