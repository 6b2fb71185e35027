// Each mistake with its remedy: half of a setting would be a link that never comes up, or one that anybody may use.
#include "daemon/config/peer_keys.hpp"

#include <array>
#include <cerrno>
#include <string>
#include <utility>

#include <unistd.h>

#include "daemon/config/credential_files.hpp"
#include "daemon/config/parse_values.hpp"

namespace hanat::config {
namespace {

Parsed<Endpoint> parse_gateway(std::string_view key, std::string_view example, std::string_view text) {
  const auto parsed = parse_server(text);
  const auto* const server = std::get_if<ServerPorts>(&parsed);
  const bool usable = server != nullptr && server->last == 0 && server->endpoint.port != 0 && !server->endpoint.address.is_unspecified() &&
                      !server->endpoint.address.is_multicast();
  if (usable) return server->endpoint;
  return error("pair.{0} = {1} is not the address and port of one gateway: write it like {0} = \"{2}\"", key, shown(text), example);
}

/// One of the three files. Empty: an error was reported.
std::string content_of(std::string_view key, const Field<std::string>& path, Diagnostics& diagnostics) {
  if (!path.value) return {};
  auto content = read_pem(*path.value, Privacy::is_public);
  if (auto* text = std::get_if<std::string>(&content)) return std::move(*text);
  std::string what = fmt::format("pair.{} = {}: {}", key, shown(*path.value), std::get<Error>(content).text);
  if (access(path.value->c_str(), F_OK) != 0 && errno == ENOENT)
    what += ", or make the three files of both gateways with hanat-pair-certificates (/usr/share/doc/hanat/examples/pair)";
  diagnostics.add(path.location, std::move(what));
  return {};
}

struct TlsKeys {
  Field<std::string> ca, cert, key;
  Field<bool> insecure;

  std::array<std::pair<std::string_view, const Field<std::string>*>, 3> files() const {
    return {{{"ca", &ca}, {"cert", &cert}, {"key", &key}}};
  }
  bool any() const { return ca.present || cert.present || key.present; }
  bool all() const { return ca.present && cert.present && key.present; }
  /// Of the first that is there.
  SourceLocation location() const {
    for (const auto& [name, field] : files())
      if (field->present) return field->location;
    return insecure.location;
  }
};

/// What the link uses; nullopt: plain HTTP, or an error was reported.
std::optional<PeerTls> read_tls(const TlsKeys& keys, const SourceLocation& peer, Diagnostics& diagnostics) {
  const bool insecure = keys.insecure.value.value_or(false);
  if (insecure && keys.any()) {
    diagnostics.add(keys.insecure.location, "pair.insecure_peer = true and ca, cert, key contradict each other: remove insecure_peer, and "
                                            "the gateways know each other by their certificates");
  } else if (keys.any() && !keys.all()) {
    for (const auto& [name, field] : keys.files())
      if (!field->present)
        diagnostics.add(keys.location(), fmt::format("pair.{0} is missing: TLS between the gateways needs ca, cert and key; write {0} = "
                                                     "\"/etc/hanat/peer-{0}.pem\"",
                                                     name));
  } else if (!keys.any() && !insecure && !(keys.insecure.present && !keys.insecure.value)) {
    diagnostics.add(peer, "pair.peer needs ca, cert and key, by which the gateways know each other; where nobody else can reach the link "
                          "between them, write insecure_peer = true instead");
  } else if (keys.all()) {
    PeerTls tls{.ca = keys.ca.value.value_or(""),
                .cert = keys.cert.value.value_or(""),
                .key = keys.key.value.value_or(""),
                .ca_pem = content_of("ca", keys.ca, diagnostics),
                .cert_pem = content_of("cert", keys.cert, diagnostics),
                .key_pem = content_of("key", keys.key, diagnostics)};
    return tls;
  }
  return std::nullopt;
}

void check_addresses(const Field<Endpoint>& peer, const Field<Endpoint>& listen, Diagnostics& diagnostics) {
  if (!listen.present)
    diagnostics.add(peer.location, "pair.peer needs pair.listen, the address of this gateway on the link between the two: write listen = "
                                   "\"198.18.9.1:9718\"; the other gateway has the two the other way round");
  if (!peer.value || !listen.value) return;
  if (peer.value->address.family() != listen.value->address.family())
    diagnostics.add(listen.location, "pair.peer and pair.listen are of different families: write both as IPv4, or both as IPv6");
  else if (peer.value->address == listen.value->address)
    diagnostics.add(listen.location, fmt::format("pair.peer and pair.listen are both {}: peer is the other gateway, listen is this one",
                                                 peer.value->address.text()));
}

} // namespace

std::optional<PeerConfig> read_peer(TableReader& reader, Diagnostics& diagnostics) {
  constexpr std::string_view peer_example = "198.18.9.2:9718", listen_example = "198.18.9.1:9718";
  const auto peer = reader.parsed<Endpoint>("peer", peer_example, [&](auto text) { return parse_gateway("peer", peer_example, text); });
  const auto listen =
      reader.parsed<Endpoint>("listen", listen_example, [&](auto text) { return parse_gateway("listen", listen_example, text); });
  const TlsKeys keys{.ca = reader.text("ca", "/etc/hanat/peer-ca.pem"),
                     .cert = reader.text("cert", "/etc/hanat/peer-cert.pem"),
                     .key = reader.text("key", "/etc/hanat/peer-key.pem"),
                     .insecure = reader.flag("insecure_peer")};
  if (!peer.present) {
    const bool alone = listen.present || keys.any() || keys.insecure.present;
    if (alone)
      diagnostics.add(listen.present ? listen.location : keys.location(),
                      "pair.peer is missing, the address of the other gateway: write peer = \"198.18.9.2:9718\", or remove listen, ca, "
                      "cert, key and insecure_peer");
    return std::nullopt;
  }
  check_addresses(peer, listen, diagnostics);
  auto tls = read_tls(keys, peer.location, diagnostics);
  if (!peer.value || !listen.value) return std::nullopt;
  return PeerConfig{.peer = *peer.value, .listen = *listen.value, .tls = std::move(tls)};
}

} // namespace hanat::config
