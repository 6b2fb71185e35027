// Two maps from keys to texts, compared.
#include "daemon/config/key_values.hpp"

#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "daemon/util/duration.hpp"
#include "nat/printable.hpp"
#include "probes/kinds/tls_context.hpp"

namespace hanat {
namespace {

constexpr std::size_t longest_value = 60;

/// `secret`: only whether it differs is told. `content`: of a file; it is not kept over a restart.
struct KeyValue {
  std::string text;
  bool secret = false, content = false;
  bool operator==(const KeyValue&) const = default;
};
using KeyValues = std::map<std::string, KeyValue>;

std::string yes_no(bool value) { return value ? "true" : "false"; }
std::string in_quotes(std::string_view text) { return fmt::format("\"{}\"", text); }

std::string key_text(const FlowPolicy& policy) {
  switch (policy.action) {
  case FlowAction::reset: return "reset";
  case FlowAction::drain: return "drain " + duration_text(policy.time);
  case FlowAction::keep: return "keep";
  }
  return {};
}

std::string key_text(OnNone on_none) {
  switch (on_none) {
  case OnNone::refuse: return "refuse";
  case OnNone::drop: return "drop";
  case OnNone::keep: return "keep";
  }
  return {};
}

std::string key_text(const Failback& failback) {
  if (!failback.automatic) return "manual";
  std::string text = "auto";
  if (failback.after != Clock::duration::zero()) text += " after " + duration_text(failback.after);
  const auto minutes = [](std::chrono::minutes time) { return fmt::format("{:02}:{:02}", time.count() / 60, time.count() % 60); };
  if (failback.window) text += fmt::format(" window {}-{}", minutes(failback.window->from), minutes(failback.window->to));
  if (failback.penalty != Failback{}.penalty) text += " penalty " + duration_text(failback.penalty);
  return text;
}

std::string key_text(const nat::Snat& snat) {
  switch (snat.kind) {
  case nat::SnatKind::none: return "none";
  case nat::SnatKind::masquerade: return "masquerade";
  case nat::SnatKind::address: return snat.address.text();
  case nat::SnatKind::hairpin: return "hairpin";
  }
  return {};
}

/// A hook's arguments may be secret, as the address of a webhook is: like those of exec probes they are not shown.
void add_hook(KeyValues& values, const HookConfig& hook) {
  if (hook.command.empty()) return;
  values["hook"] = {fmt::format("{}", fmt::join(hook.command, "\n")), true};
  values["hook_timeout"] = {duration_text(hook.timeout)};
}

std::string key_text(const PathCheck& check) {
  if (!check.clients) return "off";
  return check.interval ? duration_text(*check.interval) : "clients";
}

std::string statuses_of(const std::vector<probes::StatusRange>& ranges) {
  std::vector<std::string> texts;
  texts.reserve(ranges.size());
  for (const auto& [first, last] : ranges) texts.push_back(first == last ? fmt::to_string(first) : fmt::format("{}-{}", first, last));
  return fmt::format("{}", fmt::join(texts, ", "));
}

/// The keys of each kind of probe, into `values`.
class ProbeKeys {
public:
  ProbeKeys(KeyValues& values, std::string prefix) : values_(values), prefix_(std::move(prefix)) {}

  void set(std::string_view key, std::string text) { values_[prefix_ + std::string{key}] = {std::move(text)}; }
  void hide(std::string_view key, std::string text) { values_[prefix_ + std::string{key}] = {std::move(text), true}; }
  void set_if_any(std::string_view key, const std::string& text) {
    if (!text.empty()) set(key, text);
  }
  void hide_content(std::string_view key, std::string text) { values_[prefix_ + std::string{key}] = {std::move(text), true, true}; }
  void set(std::string_view key, const probes::Pattern& pattern) {
    if (!pattern.empty()) set(key, in_quotes(pattern.source()) + (pattern == probes::Pattern::text(pattern.source()) ? "" : " (regex)"));
  }

