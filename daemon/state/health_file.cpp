// Lines are written by hand, since thousands may change at once, and read as JSON without trust.
#include "daemon/state/health_file.hpp"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <functional>
#include <iterator>
#include <set>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <variant>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/config/parse_values.hpp"
#include "daemon/state/read_state.hpp"
#include "daemon/util/durable_write.hpp"

namespace hanat {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr int health_version = 1;
constexpr mode_t health_mode = 0640;
constexpr std::size_t line_at_most = std::size_t{256} << 10; // bytes; hanatd's own have some hundred for each server
constexpr std::size_t rewrite_from = std::size_t{256} << 10; // bytes: a smaller file may be mostly outdated lines
constexpr std::string_view line_begin = R"({"service":")";
constexpr std::string_view gone_end = R"(","gone":true})"; // no other line ends so
constexpr std::uint64_t file_at_most = std::uint64_t{256}
                                       << 20; // bytes; 65,000 services need a sixth, and as much again for outdated lines
constexpr unsigned longest_run = 1U << 30U;
constexpr unsigned highest_flap_level = 64; // more than the longest penalty has of the shortest wait

[[noreturn]] void fail_at(const std::filesystem::path& file, const char* what) {
  throw std::system_error(errno, std::generic_category(), fmt::format("{} {}", what, file.string()));
}

std::int64_t number_of(Time time) { return std::chrono::floor<milliseconds>(time.time_since_epoch()).count(); }

std::string quoted(const std::string& text) { return json(text).dump(-1, ' ', false, json::error_handler_t::replace); }

// ---- writing

void write_times(fmt::memory_buffer& into, const char* key, const std::vector<Time>& times) {
  if (times.empty()) return;
  fmt::format_to(std::back_inserter(into), ",\"{}\":[", key);
  for (std::size_t index = 0; index < times.size(); ++index)
    fmt::format_to(std::back_inserter(into), "{}{}", index == 0 ? "" : ",", number_of(times[index]));
  into.push_back(']');
}

void write_run(fmt::memory_buffer& into, const char* key, const SavedRun& run) {
  if (run.length > 0) fmt::format_to(std::back_inserter(into), ",\"{}\":[{},{}]", key, run.length, number_of(run.began));
}

void write_probe(fmt::memory_buffer& into, const SavedProbe& probe) {
  const auto out = std::back_inserter(into);
  fmt::format_to(out, R"({{"id":"{:016x}","health":"{}")", probe.identity, probe.health);
  write_times(into, "fails", probe.fails);
  if (probe.fails_or_full != probe.fails) write_times(into, "fails_or_full", probe.fails_or_full);
  write_run(into, "passes", probe.passes);
  if (probe.alive != probe.passes) write_run(into, "alive", probe.alive);
  if (probe.last)
    fmt::format_to(out, R"(,"last":["{}","{}",{},{},{}])", probe.last->outcome, probe.last->reason,
                   std::chrono::duration_cast<std::chrono::microseconds>(probe.last->latency).count(), number_of(probe.last->at),
                   quoted(probe.last->detail));
  if (!probe.last_failure.empty()) fmt::format_to(out, R"(,"failed":"{}")", probe.last_failure);
  into.push_back('}');
}

void write_server(fmt::memory_buffer& into, const SavedServer& server) {
  const auto out = std::back_inserter(into);
  fmt::format_to(out, R"({{"at":[)");
  for (std::size_t index = 0; index < server.addresses.size(); ++index)
    fmt::format_to(out, R"({}"{}")", index == 0 ? "" : ",", to_text(server.addresses[index]));
  into.push_back(']');
  if (server.up_since) fmt::format_to(out, R"(,"up":{})", number_of(*server.up_since));
  if (server.planned) fmt::format_to(out, R"(,"planned":true)");
  if (server.lost_at) fmt::format_to(out, R"(,"level":{},"lost":{})", server.flap_level, number_of(*server.lost_at));
  if (server.gained_at) fmt::format_to(out, R"(,"gained":{})", number_of(*server.gained_at));
  fmt::format_to(out, R"(,"probes":[)");
  for (std::size_t index = 0; index < server.probes.size(); ++index) {
    if (index > 0) into.push_back(',');
    write_probe(into, server.probes[index]);
  }
  fmt::format_to(out, "]}}");
}

