// One multicast group.
#include "nat/nftables/trace_reader.hpp"

#include <array>
#include <utility>

#include <net/if.h>

#include <linux/netfilter/nfnetlink.h>

namespace hanat::nat {
namespace {

// In one turn; the rest is read in the next.
constexpr std::size_t reports_per_turn = 4'096;

} // namespace

TraceReader::TraceReader(std::size_t bytes) : socket_(bytes) { socket_.listen(NFNLGRP_NFTRACE, true); }

const std::string& TraceReader::name_of_interface(std::uint32_t number) {
  const auto [known, added] = interfaces_.try_emplace(number);
  std::array<char, IF_NAMESIZE> name{};
  if (added && number != 0 && if_indextoname(number, name.data()) != nullptr) known->second = name.data();
  return known->second;
}

bool TraceReader::read(const std::function<void(TraceStep)>& on_step) {
  return socket_.drain(
      [&](const nlmsghdr& message) {
        TraceInterfaces interfaces;
        auto step = trace_step_in(message, interfaces);
        if (!step) return;
        step->iif = name_of_interface(interfaces.iif);
        step->oif = name_of_interface(interfaces.oif);
        on_step(*std::move(step));
      },
      reports_per_turn);
}

} // namespace hanat::nat
