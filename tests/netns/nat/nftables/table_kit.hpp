// What the tests of NftTable share: a table without an owner, a state of many services, and nft as another program that changes tables.
// Not here: the tests (table_test, table_watch_test).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <system_error>

#include <fmt/format.h>

#include "nat/nftables/table.hpp"
#include "tests/netns/lab/process.hpp"
#include "tests/netns/lab/synth.hpp"

namespace hanat::nat {

inline test::Output nft(const std::string& script) { return test::collect({"nft", "-f", "-"}, std::chrono::seconds{10}, script + "\n"); }

inline NftTable shared_table(const std::string& table = "hanat") { return NftTable{table, Ownership::shared}; }

/// `number` services; the target of all is `server`.
inline TableState services(std::uint16_t number, const char* server) {
  TableState state;
  for (std::uint16_t port = 1; port <= number; ++port) {
    const Vip listen = test::vip("203.0.113.10", port, Protocol::tcp);
    state.vips[listen] = fmt::format("service{}", port);
    state.dnat[listen] = {test::endpoint(server, port), fmt::format("service{} primary", port)};
  }
  return state;
}

/// The error if the kernel refuses the change; 0 if it accepts it.
inline int error_of(const std::function<void()>& change) {
  try {
    change();
    return 0;
  } catch (const std::system_error& error) {
    return error.code().value();
  }
}

} // namespace hanat::nat