  /// `has_own_keys`: the type has `host` and `verify` of its own.
  void set_tls(const probes::TlsOptions& tls, bool has_own_keys) {
    if (!has_own_keys) {
      set("tls", "true");
      set("tls.verify", yes_no(tls.verify));
      set_if_any("tls.name", tls.name);
    }
    set_if_any("tls.min", tls.min == probes::TlsVersion::any ? "" : tls.min == probes::TlsVersion::tls12 ? "1.2" : "1.3");
    set_if_any("tls.ca", tls.ca);
    set_if_any("tls.cert", tls.cert);
    set_if_any("tls.key", tls.key);
    hide_content("tls (what its files hold)", tls.context ? tls.context->identity() : "");
  }
  void set(const probes::Password& password) {
    if (password.secret.empty()) return;
    set("password_file", password.file);
    static const std::size_t salt = std::random_device{}(); // what is kept and compared is no password, nor can one be guessed by it
    hide_content("password_file (what it holds)", fmt::to_string(std::hash<std::string_view>{}(password.secret.reveal()) ^ salt * salt));
  }

  void operator()(const probes::SendExpectSpec& spec) {
    hide("send", spec.send);
    set("expect", spec.expect);
  }
  void operator()(const probes::TlsSpec& spec) {
    set("host", spec.host);
    set("verify", yes_no(spec.verify));
    set("expires_within", duration_text(spec.expires_within));
  }
  void operator()(const probes::HttpSpec& spec) {
    set("method", spec.method);
    set("path", spec.path);
    set("host", spec.host);
    hide("headers", fmt::format("{}", fmt::join(spec.headers, "\n")));
    hide("request_body", spec.request_body);
    set("status", statuses_of(spec.status));
    set("full", statuses_of(spec.full));
    set("body", spec.body);
    set("http2", yes_no(spec.http2));
    set("verify", yes_no(spec.verify));
    set("expires_within", duration_text(spec.expires_within));
  }
  void operator()(const probes::DnsSpec& spec) {
    set("name", spec.name);
    set("record", spec.record);
    set("answer", spec.answer);
  }
  void operator()(const probes::GrpcSpec& spec) {
    set("service", spec.service);
    set("host", spec.host);
    set("tls", yes_no(spec.tls));
    set("verify", yes_no(spec.verify));
  }
  void operator()(const probes::RedisSpec& spec) {
    set("master", yes_no(spec.master));
    if (spec.replica) set("role", "replica");
    if (spec.linked) set("master_link_status", "up");
    set_if_any("user", spec.user);
    set(spec.password);
  }
  void operator()(const probes::SqlSpec& spec) {
    set("writable", yes_no(spec.writable));
    set("user", spec.user);
    set("database", spec.database);
    if (spec.in_recovery) set("in_recovery", yes_no(*spec.in_recovery));
    if (spec.max_lag) set("max_lag", duration_text(*spec.max_lag));
    if (spec.wsrep_ready) set("wsrep_ready", yes_no(true));
    if (spec.member_online) set("member_state", "ONLINE");
    set(spec.password);
  }
  void operator()(const probes::SmtpSpec& spec) { set("hello", spec.hello); }
  void operator()(const probes::AgentSpec& spec) { hide("send", spec.send); }
  void operator()(const probes::ExecSpec& spec) { hide("command", fmt::format("{}", fmt::join(spec.command, "\n"))); }

private:
  KeyValues& values_;
  std::string prefix_;
};

void add_probe(KeyValues& values, const std::string& prefix, const probes::ProbeSpec& spec) {
  ProbeKeys keys{values, prefix + "."};
  keys.set("type", std::string{to_text(spec.kind)});
  keys.set("interval", duration_text(spec.interval));
  keys.set("fast_interval", duration_text(spec.fast_interval));
  if (spec.down_interval) keys.set("down_interval", duration_text(*spec.down_interval));
  keys.set("timeout", duration_text(spec.timeout));
  if (spec.slow) keys.set("slow", duration_text(*spec.slow));
  if (spec.critical || spec.advisory) keys.set("critical", yes_no(spec.critical));
  if (spec.any_of != 0) keys.set("any", fmt::to_string(spec.any_of));
  if (spec.port) keys.set("port", fmt::to_string(*spec.port));
  if (spec.address) keys.set("address", spec.address->text());
  if (spec.source) keys.set("source", spec.source->text());
  keys.set("interface", spec.interface);
  if (spec.details.get() != nullptr) std::visit(keys, *spec.details.get());
  const bool has_own_keys = spec.kind == probes::Kind::tls || spec.kind == probes::Kind::https || spec.kind == probes::Kind::grpc;
  if (spec.tls.get() != nullptr) keys.set_tls(*spec.tls.get(), has_own_keys);
}

/// "probe", "probe[2]", ...
void add_probes(KeyValues& values, const std::string& prefix, const std::vector<probes::ProbeSpec>& specs) {
  for (std::size_t index = 0; index < specs.size(); ++index)
    add_probe(values, index == 0 ? prefix + "probe" : fmt::format("{}probe[{}]", prefix, index + 1), specs[index]);
}

void add_server(KeyValues& values, const ServerConfig& server, bool own_probes) {
  std::vector<std::string> addresses;
  addresses.reserve(server.addresses.size());
  for (const Endpoint& address : server.addresses) addresses.push_back(to_text(address));
  std::string text = fmt::format("{}", fmt::join(addresses, ", "));
  if (server.host) text = fmt::format("{} ({})", to_text(*server.host), addresses.empty() ? "not resolved" : text);
  values[server.role] = {std::move(text)};
  values[server.role + ".snat"] = {key_text(server.snat)};
  for (const auto& [vip, port] : server.mapped) values[fmt::format("{}.port of {}", server.role, to_text(vip))] = {fmt::to_string(port)};
  if (own_probes) add_probes(values, server.role + ".", server.probes);
}

/// " (203.0.113.10)": what a service listens on by interfaces at the moment, with any other addresses of it; empty: it names no interface.
std::string addresses_of_interfaces(const ServiceConfig& service) {
  if (service.interfaces.empty()) return {};
  std::set<Address> addresses;
  for (const Vip& vip : service.listen) addresses.insert(vip.address);
  std::vector<std::string> texts;
  texts.reserve(addresses.size());
  for (const Address& address : addresses) texts.push_back(address.text());
  return fmt::format(" ({})", texts.empty() ? "nowhere" : fmt::format("{}", fmt::join(texts, ", ")));
}

/// `own_probes`: each server's probes stand under its role; otherwise all have those of the first.
KeyValues values_of(const ServiceConfig& service, bool own_probes) {
  std::vector<std::string> vips;
  vips.reserve(service.listen.size());
  for (const Vip& vip : service.listen) vips.push_back(to_text(vip));
  KeyValues values;
  values["listen"] = {
      fmt::format("{}{}", fmt::join(service.listen_text.empty() ? vips : service.listen_text, ", "), addresses_of_interfaces(service))};
  values["down"] = {fmt::format("{} in {}", service.down.fails, duration_text(service.down.within))};
  values["up"] = {fmt::format("{} over {}", service.up.passes, duration_text(service.up.stable_for))};
  values["failback"] = {key_text(service.failback)};
  values["on_failover"] = {key_text(service.on_failover)};
  values["on_failback"] = {key_text(service.on_failback)};
  values["on_forced"] = {key_text(service.on_forced)};
  values["on_none"] = {key_text(service.on_none)};
  values["none_after"] = {duration_text(service.none_after)};
  values["witness"] = {service.witness ? to_text(*service.witness) : ""};
  values["hold"] = {yes_no(service.hold)};
  values["nudge"] = {yes_no(service.nudge)};
  values["offload"] = {yes_no(service.offload)};
  values["mode"] = {service.mode == Mode::observe ? "observe" : "auto"};
  values["group"] = {service.group};
  add_hook(values, service.hook);
  for (const ServerConfig& server : service.servers) add_server(values, server, own_probes);
  if (!own_probes && !service.servers.empty()) add_probes(values, "", service.servers.front().probes);
  return values;
}

void add_pair(KeyValues& values, const PairConfig& pair) {
  values["pair.address"] = {pair.address.text()};
  values["pair.settle"] = {duration_text(pair.settle)};
  values["pair.track_file"] = {pair.track_file};
  if (!pair.peer) return;
  values["pair.peer"] = {to_text(pair.peer->peer)};
  values["pair.listen"] = {to_text(pair.peer->listen)};
  values["pair.insecure_peer"] = {yes_no(!pair.peer->tls)};
  if (const auto& tls = pair.peer->tls) {
    const auto with_content = [](const std::string& path, const std::string& pem) { // one that was renewed is at the same path
      return fmt::format("{} (content {:08x})", path, std::hash<std::string>{}(pem)&0xffffffffU);
    };
    values["pair.ca"] = {with_content(tls->ca, tls->ca_pem)};
    values["pair.cert"] = {with_content(tls->cert, tls->cert_pem)};
    values["pair.key"] = {tls->key};
  }
}

bool same_probes_everywhere(const ServiceConfig& service) {
  for (const ServerConfig& server : service.servers)
    if (server.probes != service.servers.front().probes) return false;
  return true;
}

std::string shown_value(const KeyValue* value) {
  if (value == nullptr || value->text.empty()) return {};
  if (value->secret) return "(not shown)";
  const std::string text = printable(value->text);
  return text.size() <= longest_value ? text : text.substr(0, longest_value - 3) + "...";
}

const KeyValue* find_value(const KeyValues& values, const std::string& key) {
  const auto found = values.find(key);
  return found == values.end() || found->second.text.empty() ? nullptr : &found->second;
}

std::vector<KeyDifference> compared(const KeyValues& before, const KeyValues& after) {
  std::vector<KeyDifference> result;
  KeyValues all = before;
  all.insert(after.begin(), after.end());
  for (const auto& [key, ignored] : all) {
    const KeyValue *old_value = find_value(before, key), *new_value = find_value(after, key);
    if ((old_value == nullptr) != (new_value == nullptr) || (old_value != nullptr && *old_value != *new_value))
      result.push_back({.key = key, .before = shown_value(old_value), .after = shown_value(new_value)});
  }
  return result;
}

} // namespace

std::uint64_t probe_identity(const probes::Probe& probe) {
  KeyValues values;
  add_probe(values, "", probe.spec);
  values["server"] = {to_text(probe.server)};
  std::uint64_t hash = 0xcbf29ce484222325; // FNV-1a
  const auto add = [&hash](std::string_view text) {
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    hash *= 0x100000001b3; // an end
  };
  for (const auto& [key, value] : values) {
    if (value.content) continue;
    add(key);
    add(value.text);
  }
  return hash;
}

std::vector<KeyDifference> differences(const ServiceConfig& before, const ServiceConfig& after) {
  if (before == after) return {};
  const bool own_probes = !same_probes_everywhere(before) || !same_probes_everywhere(after);
  auto result = compared(values_of(before, own_probes), values_of(after, own_probes));
  if (result.empty()) result.push_back({.key = "(order or form)", .before = {}, .after = {}}); // the same written in another way
  return result;
}

std::vector<KeyDifference> differences(const Config& before, const Config& after) {
  const auto values = [](const Config& config) {
    KeyValues keys{{"on_stop", {config.on_stop == OnStop::keep ? "keep" : "remove"}},
                   {"operators", {config.operators}},
                   {"reconcile", {duration_text(config.reconcile)}},
                   {"metrics", {config.metrics ? to_text(*config.metrics) : ""}},
                   {"resolver", {config.resolver ? to_text(*config.resolver) : ""}},
                   {"path_check", {key_text(config.path_check)}},
                   {"probe_ports", {fmt::format("{}-{}", config.probe_ports.first, config.probe_ports.last)}}};
    if (config.pair) add_pair(keys, *config.pair);
    add_hook(keys, config.hook);
    return keys;
  };
  return compared(values(before), values(after));
}

} // namespace hanat
