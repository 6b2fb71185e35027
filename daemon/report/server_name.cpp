// One form for all sentences.
#include "daemon/report/server_name.hpp"

#include <fmt/format.h>

namespace hanat::events {

std::string full_name(const ServerName& server) {
  return server.address == Endpoint{} ? server.role : fmt::format("{} ({})", server.role, hanat::to_text(server.address));
}

} // namespace hanat::events
