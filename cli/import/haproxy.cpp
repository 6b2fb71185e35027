// A frontend with the servers of its backend is a service, and so is a listen section.
#include "cli/import/haproxy.hpp"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "cli/import/haproxy_proxy.hpp"
#include "cli/import/values.hpp"

namespace hanat::cli::imports {
namespace {

constexpr milliseconds usual_interval{2'000}; // HAProxy's own

std::string nothing_like(std::string_view words) {
  return fmt::format("hanat has nothing like \"{}\": see whether the server, or the firewall, can do it", words);
}

/// The servers of a backend as those of a service.
class Servers {
public:
  Servers(Service& service, const Proxy& backend) : service_{service}, backend_{backend} {
    for (const ConfigLine& line : backend.default_servers) {
      read_parameters(line, 1, defaults_);
      for (const std::string& words : std::exchange(defaults_.lost, {})) lose(line, nothing_like(words));
    }
  }

  /// Whether they speak TLS towards the proxy.
  bool run() {
    for (const ConfigLine& line : backend_.servers) add(line);
    for (std::size_t index = 1; index < active_.size(); ++index) {
      const auto of_family = [&](const Server& server) { return server.address.family() == active_[index].address.family(); };
      if (std::find_if(active_.begin(), active_.end(), of_family) - active_.begin() < static_cast<std::ptrdiff_t>(index))
        lose(lines_[index], fmt::format("connections were spread over {} servers, which is lost: a service has one target at a time, and "
                                        "this server becomes a backup",
                                        std::ranges::count_if(active_, of_family)));
    }
    std::ranges::move(active_, std::back_inserter(service_.servers));
    std::ranges::move(backups_, std::back_inserter(service_.servers));
    if (!transparent_) service_.snat = "masquerade"; // servers saw the proxy's address, and answer it
    return tls_;
  }

private:
  void lose(const ConfigLine& line, std::string why) { service_.notes.push_back({line.place, line.text, std::move(why), Loss::lost}); }

  void add(const ConfigLine& line) {
    ServerParameters parameters = defaults_;
    read_parameters(line, 3, parameters);
    const ProxyAddress read = proxy_address(line.argument(2));
    if (!read.why.empty() || !read.address)
      return lose(line, fmt::format("its address is {}", read.why.empty() ? "missing: write it" : read.why));
    if (parameters.disabled)
      return lose(line, "it was out of use in HAProxy, so it is left out: write it as a backup, then hanatctl disable SERVICE SERVER");
    if (parameters.weight == 0U)
      return lose(line,
                  "with weight 0 it got no new clients, so it is left out: write it as a backup, then hanatctl disable SERVICE SERVER");
    for (const std::string& words : parameters.lost) lose(line, nothing_like(words));
    if (parameters.proxy_protocol)
      lose(line,
           "hanat sends no PROXY header: before the switch the server must stop to expect one (nginx: proxy_protocol in listen; Postfix: "
           "smtpd_upstream_proxy_protocol). With snat = \"none\" it sees the client's address");
    tls_ = tls_ || parameters.tls;
    transparent_ = transparent_ || parameters.client_address;
    if (!service_.fails) service_.fails = parameters.fails;
    if (!service_.passes) service_.passes = parameters.passes;
    if (service_.fails != parameters.fails || service_.passes != parameters.passes)
      if (parameters.fails || parameters.passes)
        lose(line, "fall and rise are those of the service in hanat, and another server came first: write down and up of the service as "
                   "you want them");
    Server server{.place = line.place, .address = *read.address, .ports = read.ports, .probes = {}, .snat = {}};
    if (read.ports.first != read.ports.last) server.ports = {};
    if (parameters.check) server.probes.push_back(probe_of(parameters)); // HAProxy took the others for up; hanat connects to them
    if (parameters.agent.on) add_agent(line, parameters, server);
    (parameters.backup ? backups_ : active_).push_back(std::move(server));
    if (!parameters.backup) lines_.push_back(line);
  }

  void add_agent(const ConfigLine& line, const ServerParameters& parameters, Server& server) {
    const AgentCheck& agent = parameters.agent;
    if (!agent.port) return lose(line, "agent-check without agent-port: write the agent's port into { type = \"agent\", port = ... }");
    ProbeText probe{
        .type = "agent", .keys = {{"port", fmt::format("{}", *agent.port)}}, .interval = {}, .fast_interval = {}, .timeout = {}};
    if (agent.address) probe.keys.push_back({"address", toml_string(agent.address->text())});
    if (!agent.send.empty()) probe.keys.push_back({"send", toml_string(agent.send)});
    probe.interval = std::max(agent.interval.value_or(parameters.interval.value_or(usual_interval)), milliseconds{10});
    probe.timeout = backend_.checks.timeout.value_or(*probe.interval);
    if (server.probes.empty()) server.probes.push_back({});
    server.probes.push_back(std::move(probe));
    service_.notes.push_back({line.place, line.text,
                              "in HAProxy an agent that does not answer changes nothing; in hanat it fails like any probe: see that it "
                              "always runs, or take the agent's probe out",
                              Loss::hint});
  }

  ProbeText probe_of(const ServerParameters& parameters) {
    const bool first = !noted_;
    noted_ = true;
    std::vector<Note> ignored;
    ProbeText probe = backend_.checks.probe(parameters.tls || parameters.check_tls, first ? service_.notes : ignored);
    const bool over_tls = probe.type == "https" || probe.type == "tls";
    if (parameters.port) probe.keys.push_back({.name = "port", .value = fmt::format("{}", *parameters.port)});
    if (parameters.address) probe.keys.push_back({.name = "address", .value = toml_string(parameters.address->text())});
    if (over_tls && !parameters.host.empty() &&
        parameters.host.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") == std::string::npos &&
        std::ranges::none_of(probe.keys, [](const ProbeKey& key) { return key.name == "host"; }))
      probe.keys.push_back({.name = "host", .value = toml_string(parameters.host)});
    probe.interval = std::max(parameters.interval.value_or(usual_interval), milliseconds{10});
    if (parameters.fast_interval) probe.fast_interval = std::min(*parameters.fast_interval, *probe.interval);
    if (parameters.down_interval) probe.down_interval = std::max(*parameters.down_interval, milliseconds{10});
    probe.timeout = backend_.checks.timeout.value_or(*probe.interval);
    return probe;
  }

  Service& service_;
  const Proxy& backend_;
  ServerParameters defaults_;
  std::vector<Server> active_, backups_;
  std::vector<ConfigLine> lines_; // of the active ones
  bool tls_ = false, transparent_ = false, noted_ = false;
};

class Assembly {
public:
  Assembly(std::vector<Proxy>& proxies, Imported& imported, const std::vector<Address>& any)
      : proxies_{proxies}, imported_{imported}, any_{any} {}

  void run() {
    for (Proxy& proxy : proxies_)
      if (proxy.kind == "frontend" || proxy.kind == "listen") add(proxy);
    for (const Proxy& proxy : proxies_)
      if (proxy.kind == "backend" && !proxy.used) {
        imported_.notes.push_back(
            {proxy.head.place, proxy.head.text,
             "no frontend has it as its default_backend: if clients are to reach it, give it an address or port of its own, "
             "as a service",
             Loss::lost});
        std::ranges::copy_if(proxy.notes, std::back_inserter(imported_.notes),
                             [](const Note& note) { return note.loss == Loss::needless; });
      }
  }

private:
  void add(Proxy& front) {
    const auto statistics = [](const Note& note) { return note.text.starts_with("stats "); };
    if (front.servers.empty() && !front.default_backend && std::ranges::any_of(front.notes, statistics)) {
      imported_.notes.push_back({front.head.place, front.head.text,
                                 "HAProxy's own page: hanatctl status shows the services, and metrics in [hanatd] serves figures",
                                 Loss::needless});
      return;
    }
    Service service{.place = front.head.place,
                    .name = service_name(front.name),
                    .listen = {},
                    .servers = {},
                    .snat = {},
                    .snat_why = {},
                    .fails = {},
                    .passes = {},
                    .notes = front.notes,
                    .refused = {}};
    bool ends_tls = false;
    for (const ConfigLine& line : front.binds) {
      const Bind bind = read_bind(line, any_, service.notes);
      ends_tls = ends_tls || bind.tls;
      for (const Listen& listen : bind.listen) // an interface is written without the family, which may be bound twice
        if (listen.interface.empty() || std::ranges::none_of(service.listen, [&](const Listen& other) {
              return other.interface == listen.interface && other.ports == listen.ports;
            }))
          service.listen.push_back(listen);
    }
    Proxy* const backend = backend_of(front, service);
    if (front.http || (backend != nullptr && backend->http)) add_mode_note(front, service);
    if (backend != nullptr) {
      if (backend != &front && !backend->used) std::ranges::copy(backend->notes, std::back_inserter(service.notes));
      backend->used = true;
      Servers servers{service, *backend};
      check_tls(service, ends_tls, servers.run());
    }
    imported_.services.push_back(std::move(service));
  }

  static void add_mode_note(const Proxy& front, Service& service) {
    const ConfigLine& line = front.mode ? *front.mode : front.head;
    service.notes.push_back(
        {line.place, line.text,
         "hanat carries the connections as they are (mode tcp) and does not read requests: one connection stays with one server. Keep "
         "HAProxy, as a server behind hanat, where requests must be told apart",
         Loss::lost});
  }

  static void check_tls(Service& service, bool in_front, bool behind) {
    if (in_front && behind)
      service.notes.push_back(
          {service.place, "ssl",
           "HAProxy ended the clients' TLS and began another one; with hanat clients see the server's own certificate: it must be "
           "valid for the names that they use",
           Loss::lost});
    else if (in_front)
      service.refused =
          "HAProxy ends the clients' TLS (bind ... ssl), and hanat does not: give the servers the certificate and a TLS port, write "
          "that port, and take the # away; or keep HAProxy, as a server behind hanat";
    else if (behind)
      service.refused =
          "HAProxy speaks TLS to the servers for clients without TLS (server ... ssl), and hanat does not: give the servers a port "
          "without TLS, write it, and take the # away; or keep HAProxy";
  }

  Proxy* backend_of(Proxy& front, Service& service) {
    if (!front.servers.empty() || !front.default_backend) return &front;
    const std::string& name = front.default_backend->argument(1);
    for (Proxy& proxy : proxies_)
      if (proxy.name == name && (proxy.kind == "backend" || proxy.kind == "listen")) return &proxy;
    service.notes.push_back(
        {front.default_backend->place, front.default_backend->text,
         "there is no such backend in this file (HAProxy may read several): import the files as one: cat A B | hanatctl import "
         "haproxy -",
         Loss::lost});
    return nullptr;
  }

  std::vector<Proxy>& proxies_;
  Imported& imported_;
  const std::vector<Address>& any_;
};

/// Why the services have snat = "masquerade": in full once.
void explain_masquerade(Imported& imported) {
  const Service* first = nullptr;
  for (Service& service : imported.services) {
    if (service.snat != "masquerade") continue;
    service.snat_why = first != nullptr
                           ? fmt::format("as in service {}: the servers see this gateway's address", first->name)
                           : "HAProxy's servers saw the proxy's address, and replied to it. \"masquerade\" keeps that: they see this "
                             "gateway's address, and their replies come back here whatever their routes are. To show them the clients' "
                             "addresses instead, make this gateway their way back to the clients (their default route), and write snat = "
                             "\"none\"; without that route their replies would go past the gateway, and clients would hang.";
    if (first == nullptr) first = &service;
  }
}

/// "listen web 203.0.113.10:80", as it was written long ago.
void add_old_bind(Proxy& proxy) {
  if (proxy.kind == "backend" || proxy.head.arguments.size() != 3) return;
  ConfigLine line = proxy.head;
  line.arguments = {"bind", proxy.head.argument(2)};
  proxy.binds.insert(proxy.binds.begin(), std::move(line));
}

void note_section(const Section& section, Imported& imported) {
  const std::string& kind = section.head.argument(0);
  const bool of_http = kind == "cache" || kind == "http-errors" || kind == "fcgi-app" || kind == "program" || kind == "userlist";
  imported.notes.push_back({section.head.place, section.head.text,
                            of_http ? "hanat has nothing like it: keep HAProxy where you need it"
                                    : "it concerns HAProxy itself: hanat needs nothing of the kind",
                            of_http ? Loss::lost : Loss::needless});
}

} // namespace

Imported parse_haproxy(const SourceText& source, const std::vector<Address>& any) {
  const std::vector<Section> sections = read_sections(source);
  Imported imported;
  imported.system = "haproxy";
  std::vector<Proxy> proxies;
  for (const Section& section : sections) {
    const std::string& kind = section.head.argument(0);
    if (kind != "frontend" && kind != "backend" && kind != "listen" && kind != "defaults") {
      note_section(section, imported);
      continue;
    }
    Proxy proxy = read_proxy(section, sections);
    if (kind == "defaults") {
      std::ranges::move(proxy.notes, std::back_inserter(imported.notes));
      continue;
    }
    add_old_bind(proxy);
    proxies.push_back(std::move(proxy));
  }
  Assembly{proxies, imported, any}.run();
  explain_masquerade(imported);
  return imported;
}

} // namespace hanat::cli::imports
