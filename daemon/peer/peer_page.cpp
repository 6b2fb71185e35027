// The page's JSON, key by key. Reading goes through one class that knows what a value must be, and says which one is not.
#include "daemon/peer/peer_page.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "daemon/api/varlink.hpp"
#include "daemon/config/parse_values.hpp"
#include "nat/printable.hpp"

namespace hanat {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr std::size_t longest_text = 4096;
constexpr std::uint64_t longest_ms = std::uint64_t{20} * 366 * 24 * 3600 * 1000; // twice the longest override

std::uint64_t whole_ms(Clock::duration time) {
  return static_cast<std::uint64_t>(std::max<milliseconds::rep>(std::chrono::ceil<milliseconds>(time).count(), 0));
}

// Writing

json to_value(const PeerServer& server) {
  json addresses = json::array();
  for (const Endpoint& address : server.addresses) addresses.push_back(to_text(address));
  return {{"role", server.role}, {"addresses", std::move(addresses)}};
}

/// What an override and a disabled server have in common.
template <typename Kept> json to_value(const Kept& kept, Time now, WallTime wall) {
  json value = {{"server", to_value(kept.server)}, {"age_ms", whole_ms(wall - kept.since)}, {"reason", kept.reason}, {"by", kept.by}};
  if (kept.until) value["left_ms"] = whole_ms(*kept.until - now);
  return value;
}

json to_value(const PeerService& service, Time now, WallTime wall) {
  json value = {{"name", service.name}, {"listen", service.listen}, {"why", service.why}, {"age_ms", whole_ms(wall - service.since)}};
  if (!service.group.empty()) value["group"] = service.group;
  value["servers"] = json::array();
  for (const PeerServer& server : service.servers) value["servers"].push_back(to_value(server));
  value["target"] = service.target ? to_value(*service.target) : json();
  if (service.force) {
    value["forced"] = to_value(*service.force, now, wall);
    value["forced"]["until_down"] = service.force->until_down;
  }
  for (const PeerDisabled& disabled : service.disabled) value["disabled"].push_back(to_value(disabled, now, wall));
  return value;
}

// Reading

struct Wrong {
  std::string what;
};

/// One JSON object. Each function throws Wrong.
class Reader {
public:
  Reader(const json& value, std::string name) : value_(value), name_(std::move(name)) {
    if (!value.is_object()) throw Wrong{name_ + " is not an object"};
  }

  const json* find(const char* key) const {
    const auto found = value_.find(key);
    return found == value_.end() || found->is_null() ? nullptr : &*found;
  }
  const json& at(const char* key) const {
    const json* const value = find(key);
    if (value == nullptr) throw Wrong{fmt::format("{} has no \"{}\"", name_, key)};
    return *value;
  }
  std::string text(const char* key) const { return text_of(at(key), key); }
  std::string text_or_empty(const char* key) const {
    const json* const value = find(key);
    return value == nullptr ? std::string{} : text_of(*value, key);
  }
  std::string service_name(const char* key) const { return service_name_of(at(key)); }
  std::uint64_t number(const char* key) const {
    if (!at(key).is_number_unsigned()) throw Wrong{fmt::format("\"{}\" in {} is not a whole number", key, name_)};
    return at(key).get<std::uint64_t>();
  }
  milliseconds time(const char* key) const {
    const std::uint64_t ms = number(key);
    if (ms > longest_ms) throw Wrong{fmt::format("\"{}\" in {} is too long a time", key, name_)};
    return milliseconds{ms};
  }
  bool flag(const char* key) const {
    const json* const value = find(key);
    if (value != nullptr && !value->is_boolean()) throw Wrong{fmt::format("\"{}\" in {} is not true or false", key, name_)};
    return value != nullptr && value->get<bool>();
  }
  const json& list(const char* key) const {
    static const json none = json::array();
    const json* const value = find(key);
    if (value != nullptr && !value->is_array()) throw Wrong{fmt::format("\"{}\" in {} is not a list", key, name_)};
    return value == nullptr ? none : *value;
  }

