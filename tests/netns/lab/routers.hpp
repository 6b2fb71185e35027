// Routers between the Lab's client and its gateway, as at home or at a provider: each translates its clients' addresses to its own, or only
// filters, and drops what its conntrack calls invalid. Not here: the client and the gateway (lab).
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "tests/netns/lab/lab.hpp"

namespace hanat::test {

enum class RouterKind : std::uint8_t {
  translating, // masquerade, IPv4 and IPv6
  filtering,   // routes, with a stateful filter; one at the most, since the gateway knows only its net
};

class Routers {
public:
  /// The client moves behind `number` routers in a row. The one next to the gateway takes over its address there. The VIPs must be routed.
  Routers(Lab& lab, std::size_t number, RouterKind kind = RouterKind::translating);

private:
  void insert(Lab& lab, std::size_t number, RouterKind kind);

  std::vector<std::unique_ptr<Namespace>> places_;
};

} // namespace hanat::test
