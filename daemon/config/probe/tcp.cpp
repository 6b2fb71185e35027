// Reads the keys of tcp probes.
// Not here: how send and expect are written (send_expect), the keys of every probe (read_probe).
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "daemon/config/probe/keys.hpp"

namespace hanat::config {

void read_tcp(TableReader& reader, probes::ProbeSpec& spec) {
  probes::SendExpectSpec send_expect;
  read_send_expect(reader, send_expect);
  if (send_expect != probes::SendExpectSpec{}) spec.edit<probes::SendExpectSpec>() = std::move(send_expect);
  const auto expects = [&](std::string_view key) { return key.starts_with("expect") && reader.find(key) != nullptr; };
  if (std::ranges::any_of(send_expect_keys, expects)) return;
  for (const std::string_view key : send_expect_keys)
    if (const toml::node* node = reader.find(key))
      reader.report_error(*node,
                          fmt::format("probe.{0} without expect would ignore the response: write expect = \"...\" with what a correct "
                                      "response contains, or remove {0}",
                                      key));
}

} // namespace hanat::config