// ---- reading; every function throws json::exception or returns nothing for what hanatd does not write

template <typename Value> std::optional<Value> optional_in(const json& from, const char* key) {
  const auto found = from.find(key);
  return found == from.end() ? std::nullopt : std::optional{found->get<Value>()};
}

std::int64_t integer_of(const json& value, std::int64_t most) {
  if (!value.is_number_integer()) throw std::invalid_argument("not a number");
  const auto number = value.get<std::int64_t>();
  if (number < 0 || number > most) throw std::out_of_range("number");
  return number;
}

Time time_of(const json& value) {
  constexpr milliseconds century = std::chrono::hours{24 * 36'525}; // more is no time of this machine, and would overflow
  if (!value.is_number_integer()) throw std::invalid_argument("not a number");
  const milliseconds time{value.get<std::int64_t>()}; // negative: before the machine was started
  if (time < -century || time > century) throw std::out_of_range("time");
  return Time{time};
}

std::optional<Time> time_in(const json& from, const char* key) {
  const auto found = from.find(key);
  return found == from.end() ? std::nullopt : std::optional{time_of(*found)};
}

std::vector<Time> times_in(const json& from, const char* key) {
  std::vector<Time> times;
  if (const auto list = from.find(key); list != from.end())
    for (const json& time : *list) times.push_back(time_of(time));
  std::ranges::sort(times);
  return times;
}

SavedRun run_in(const json& from, const char* key) {
  const auto pair = from.find(key);
  if (pair == from.end()) return {};
  return {.length = static_cast<unsigned>(integer_of(pair->at(0), longest_run)), .began = time_of(pair->at(1))};
}

std::optional<SavedResult> result_in(const json& from) {
  const auto last = from.find("last");
  if (last == from.end()) return std::nullopt;
  return SavedResult{.outcome = last->at(0).get<std::string>(),
                     .reason = last->at(1).get<std::string>(),
                     .detail = last->at(4).get<std::string>(),
                     .latency = std::chrono::microseconds{integer_of(last->at(2), longest_run)},
                     .at = time_of(last->at(3))};
}

SavedProbe probe_in(const json& from) {
  SavedProbe probe;
  probe.identity = std::stoull(from.at("id").get<std::string>(), nullptr, 16);
  probe.health = from.at("health").get<std::string>();
  probe.fails = times_in(from, "fails");
  probe.fails_or_full = from.contains("fails_or_full") ? times_in(from, "fails_or_full") : probe.fails;
  probe.passes = run_in(from, "passes");
  probe.alive = from.contains("alive") ? run_in(from, "alive") : probe.passes;
  probe.last = result_in(from);
  probe.last_failure = optional_in<std::string>(from, "failed").value_or("");
  return probe;
}

Endpoint endpoint_in(const std::string& text) {
  const auto parsed = config::parse_server(text);
  const auto* server = std::get_if<config::ServerPorts>(&parsed);
  if (server == nullptr || server->last != 0) throw std::invalid_argument(text);
  return server->endpoint;
}

SavedServer server_in(const json& from) {
  SavedServer server;
  for (const json& address : from.at("at")) server.addresses.push_back(endpoint_in(address.get<std::string>()));
  server.up_since = time_in(from, "up");
  server.planned = optional_in<bool>(from, "planned").value_or(false);
  server.lost_at = time_in(from, "lost");
  server.gained_at = time_in(from, "gained");
  if (server.lost_at) server.flap_level = static_cast<unsigned>(integer_of(from.at("level"), highest_flap_level));
  for (const json& probe : from.at("probes")) server.probes.push_back(probe_in(probe));
  return server;
}

SavedService service_in(const json& from) {
  SavedService service;
  service.service = from.at("service").get<std::string>();
  service.target = from.at("target").get<std::string>();
  const auto since = parse_wall_time(from.at("since").get<std::string>());
  if (service.service.empty() || !since) throw std::invalid_argument("since");
  service.since = *since;
  service.why = from.at("why").get<std::string>();
  service.shadow_target = optional_in<std::string>(from, "shadow").value_or("");
  service.in_outage = optional_in<bool>(from, "in_outage").value_or(false);
  for (const json& server : from.at("servers")) service.servers.push_back(server_in(server));
  return service;
}

/// Of a line that hanatd has written.
std::string_view service_of(std::string_view line) {
  if (!line.starts_with(line_begin)) return {};
  line.remove_prefix(line_begin.size());
  return line.substr(0, line.find('"'));
}

/// What the lines say, from the last one on: the last that can be read of a service counts.
class LinesFromTheEnd {
public:
  explicit LinesFromTheEnd(std::map<std::string, SavedService>& services) : services_(services) {}

  /// False: the line is damaged. Most lines are outdated, and are not even looked at.
  bool add(std::string_view line) {
    if (const auto name = service_of(line); !name.empty() && known_.contains(name)) return true;
    if (line.size() > line_at_most) return false;
    try {
      const json value = json::parse(line);
      if (value.contains("gone")) return known_.insert(value.at("service").get<std::string>()), true;
      SavedService service = service_in(value);
      if (known_.insert(service.service).second) services_.emplace(service.service, std::move(service));
      return true;
    } catch (const std::exception&) { // whatever it holds: the service is probed as one that is new
      return false;
    }
  }

private:
  std::map<std::string, SavedService>& services_;
  std::set<std::string, std::less<>> known_;
};

/// nullopt: no line of a version that is known.
std::optional<HealthStamp> stamp_in(std::string_view line) {
  try {
    const json value = json::parse(line.substr(0, line_at_most));
    if (value.at("version").get<int>() != health_version) return std::nullopt;
    const auto wall = parse_wall_time(value.at("at").get<std::string>());
    const Time steady = time_of(value.at("steady_ms"));
    if (!wall) return std::nullopt;
    return HealthStamp{.boot = value.at("boot").get<std::string>(), .wall = *wall, .steady = steady};
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

/// Always of the same length, so that it can be replaced where it stands.
std::string first_line(const std::string& boot, WallTime wall, Time steady) {
  return fmt::format(R"({{"version":{},"boot":{},"at":"{}","steady_ms":{:15}}})", health_version, quoted(boot), to_text(wall),
                     number_of(steady)) +
         "\n";
}

template <typename Use> void for_each_line(std::string_view text, const Use& use) {
  for (std::size_t end = 0; (end = text.find('\n')) != std::string_view::npos; text.remove_prefix(end + 1)) use(text.substr(0, end));
}

Fd open_new(const std::filesystem::path& file) {
  // A leftover of an interrupted write. Removed, not truncated: it may be a link.
  if (unlink(file.c_str()) != 0 && errno != ENOENT) fail_at(file, "remove");
  Fd fd{open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, health_mode)};
  if (!fd) fail_at(file, "create");
  return fd;
}

std::string text_of_file(int fd, std::size_t bytes) {
  std::string text(bytes, '\0');
  std::size_t got = 0;
  while (got < bytes) {
    const ssize_t more = pread(fd, text.data() + got, bytes - got, static_cast<off_t>(got));
    if (more <= 0) break;
    got += static_cast<std::size_t>(more);
  }
  text.resize(got);
  return text;
}

} // namespace

std::string boot_id() {
  std::ifstream file{"/proc/sys/kernel/random/boot_id"};
  std::string id;
  file >> id;
  return id;
}

std::string line_of(const SavedService& service) {
  fmt::memory_buffer line;
  const auto out = std::back_inserter(line);
  fmt::format_to(out, R"({}{}","target":"{}","since":"{}","why":"{}")", line_begin, service.service, service.target, to_text(service.since),
                 service.why);
  if (!service.shadow_target.empty()) fmt::format_to(out, R"(,"shadow":"{}")", service.shadow_target);
  if (service.in_outage) fmt::format_to(out, R"(,"in_outage":true)");
  fmt::format_to(out, R"(,"servers":[)");
  for (std::size_t index = 0; index < service.servers.size(); ++index) {
    if (index > 0) line.push_back(',');
    write_server(line, service.servers[index]);
  }
  fmt::format_to(out, "]}}\n");
  return fmt::to_string(line);
}

