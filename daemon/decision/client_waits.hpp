// Do the clients of a server wait who were served until now? From a sample of them, in the order in which they came. Such a sign calls for
// probes at once, and decides nothing: a service whose clients always wait (long polling, queues) gives none, and one that pauses gives
// one. Pure. Not here: where samples come from (failover/client_samples), what a probe finds (failure_window).
#pragma once

#include <cstdint>

namespace hanat {

class ClientWaits {
public:
  enum class Sample : std::uint8_t {
    unaccepted, // no server has accepted the connection
    pending,    // one has, and there is no answer yet
    served,     // there was an answer, or the connection has ended
  };
  static constexpr unsigned in_a_row = 3;         // clients that wait
  static constexpr unsigned before_at_least = 16; // clients before them, of whom nine in ten did not wait

  /// True: the last ones wait, and those before did not.
  bool record(Sample sample);

private:
  /// Of the last 32 samples, the newest lowest.
  std::uint32_t accepted_ = 0, served_ = 0;
  std::uint8_t known_ = 0; // of them
};

} // namespace hanat
