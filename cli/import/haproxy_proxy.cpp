// A line is used, lost with its reason, or needless.
#include "cli/import/haproxy_proxy.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace hanat::cli::imports {
namespace {

struct Reason {
  std::string_view words; // the line's first ones
  std::string_view why;
};
constexpr std::string_view reads_requests =
    "hanat translates packets and does not read requests: what depends on their content needs a proxy, "
    "or an address or port of its own";
constexpr Reason lost_lines[] = {
    {"acl", reads_requests},
    {"use_backend",
     "hanat does not choose a server by what a client asks: give these clients an address or port of their own, as a service"},
    {"use-server",
     "hanat does not choose a server by what a client asks: give these clients an address or port of their own, as a service"},
    {"http-request", reads_requests},
    {"http-response", reads_requests},
    {"http-after-response", reads_requests},
    {"tcp-request", "hanat accepts every client: let the firewall refuse those who may not connect"},
    {"tcp-response", reads_requests},
    {"redirect", reads_requests},
    {"reqrep", reads_requests},
    {"rspadd", reads_requests},
    {"option forwardfor",
     "hanat adds no headers. With snat = \"none\" the server sees the client's own address, if its replies pass through this "
     "gateway: then remove snat = \"masquerade\""},
    {"compression", reads_requests},
    {"filter", reads_requests},
    {"errorfile", "hanat has no error pages: while no server is up, clients are refused, or a backup answers them"},
    {"errorfiles", "hanat has no error pages: while no server is up, clients are refused, or a backup answers them"},
    {"monitor-uri", "hanat answers no requests itself: ask hanatctl status --check"},
    {"monitor", "hanat answers no requests itself: ask hanatctl status --check"},
    {"stick-table",
     "hanat has no tables: every client of a service goes to the same server anyway, and limits of rates belong to the firewall"},
    {"server-template", "hanat has no templates: write each server, by its address or its name"},
    {"email-alert",
     "a hook sends mails about servers: hook = [\"/usr/lib/hanat/hanat-hook\", \"mail\"] in [hanatd], and the steps under Outside of the "
     "sandbox in hanatd(8)"},
    {"maxconn", "hanat does not limit connections: let the server, or the firewall, do it"},
    {"fullconn", "hanat does not limit connections: let the server, or the firewall, do it"},
    {"disabled", "the section was out of use in HAProxy; hanat has it in use: remove the service if it is not to be"},
    {"use-fcgi-app", reads_requests},
    {"external-check", "hanat's program is a probe of type \"exec\": write command = [\"/path\"]"},
};
constexpr std::string_view of_a_proxy = "it concerns HAProxy's own work as a proxy: hanat holds no connections, buffers or logs of them";
constexpr std::array needless_words{"timeout",
                                    "log",
                                    "log-format",
                                    "retries",
                                    "balance",
                                    "hash-type",
                                    "stick",
                                    "cookie",
                                    "stats",
                                    "description",
                                    "id",
                                    "bind-process",
                                    "grace",
                                    "backlog",
                                    "option",
                                    "no",
                                    "log-tag",
                                    "unique-id-format",
                                    "unique-id-header",
                                    "http-reuse",
                                    "capture",
                                    "rate-limit",
                                    "persist",
                                    "retry-on",
                                    "dispatch",
                                    "enabled",
                                    "guid",
                                    "error-log-format",
                                    "log-format-sd",
                                    "load-server-state-from-file",
                                    "server-state-file-name",
                                    "declare",
                                    "max-keep-alive-queue",
                                    "clitcpka-cnt",
                                    "clitcpka-idle",
                                    "clitcpka-intvl",
                                    "srvtcpka-cnt",
                                    "srvtcpka-idle",
                                    "srvtcpka-intvl",
                                    "hash-balance-factor",
                                    "srvtimeout",
                                    "clitimeout",
                                    "contimeout"};

class ProxyParser {
public:
  explicit ProxyParser(Proxy& proxy) : proxy_{proxy} {}

  /// `defaults`: a line of default values, whose losses are told once, by the section that they stand in.
  void take(const ConfigLine& line, bool defaults) {
    const std::string& first = line.argument(0);
    if (proxy_.checks.take(line)) return;
    if (first == "mode") {
      proxy_.mode = line;
      proxy_.http = line.argument(1) == "http";
    } else if (first == "bind") {
      proxy_.binds.push_back(line);
    } else if (first == "server") {
      proxy_.servers.push_back(line);
    } else if (first == "default-server") {
      proxy_.default_servers.push_back(line);
    } else if (first == "default_backend" || (first == "use_backend" && line.arguments.size() == 2)) {
      proxy_.default_backend = line;
    } else if (first == "source") {
      proxy_.transparent_source = line;
    } else if (!defaults) {
      note(line);
    }
  }

  void note(const ConfigLine& line) {
    for (const Reason& reason : lost_lines)
      if (line.begins_with(reason.words)) return add(line, std::string{reason.why}, Loss::lost);
    if (line.argument(0).starts_with('.'))
      return add(line, "hanat.toml has no conditions: see that what stands behind it is meant, and remove it otherwise", Loss::lost);
    const bool known = std::ranges::find(needless_words, line.argument(0)) != needless_words.end();
    add(line, known ? std::string{of_a_proxy} : "hanat has nothing like it: see whether the service needs it",
        known ? Loss::needless : Loss::lost);
  }

private:
  void add(const ConfigLine& line, std::string why, Loss loss) { proxy_.notes.push_back({line.place, line.text, std::move(why), loss}); }

  Proxy& proxy_;
};

} // namespace

Proxy read_proxy(const Section& section, const std::vector<Section>& sections) {
  Proxy proxy;
  proxy.head = section.head;
  proxy.kind = section.head.argument(0);
  proxy.name = section.head.argument(1);
  ProxyParser parser{proxy};
  std::vector<const Section*> defaults; // the nearest first
  for (std::size_t index = section.defaults; index != no_section && defaults.size() < sections.size(); index = sections[index].defaults) {
    defaults.push_back(&sections[index]);
    const auto& head = sections[index].head.arguments;
    if (std::ranges::find(head, "from") == head.end()) break; // default values add to others only where they name them
  }
  for (auto set = defaults.rbegin(); set != defaults.rend(); ++set)
    for (const ConfigLine& line : (*set)->lines) parser.take(line, true);
  for (const ConfigLine& line : section.lines) parser.take(line, false);
  return proxy;
}

} // namespace hanat::cli::imports
