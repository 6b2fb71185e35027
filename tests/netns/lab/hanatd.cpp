// The program is started through the Lab; everything that it writes lies in one temporary directory, removed at the end.
#include "tests/netns/lab/hanatd.hpp"

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "daemon/api/client.hpp"
#include "daemon/api/status_call.hpp"
#include "daemon/util/wall_time.hpp"

// The build names the programs that it made; without them (a tree that has no daemon) they are looked up in PATH.
#ifndef HANATD
#define HANATD "hanatd"
#endif
#ifndef HANATCTL
#define HANATCTL "hanatctl"
#endif

namespace hanat::test {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;
constexpr milliseconds pause_between_looks{3};

/// Of a log, as much as somebody reads.
std::string end_of(const std::string& log) {
  constexpr std::size_t most = 20'000;
  return log.size() <= most ? log : "...\n" + log.substr(log.size() - most);
}

std::filesystem::path make_directory() {
  std::string pattern = (std::filesystem::temp_directory_path() / "hanat-test-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw std::system_error(errno, std::generic_category(), "mkdtemp " + pattern);
  return pattern;
}

std::string program(const char* name, const char* built) {
  const char* const folder = std::getenv("HANAT_PROGRAMS"); // NOLINT(concurrency-mt-unsafe): nobody changes the environment
  return folder != nullptr ? (std::filesystem::absolute(folder) / name).string() : built;
}

} // namespace

std::string hanatd_program() { return program("hanatd", HANATD); }
std::string hanatctl_program() { return program("hanatctl", HANATCTL); }

Hanatd::Hanatd(Lab& lab, const std::string& config, HanatdOptions options)
    : lab_(lab), options_(std::move(options)), directory_(make_directory()) {
  std::filesystem::create_directory(state());
  write_config(config);
  if (!options_.start) return;
  try {
    start();
  } catch (...) {
    std::filesystem::remove_all(directory_);
    throw;
  }
}

Hanatd::~Hanatd() {
  process_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void Hanatd::launch() {
  std::vector<std::string> argv = options_.before;
  argv.insert(argv.end(), {hanatd_program(), "--config", config().string(), "--socket", socket(), "--state", state().string()});
  argv.insert(argv.end(), options_.arguments.begin(), options_.arguments.end());
  const std::string path = (directory_ / "log").string();
  const Fd log{checked(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600), path)};
  process_.emplace(lab_.spawn(options_.host, argv, log.get(), log.get()));
}

void Hanatd::start() {
  launch();
  wait_ready();
}

void Hanatd::wait_ready() {
  const auto end = Clock::now() + options_.ready;
  while (true) {
    try {
      call(socket(), "Version");
      return;
    } catch (const NoDaemon& error) {
      if (const auto exit = process_->wait(pause_between_looks))
        throw std::runtime_error(fmt::format("hanatd ended with {} before it answered:\n{}", *exit, end_of(log())));
      if (Clock::now() > end) throw std::runtime_error(fmt::format("hanatd does not answer: {}\n{}", error.what(), end_of(log())));
    }
  }
}

int Hanatd::stop(milliseconds deadline) {
  signal(SIGTERM);
  const auto exit = wait_exit(deadline);
  if (!exit) throw std::runtime_error("hanatd does not end after SIGTERM:\n" + end_of(log()));
  return *exit;
}

std::optional<int> Hanatd::wait_exit(milliseconds deadline) {
  if (!process_) throw std::logic_error("hanatd was never started");
  return process_->wait(deadline);
}

void Hanatd::kill9() {
  if (process_) process_->kill();
}

void Hanatd::signal(int number) const {
  if (process_) process_->signal(number);
}

void Hanatd::restart() {
  if (running()) stop();
  start();
}

Status Hanatd::status() const { return call_status(socket(), nlohmann::json::object()); }

Status Hanatd::wait_for(const std::function<bool(const Status&)>& wanted, milliseconds deadline) const {
  const auto end = Clock::now() + deadline;
  while (true) {
    Status seen = status();
    if (wanted(seen)) return seen;
    if (Clock::now() > end)
      throw std::runtime_error(
          fmt::format("not so within {} ms; last status:\n{}\nlog:\n{}", deadline.count(), nlohmann::json(seen).dump(2), log()));
    std::this_thread::sleep_for(pause_between_looks);
  }
}

Status Hanatd::wait_target(const std::string& name, const std::string& role, milliseconds deadline) const {
  return wait_for([&](const Status& seen) { return service(seen, name).target == role && seen.daemon.kernel == "in-step"; }, deadline);
}

Output Hanatd::ctl(const std::vector<std::string>& arguments, milliseconds deadline) const {
  std::vector<std::string> argv = {hanatctl_program(), "--socket", socket()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return lab_.run(options_.host, argv, {}, deadline);
}

void Hanatd::write_config(const std::string& text) const {
  std::ofstream file(config());
  if (!(file << text << std::flush)) throw std::runtime_error("cannot write " + config().string());
}

Output Hanatd::reload(const std::string& text) const {
  write_config(text);
  return ctl({"reload"});
}

std::string Hanatd::log() const {
  constexpr milliseconds quiet{40}, longest{1000};
  const auto file = directory_ / "log";
  std::error_code missing;
  const auto deadline = Clock::now() + longest;
  auto size = std::filesystem::file_size(file, missing);
  for (auto seen = size + 1; size != seen && Clock::now() < deadline; size = std::filesystem::file_size(file, missing)) {
    seen = size;
    std::this_thread::sleep_for(quiet);
  }
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

const ServiceStatus& service(const Status& status, std::string_view name) {
  for (const ServiceStatus& one : status.services)
    if (one.name == name) return one;
  throw std::out_of_range(fmt::format("the status has no service {}", name));
}

const ServerStatus& server(const ServiceStatus& service, std::string_view role) {
  for (const ServerStatus& one : service.servers)
    if (one.role == role) return one;
  throw std::out_of_range(fmt::format("service {} has no {}", service.name, role));
}

void wait_filters_proven(const Hanatd& hanatd) {
  for (const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{10};
       hanatd.log().find("IPv6 flows are cut by") == std::string::npos;)
    if (std::chrono::steady_clock::now() > end) throw std::runtime_error("hanatd does not say how it cuts flows:\n" + hanatd.log());
}
void wait_both_up(const Hanatd& hanatd) {
  hanatd.wait_for(
      [](const Status& now) {
        const ServiceStatus& web = service(now, "web");
        return web.target == "primary" && server(web, "primary").health == "up" && server(web, "backup").health == "up";
      },
      std::chrono::seconds{20});
}

std::chrono::steady_clock::time_point moment_of(const std::string& text) {
  using Steady = std::chrono::steady_clock;
  const auto offset = std::chrono::system_clock::now().time_since_epoch() - Steady::now().time_since_epoch();
  const auto since = parse_wall_time(text).value().time_since_epoch() - offset;
  return Steady::time_point{std::chrono::duration_cast<Steady::duration>(since)};
}

} // namespace hanat::test
