// The configuration reader against any bytes: it may find errors, never crash, and what it accepts keeps its promises.
#include "daemon/config.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

void must(bool promise) {
  if (!promise) std::abort();
}

void check_service(const hanat::Service& service) {
  must(!service.listen.empty() && !service.servers.empty());
  for (const hanat::Server& server : service.servers) {
    for (const hanat::Vip& vip : service.listen) {
      const auto endpoint = hanat::endpoint_for(server, vip);
      must(endpoint && (endpoint->port != 0) != hanat::is_range(vip) && endpoint->address.family() == vip.address.family());
    }
    const auto questions = hanat::questions_for(service, server);
    must(!questions.empty());
    for (const auto& question : questions) {
      must(question.server.port != 0 || !hanat::asks_over(question.spec.kind));
      must(question.spec.timeout + (service.down.fails - 1) * question.spec.fast_interval < service.down.within);
    }
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto result = hanat::parse_config({reinterpret_cast<const char*>(data), size}, "fuzz");
  if (const auto* errors = std::get_if<std::vector<hanat::ConfigError>>(&result)) {
    must(!errors->empty());
    for (const hanat::ConfigError& error : *errors)
      for (const char c : hanat::to_text(error)) must(c >= ' ' && c <= '~');
    return 0;
  }
  for (const hanat::Service& service : std::get<hanat::Config>(result).services) check_service(service);
  return 0;
}