std::string gone_line(std::string_view service) { return fmt::format("{}{}{}\n", line_begin, service, gone_end); }

SavedHealth parse_health(std::string_view text) {
  SavedHealth health;
  const std::size_t first = text.find('\n');
  if (first == std::string_view::npos) return health;
  const auto stamp = stamp_in(text.substr(0, first));
  if (!stamp) return health;
  health.stamp = *stamp;
  std::vector<std::string_view> all;
  for_each_line(text.substr(first + 1), [&](std::string_view line) { all.push_back(line); });
  LinesFromTheEnd lines{health.services};
  const auto damaged = std::count_if(all.rbegin(), all.rend(), [&](std::string_view line) { return !lines.add(line); });
  if (damaged > 0)
    health.warning =
        fmt::format("has {} damaged line{}: {} services were read from it", damaged, damaged == 1 ? "" : "s", health.services.size());
  return health;
}

SavedHealth load_health(const std::filesystem::path& dir) {
  const auto file = dir / "health";
  const StateText content = read_state_text(file, file_at_most);
  if (content.missing) return {};
  SavedHealth health;
  if (content.error.empty())
    health = parse_health(content.text);
  else
    health.warning = content.error;
  if (health.warning.empty()) return health;
  const auto bad_file = dir / "health.bad";
  std::error_code failed;
  std::filesystem::rename(file, bad_file, failed);
  health.warning = fmt::format("{} {}; the file {}", file.string(), health.warning,
                               failed ? "could not be renamed: " + failed.message() : "is now " + bad_file.string());
  return health;
}

