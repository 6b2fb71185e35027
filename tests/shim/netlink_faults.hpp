// What a test and the library preloaded into hanatd share, in a piece of memory that both have mapped: which netlink request meets which
// fault. Not here: how the fault is made (netlink_faults.cpp).
#pragma once

#include <atomic>
#include <cstdint>

namespace hanat::test {

enum class FaultAt : std::uint8_t {
  send,    // sendto() fails; the kernel hears nothing
  receive, // the kernel does its work, recvmsg() fails once; the answer can still be read
  lost,    // the kernel does its work, recvmsg() fails once in place of the answer's first datagram
  answer,  // the kernel hears nothing; the answer is a refusal with the error
  request, // the kernel hears nothing; recvmsg() fails once in place of an answer
  silence, // the kernel does its work; no answer comes
};

enum class Requests : std::uint8_t {
  changes, // batches of nf_tables, new and deleted entries of conntrack
  dumps,
};

/// All zero: no fault. One subsystem is spoken by one thread of hanatd, so the counts need no more than being whole.
struct NetlinkFault {
  std::atomic<std::uint32_t> times; // requests that are still to be hit; the test sets it last
  std::atomic<std::uint32_t> pass;  // requests of the kind that are let through before
  std::atomic<std::uint32_t> hits;  // requests that were hit
  std::atomic<FaultAt> at;
  std::atomic<Requests> requests;
  std::atomic<std::uint32_t> subsystem; // NFNL_SUBSYS_NFTABLES, NFNL_SUBSYS_CTNETLINK
  std::atomic<int> error;               // of no meaning for silence
};
static_assert(std::atomic<std::uint32_t>::is_always_lock_free && std::atomic<FaultAt>::is_always_lock_free);

/// The path of the shared memory, for the library.
constexpr const char* faults_variable = "HANAT_NETLINK_FAULT";

} // namespace hanat::test
