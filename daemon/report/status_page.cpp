// Puts style and script into the page, and their digests into its policy.
#include "daemon/report/status_page.hpp"

#include <array>
#include <stdexcept>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

namespace hanat {
namespace {

/// "'sha256-...'", as a Content-Security-Policy names what stands between <script> and </script>.
std::string digest_of(std::string_view text) {
  std::array<unsigned char, 32> digest{};
  if (gnutls_hash_fast(GNUTLS_DIG_SHA256, text.data(), text.size(), digest.data()) != 0) throw std::runtime_error("no SHA-256 in GnuTLS");
  const gnutls_datum_t bytes{.data = digest.data(), .size = digest.size()};
  gnutls_datum_t encoded{};
  if (gnutls_base64_encode2(&bytes, &encoded) != 0) throw std::bad_alloc();
  const std::string result = fmt::format("'sha256-{}'", std::string_view{reinterpret_cast<const char*>(encoded.data), encoded.size});
  gnutls_free(encoded.data);
  return result;
}

void put(std::string& page, std::string_view mark, std::string_view text) {
  const std::size_t at = page.find(mark);
  if (at == std::string::npos) throw std::logic_error(fmt::format("the status page has no {}", mark));
  page.replace(at, mark.size(), text);
}

} // namespace

HttpReply status_page() {
  std::string page{page_html};
  put(page, "%SCRIPT%", page_script);
  put(page, "%STYLE%", page_style);
  std::string policy =
      fmt::format("default-src 'none'; script-src {}; style-src {}; connect-src 'self'; base-uri 'none'; form-action 'none'; "
                  "frame-ancestors 'none'",
                  digest_of(page_script), digest_of(page_style));
  return with_common_headers({.body = std::move(page),
                              .type = "text/html; charset=utf-8",
                              .headers = {{"Content-Security-Policy", std::move(policy)}, {"X-Frame-Options", "DENY"}}});
}

HttpReply with_common_headers(HttpReply reply) {
  reply.headers.emplace_back("Cache-Control", "no-store");
  reply.headers.emplace_back("X-Content-Type-Options", "nosniff");
  reply.headers.emplace_back("Referrer-Policy", "no-referrer");
  return reply;
}

} // namespace hanat
