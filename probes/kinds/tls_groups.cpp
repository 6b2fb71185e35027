// The extension supported_groups of a ClientHello (RFC 8446, 4.1.2 and 4.2.7).
#include "probes/kinds/tls_groups.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "probes/io/wire_reader.hpp"

namespace hanat::probes {
namespace {

constexpr std::uint32_t supported_groups = 10;

struct FreeConnection {
  void operator()(SSL* connection) const { SSL_free(connection); }
};

/// Of a ClientHello in one TLS record.
std::string_view groups_in(std::string_view record) {
  WireReader reader{record};
  reader.bytes(5 + 4 + 2 + 32); // of the record, of the message, version, random
  reader.bytes(reader.big(1));  // session
  reader.bytes(reader.big(2));  // ciphers
  reader.bytes(reader.big(1));  // compression
  WireReader extensions{reader.bytes(reader.big(2))};
  while (!reader.failed() && !extensions.failed() && !extensions.rest().empty()) {
    const std::uint32_t type = extensions.big(2);
    const std::string_view content = extensions.bytes(extensions.big(2));
    if (type == supported_groups && !extensions.failed()) return content.substr(std::min<std::size_t>(content.size(), 2));
  }
  return {};
}

std::string client_hello(SSL* connection) {
  BIO* in = BIO_new(BIO_s_mem());
  BIO* out = BIO_new(BIO_s_mem());
  SSL_set_bio(connection, in, out); // takes ownership of both, even if one is null
  if (in == nullptr || out == nullptr) return {};
  SSL_set_connect_state(connection);
  SSL_do_handshake(connection); // waits for an answer
  char* bytes = nullptr;
  const long count = BIO_get_mem_data(out, &bytes);
  return count > 0 ? std::string{bytes, static_cast<std::size_t>(count)} : std::string{};
}

} // namespace

TlsGroups TlsGroups::of(SSL_CTX* context) {
  TlsGroups groups;
  const std::unique_ptr<SSL, FreeConnection> connection{SSL_new(context)};
  if (!connection) return groups;
  const std::string hello = client_hello(connection.get());
  WireReader reader{groups_in(hello)};
  while (!reader.rest().empty()) {
    const int group = static_cast<int>(reader.big(2));
    if (reader.failed()) break;
    if (const char* name = SSL_group_to_name(connection.get(), TLSEXT_nid_unknown | group)) groups.names_.emplace_back(name);
  }
  ERR_clear_error();
  return groups;
}

std::string_view TlsGroups::better(const SSL* connection) const {
  auto* tls = const_cast<SSL*>(connection);                            // OpenSSL only asks it
  if (names_.empty() || SSL_version(tls) != TLS1_3_VERSION) return {}; // before 1.3 the server's answer to the list costs nothing
  const long group = SSL_ctrl(tls, SSL_CTRL_GET_NEGOTIATED_GROUP, 0, nullptr);
  const char* name = group == NID_undef ? nullptr : SSL_group_to_name(tls, static_cast<int>(group));
  if (name == nullptr || name == names_.front()) return {};
  const auto known = std::ranges::find(names_, std::string_view{name});
  return known == names_.end() ? std::string_view{} : *known;
}

/// SSL_set1_groups_list is a macro with a C cast.
void TlsGroups::begin_with(SSL* connection, std::string_view group) const {
  std::string list{group};
  for (const std::string& name : names_)
    if (name != group) list += ':' + name;
  SSL_ctrl(connection, SSL_CTRL_SET_GROUPS_LIST, 0, list.data()); // if it fails, the list is as before
}

} // namespace hanat::probes
