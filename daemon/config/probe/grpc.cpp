// Reads the keys of grpc probes.
// Not here: host (shared_keys), tls (tls_table), the keys of every probe (read_probe).
#include <algorithm>

#include "daemon/config/probe/keys.hpp"

namespace hanat::config {
namespace {

constexpr std::size_t longest_service = 256;

Parsed<std::string> parse_service(std::string_view text) {
  const bool printable = std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
  if (!text.empty() && text.size() <= longest_service && printable) return std::string{text};
  return error("probe.service = {} is not the name of a gRPC service: write it like \"shop.Cart\", or remove it to check the "
               "server as a whole",
               shown(text));
}

} // namespace

void read_grpc(TableReader& reader, probes::ProbeSpec& spec) {
  auto& grpc = spec.edit<probes::GrpcSpec>();
  grpc.service = reader.parsed<std::string>("service", "shop.Cart", parse_service).value.value_or("");
  grpc.host = read_host(reader, "host", "www.example.com");
  grpc.verify = reader.flag("verify").value.value_or(false);
}

} // namespace hanat::config
