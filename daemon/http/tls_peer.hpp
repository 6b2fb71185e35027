// Whether a TLS session is with the machine that it should be with: its certificate is of the authority and names its address.
// Not here: sessions (http_server).
#pragma once

#include <optional>
#include <string>

#include <gnutls/gnutls.h>

#include "nat/address.hpp"

namespace hanat {

/// Why the other side of the session is not to be heard; nullopt: its certificate is valid and is for this address.
std::optional<std::string> refuse_peer(gnutls_session_t session, const Address& address);

} // namespace hanat