  static std::string text_of(const json& value, const char* what) {
    if (!value.is_string()) throw Wrong{fmt::format("\"{}\" is not a text", what)};
    const auto& text = value.get_ref<const std::string&>();
    if (text.size() > longest_text) throw Wrong{fmt::format("\"{}\" is longer than {} bytes", what, longest_text)};
    const auto is_control = [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; };
    if (std::ranges::any_of(text, is_control)) throw Wrong{fmt::format("\"{}\" has control characters", what)};
    return text;
  }
  static std::string service_name_of(const json& value) {
    std::string name = text_of(value, "name");
    if (!config::is_service_name(name)) throw Wrong{"a name is not that of a service"};
    return name;
  }

private:
  const json& value_;
  std::string name_;
};

Endpoint endpoint_of(const std::string& text) {
  const auto parsed = config::parse_server(text);
  const auto* const server = std::get_if<config::ServerPorts>(&parsed);
  if (server != nullptr && server->last == 0) return server->endpoint;
  throw Wrong{fmt::format("{} is not the address of a server", printable(text.substr(0, 64)))};
}

PeerServer server_from(const json& value) {
  const Reader reader{value, "a server"};
  PeerServer server{.role = reader.text("role"), .addresses = {}};
  for (const json& address : reader.list("addresses")) server.addresses.push_back(endpoint_of(Reader::text_of(address, "addresses")));
  if (server.addresses.empty()) throw Wrong{"a server has no addresses"};
  return server;
}

template <typename Kept> Kept kept_from(const Reader& reader, Time now, WallTime wall) {
  Kept kept{.server = server_from(reader.at("server")),
            .since = wall - reader.time("age_ms"),
            .reason = reader.text_or_empty("reason"),
            .by = reader.text_or_empty("by")};
  if (reader.find("left_ms") != nullptr) kept.until = now + reader.time("left_ms");
  return kept;
}

PeerService service_from(const json& value, Time now, WallTime wall) {
  const Reader reader{value, "a service"};
  PeerService service{.name = reader.service_name("name"), .listen = {}, .group = reader.text_or_empty("group")};
  for (const json& listener : reader.list("listen")) service.listen.push_back(Reader::text_of(listener, "listen"));
  for (const json& server : reader.list("servers")) service.servers.push_back(server_from(server));
  if (const json* const target = reader.find("target")) service.target = server_from(*target);
  service.why = reader.text_or_empty("why");
  service.since = wall - reader.time("age_ms");
  if (const json* const forced = reader.find("forced")) {
    const Reader override{*forced, "an override"};
    service.force = kept_from<PeerOverride>(override, now, wall);
    service.force->until_down = override.flag("until_down");
  }
  for (const json& disabled : reader.list("disabled"))
    service.disabled.push_back(kept_from<PeerDisabled>(Reader{disabled, "a disabled server"}, now, wall));
  return service;
}

PeerPage page_from(const json& value, Time now, WallTime wall) {
  const Reader reader{value, "the page"};
  const std::uint64_t version = reader.number("version");
  PeerPage page{.hanatd = reader.text_or_empty("hanatd")};
  if (version != peer_page_version)
    throw Wrong{fmt::format("it is of version {}, and this hanatd knows version {}: install the same hanatd on both gateways (there: {})",
                            version, peer_page_version, page.hanatd.empty() ? "unknown" : page.hanatd)};
  page.instance = reader.text("instance");
  page.serial = reader.number("serial");
  page.whole = reader.flag("whole");
  page.more = reader.flag("more");
  page.role = reader.text("role");
  if (reader.find("conntrackd") != nullptr) page.conntrackd = reader.text("conntrackd");
  if (reader.find("keepalived") != nullptr) page.keepalived = reader.text("keepalived");
  page.role_age = reader.time("role_age_ms");
  page.change_age = reader.time("change_age_ms");
  const auto clock = parse_wall_time(reader.text("clock"));
  if (!clock) throw Wrong{"\"clock\" is not a time"};
  page.clock = *clock;
  for (const json& service : reader.list("services")) page.services.push_back(service_from(service, now, wall));
  for (const json& name : reader.list("removed")) page.removed.push_back(Reader::service_name_of(name));
  return page;
}

} // namespace

std::string to_json_text(const PeerPage& page, Time now, WallTime wall) {
  json value = {{"version", page.version},
                {"hanatd", page.hanatd},
                {"instance", page.instance},
                {"serial", page.serial},
                {"whole", page.whole},
                {"more", page.more},
                {"role", page.role},
                {"conntrackd", page.conntrackd},
                {"keepalived", page.keepalived},
                {"role_age_ms", whole_ms(page.role_age)},
                {"change_age_ms", whole_ms(page.change_age)},
                {"clock", to_text(page.clock)},
                {"services", json::array()},
                {"removed", page.removed}};
  for (const PeerService& service : page.services) value["services"].push_back(to_value(service, now, wall));
  return varlink::to_text(value);
}

std::variant<PeerPage, std::string> parse_peer_page(std::string_view text, Time now, WallTime wall) {
  if (text.size() > longest_peer_page) return fmt::format("it is longer than {} bytes", longest_peer_page);
  try {
    return page_from(varlink::parse_json(text), now, wall);
  } catch (const Wrong& wrong) {
    return wrong.what;
  } catch (const json::exception&) { // its text would repeat what was received
    return "it is not JSON, or nested too deep";
  }
}

} // namespace hanat
