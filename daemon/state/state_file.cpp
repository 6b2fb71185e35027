// Writes JSON to a new file that replaces the old one, and reads it without trusting its content.
#include "daemon/state/state_file.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/file.h>
#include <unistd.h>

#include "daemon/config/parse_values.hpp"
#include "daemon/state/read_state.hpp"
#include "daemon/util/durable_write.hpp"

namespace hanat {
namespace {

using nlohmann::json;

constexpr mode_t file_mode = 0640;
constexpr std::uint64_t max_bytes = std::uint64_t{64} << 20; // overrides of 65,000 services need a quarter
constexpr int max_depth = 4;                                 // object, list, item, flows of a drain

[[noreturn]] void fail(const std::string& what) { throw std::system_error(errno, std::generic_category(), what); }

json to_value(const SavedOverride& item) {
  json value = {{"service", item.service}, {"target", item.target}, {"until", item.until ? json(to_text(*item.until)) : json(nullptr)},
                {"reason", item.reason},   {"by", item.by},         {"since", to_text(item.since)}};
  for (const Endpoint& address : item.addresses) value["addresses"].push_back(to_text(address));
  if (item.until_down) value["until_down"] = true;
  if (item.drill) value["drill"] = true;
  if (!item.host.empty()) value["name"] = item.host;
  return value;
}

/// The same keys, without until_down and drill.
json to_value(const SavedMaintenance& item) {
  return to_value(SavedOverride{.service = item.service,
                                .target = item.server,
                                .until = item.until,
                                .reason = item.reason,
                                .by = item.by,
                                .since = item.since,
                                .addresses = item.addresses,
                                .host = item.host});
}

json to_value(const SavedName& item) { return {{"name", item.name}, {"address", item.address.text()}}; }

/// Of a server. nullopt: one of them is none. Absent: empty.
std::optional<std::vector<Endpoint>> addresses_in(const json& from) {
  std::vector<Endpoint> addresses;
  const auto list = from.find("addresses");
  if (list == from.end()) return addresses;
  if (!list->is_array()) return std::nullopt;
  for (const json& one : *list) {
    const auto parsed =
        one.is_string() ? config::parse_server(one.get<std::string>()) : config::Parsed<config::ServerPorts>{config::Error{}};
    const auto* server = std::get_if<config::ServerPorts>(&parsed);
    if (server == nullptr || server->last != 0) return std::nullopt;
    addresses.push_back(server->endpoint);
  }
  return addresses;
}

/// nullopt: a key is missing or has another type.
std::optional<SavedOverride> override_from(const json& from) {
  const auto text = [&](const char* key) -> std::optional<std::string> {
    const auto found = from.find(key);
    return found != from.end() && found->is_string() ? std::optional{found->get<std::string>()} : std::nullopt;
  };
  const auto service = text("service"), target = text("target"), reason = text("reason"), by = text("by"), since = text("since");
  const auto start_time = since ? parse_wall_time(*since) : std::nullopt;
  if (!service || service->empty() || !target || target->empty() || !reason || !by || !start_time) return std::nullopt;
  SavedOverride item{.service = *service, .target = *target, .until = std::nullopt, .reason = *reason, .by = *by, .since = *start_time};
  const auto addresses = addresses_in(from);
  if (!addresses) return std::nullopt;
  item.addresses = *addresses;
  if (const auto until_down = from.find("until_down"); until_down != from.end()) item.until_down = *until_down == json(true);
  if (const auto drill = from.find("drill"); drill != from.end()) item.drill = *drill == json(true);
  item.host = text("name").value_or("");
  // An override with an invalid end must not become one without an end.
  if (!from.contains("until")) return std::nullopt;
  if (from.at("until").is_null()) return item;
  const auto until = text("until");
  item.until = until ? parse_wall_time(*until) : std::nullopt;
  if (!item.until) return std::nullopt;
  return item;
}

std::optional<SavedMaintenance> maintenance_from(const json& from) {
  auto item = override_from(from);
  if (!item || (item->addresses.empty() && item->host.empty())) return std::nullopt;
  return SavedMaintenance{.service = std::move(item->service),
                          .server = std::move(item->target),
                          .addresses = std::move(item->addresses),
                          .until = item->until,
                          .reason = std::move(item->reason),
                          .by = std::move(item->by),
                          .since = item->since,
                          .host = std::move(item->host)};
}

std::optional<SavedName> name_from(const json& from) {
  const auto name = from.find("name"), address = from.find("address");
  if (name == from.end() || !name->is_string() || address == from.end() || !address->is_string()) return std::nullopt;
  const auto parsed = config::parse_host(name->get<std::string>());
  const auto* const host = parsed ? std::get_if<HostName>(&*parsed) : nullptr;
  const auto at = Address::parse(address->get<std::string>());
  if (host == nullptr || host->port != 0 || !at || !config::unusable_for_server(*at).empty()) return std::nullopt;
  return SavedName{.name = host->name, .address = *at};
}

/// "203.0.113.10:443/tcp 198.18.11.2:8443"; for a range "203.0.113.10:5000-9000/tcp 198.18.11.2"
std::string flow_text(const Mapping& mapping) { return fmt::format("{} {}", to_text(mapping.vip), to_text(mapping.server)); }

std::optional<Mapping> parse_mapping(std::string_view text) {
  const std::size_t space = text.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  const auto listener = config::parse_listener(text.substr(0, space));
  const auto server = config::parse_server(text.substr(space + 1));
  const auto* from = std::get_if<config::Listener>(&listener);
  const auto* to = std::get_if<config::ServerPorts>(&server);
  if (from == nullptr || to == nullptr || to->last != 0 || from->address.family() != to->endpoint.address.family()) return std::nullopt;
  const bool range = from->first != from->last; // its flows keep their ports
  if (range != (to->endpoint.port == 0)) return std::nullopt;
  return Mapping{
      .vip = {.address = from->address, .protocol = from->protocol, .port = from->first, .last = range ? from->last : std::uint16_t{0}},
      .server = to->endpoint};
}

json to_value(const SavedDrain& item) {
  json flows = json::array();
  for (const Mapping& mapping : item.flows) flows.push_back(flow_text(mapping));
  json value = {{"service", item.service},
                {"comment", item.comment},
                {"until", item.until ? json(to_text(*item.until)) : json(nullptr)},
                {"flows", std::move(flows)}};
  if (item.until_down) value["until_down"] = true;
  return value;
}

/// A comment is written to the kernel's table and starts with the name of the service.
bool is_comment(const std::string& comment, const std::string& service) {
  constexpr std::size_t longest = 120; // the limit of libnftnl is 127
  return comment.size() <= longest && comment.starts_with(service) &&
         std::ranges::all_of(comment, [](char c) { return c >= ' ' && c <= '~' && c != '"'; });
}

std::optional<SavedDrain> drain_from(const json& from) {
  const auto service = from.find("service"), comment = from.find("comment"), until = from.find("until"), flows = from.find("flows");
  for (const auto& key : {service, comment, until, flows})
    if (key == from.end()) return std::nullopt;
  if (!service->is_string() || !comment->is_string() || !flows->is_array()) return std::nullopt;
  SavedDrain item{.service = *service, .comment = *comment, .until = std::nullopt, .flows = {}};
  if (const auto until_down = from.find("until_down"); until_down != from.end()) item.until_down = *until_down == json(true);
  if (item.service.empty() || !is_comment(item.comment, item.service)) return std::nullopt;
  if (!until->is_null()) { // a drain with an invalid end must not become one without an end
    item.until = until->is_string() ? parse_wall_time(until->get<std::string>()) : std::nullopt;
    if (!item.until) return std::nullopt;
  }
  for (const json& flow : *flows) {
    const auto mapping = flow.is_string() ? parse_mapping(flow.get<std::string>()) : std::nullopt;
    if (!mapping) return std::nullopt;
    item.flows.push_back(*mapping);
  }
  return item;
}

/// Adds an item of a list. False: the item is invalid.
bool add_item(State& state, const std::string& list, const json& value) {
  if (list == "overrides") {
    auto item = override_from(value);
    if (item) state.overrides.push_back(std::move(*item));
    return item.has_value();
  }
  if (list == "disabled") {
    auto item = maintenance_from(value);
    if (item) state.maintenance.push_back(std::move(*item));
    return item.has_value();
  }
  if (list == "names") {
    auto item = name_from(value);
    if (item) state.names.push_back(std::move(*item));
    return item.has_value();
  }
  auto item = drain_from(value);
  if (item) state.drains.push_back(std::move(*item));
  return item.has_value();
}

std::string text_of(const json& root) { return root.dump(1, ' ', false, json::error_handler_t::replace) + "\n"; }

/// Replaces the file completely or not at all. `durable`: returns when the disk has written it.
void replace_file(const std::filesystem::path& dir, const std::string& name, const std::string& text, bool durable) {
  const auto file = dir / name, new_file = dir / (name + ".new");
  // A leftover of an interrupted write. Removed, not truncated: it may be a link.
  if (unlink(new_file.c_str()) != 0 && errno != ENOENT) fail("remove " + new_file.string());
  try {
    const Fd fd{open(new_file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, file_mode)};
    if (!fd) fail("create " + new_file.string());
    write_all(fd.get(), text, new_file.string());
    if (durable && fsync(fd.get()) != 0) fail("sync " + new_file.string());
    if (rename(new_file.c_str(), file.c_str()) != 0) fail("replace " + file.string());
  } catch (...) {
    unlink(new_file.c_str());
    throw;
  }
  if (durable) sync_directory(dir);
}

/// Reads one of the files. Renames it if it is bad.
LoadedState load_file(const std::filesystem::path& dir, const std::string& name) {
  const auto file = dir / name;
  const auto content = read_state_text(file, max_bytes);
  if (content.missing) return {};
  LoadedState loaded = content.error.empty() ? parse_state(content.text) : LoadedState{.state = {}, .warning = content.error};
  if (loaded.warning.empty()) return loaded;

  const auto bad_file = dir / (name + ".bad");
  std::error_code failed;
  std::filesystem::rename(file, bad_file, failed);
  const auto where = failed ? "could not be renamed: " + failed.message() : "is now " + bad_file.string();
  loaded.warning = fmt::format("{} {}: {} {} were read from it, others are lost; the file {}", file.string(), loaded.warning,
                               loaded.state.overrides.size() + loaded.state.maintenance.size() + loaded.state.drains.size(),
                               name == "drains.json"              ? "drains"
                               : loaded.state.maintenance.empty() ? "overrides"
                                                                  : "overrides and disabled servers",
                               where);
  return loaded;
}

/// Opens what is locked: the lock file. On a full or read-only disk: the file read-only if it exists, else the directory.
Fd open_lock(const std::filesystem::path& dir, const std::filesystem::path& file) {
  constexpr int flags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  Fd fd{open(file.c_str(), O_RDWR | O_CREAT | flags, file_mode)};
  if (fd || (errno != EROFS && errno != ENOSPC && errno != EDQUOT)) return fd;
  fd = Fd{open(file.c_str(), O_RDONLY | flags)};
  if (!fd && errno == ENOENT) fd = Fd{open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  return fd;
}

} // namespace

/// Collects each item as soon as its closing brace is read, so that a truncated file still gives its complete items.
LoadedState parse_state(const std::string& text) {
  LoadedState parsed;
  std::string list; // current key of the outer object
  bool has_list = false;
  std::map<std::string, std::size_t> invalid;
  const auto is_list = [&list] { return list == "overrides" || list == "disabled" || list == "drains" || list == "names"; };
  const auto collect = [&](int depth, json::parse_event_t event, json& value) {
    if (depth > max_depth) throw std::length_error("nested too deeply");
    if (event == json::parse_event_t::key && depth == 1) list = value.get<std::string>();
    has_list |= event == json::parse_event_t::array_start && depth == 1 && is_list();
    if (event != json::parse_event_t::object_end || depth != 2 || !is_list()) return true;
    if (!add_item(parsed.state, list, value)) ++invalid[list];
    return false; // drops the item from the result: it is collected
  };
  try {
    const auto root = json::parse(text, collect);
    if (!root.is_object() || !has_list) parsed.warning = "has no list of overrides or drains";
  } catch (const json::parse_error& error) {
    parsed.warning = fmt::format("is not complete JSON (byte {})", error.byte);
  } catch (const std::exception& error) {
    parsed.warning = "has unexpected content";
  }
  if (parsed.warning.empty() && !invalid.empty())
    parsed.warning = fmt::format("has {} invalid {}", invalid.begin()->second,
                                 invalid.begin()->first == "disabled" ? "disabled servers" : invalid.begin()->first);
  return parsed;
}

LoadedState load_state(const std::filesystem::path& dir) {
  LoadedState overrides = load_file(dir, "state.json");
  LoadedState drains = load_file(dir, "drains.json");
  overrides.state.drains = std::move(drains.state.drains);
  if (!overrides.warning.empty() && !drains.warning.empty()) overrides.warning += "; ";
  overrides.warning += drains.warning;
  return overrides;
}

void save_state(const std::filesystem::path& dir, const State& state) {
  // Drains need no sync: a crash of the machine also loses its conntrack entries, and a crash of hanatd loses nothing.
  json drains = json::array();
  for (const auto& item : state.drains) drains.push_back(to_value(item));
  if (!drains.empty())
    replace_file(dir, "drains.json", text_of({{"version", 1}, {"drains", std::move(drains)}}), false);
  else if (unlink((dir / "drains.json").c_str()) != 0 && errno != ENOENT)
    fail("remove " + (dir / "drains.json").string());

  json overrides = json::array();
  for (const auto& item : state.overrides) overrides.push_back(to_value(item));
  json root = {{"version", 1}, {"overrides", std::move(overrides)}};
  for (const auto& item : state.maintenance) root["disabled"].push_back(to_value(item));
  for (const auto& item : state.names) root["names"].push_back(to_value(item));
  const std::string text = text_of(root);
  if (read_state_text(dir / "state.json", max_bytes).text != text) replace_file(dir, "state.json", text, true);
}

StateLock::StateLock(const std::filesystem::path& dir) {
  const auto file = dir / "lock";
  fd_ = open_lock(dir, file);
  if (!fd_) fail("open " + file.string());
  if (flock(fd_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) fail("lock " + file.string());
    std::array<char, 16> pid{};
    const ssize_t got = pread(fd_.get(), pid.data(), pid.size() - 1, 0);
    const std::string holder = got > 0 ? std::string(pid.data(), static_cast<std::size_t>(got)) : "unknown";
    throw std::system_error(
        EBUSY, std::generic_category(),
        fmt::format("another hanatd (pid {}) uses {}: stop it, or use another --state", holder.substr(0, holder.find('\n')), dir.string()));
  }
  try {
    if (ftruncate(fd_.get(), 0) == 0) write_all(fd_.get(), std::to_string(getpid()) + "\n", file.string());
  } catch (const std::system_error&) { // NOLINT(bugprone-empty-catch): the pid is only informative; a full disk must not prevent the start
  }
}

} // namespace hanat
