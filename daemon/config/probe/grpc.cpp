// Reads the keys of grpc probes.
// Not here: host (shared_keys), the keys of every probe (read_probe).
#include <algorithm>

#include <fmt/format.h>

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
  grpc.tls = reader.flag("tls").value.value_or(false);
  grpc.verify = reader.flag("verify").value.value_or(false);
  if (spec.kind == probes::Kind::grpc && grpc.verify && !grpc.tls)
    reader.report_error(*reader.find("verify"), "probe.verify = true without TLS checks nothing: write tls = true as well");
}

} // namespace hanat::config