void HealthFile::begin() {
  is_new_ = true;
  bytes_ = 0;
  fd_ = open_new(dir_ / "health.new");
  append(first_line(boot_, {}, {}));
}

void HealthFile::append(const std::string& lines) {
  if (lseek(fd_.get(), static_cast<off_t>(bytes_), SEEK_SET) < 0) fail_at(dir_ / "health", "write");
  write_all(fd_.get(), lines, (dir_ / "health").string());
  bytes_ += lines.size();
}

void HealthFile::stamp(WallTime wall, Time steady) {
  if (!is_new_ && bytes_ > rewrite_from && bytes_ > 2 * bytes_at_rewrite_) rewrite();
  const std::string line = first_line(boot_, wall, steady);
  if (pwrite(fd_.get(), line.data(), line.size(), 0) != static_cast<ssize_t>(line.size())) fail_at(dir_ / "health", "write");
  if (!is_new_) return;
  if (rename((dir_ / "health.new").c_str(), (dir_ / "health").c_str()) != 0) fail_at(dir_ / "health", "replace");
  is_new_ = false;
  bytes_at_rewrite_ = bytes_;
}

/// The last line of each service.
void HealthFile::rewrite() {
  const std::string text = text_of_file(fd_.get(), bytes_);
  std::map<std::string_view, std::string_view> lines;
  for_each_line(text, [&](std::string_view line) {
    const std::string_view service = service_of(line);
    if (service.empty()) return;
    if (line.ends_with(gone_end))
      lines.erase(service);
    else
      lines.insert_or_assign(service, line);
  });
  begin();
  std::string all;
  for (const auto& [service, line] : lines) all.append(line).push_back('\n');
  append(all);
}

bool HealthFile::is_lost() const {
  struct stat opened {
  }, named{};
  const auto file = dir_ / (is_new_ ? "health.new" : "health");
  return !fd_ || fstat(fd_.get(), &opened) != 0 || lstat(file.c_str(), &named) != 0 || opened.st_ino != named.st_ino;
}

} // namespace hanat
