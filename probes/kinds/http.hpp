// Kinds http, https and grpc: one libcurl multi handle for all probes of a prober, driven by the libuv loop.
// http opens a connection for every probe, so that a dead listener is noticed at once. https reuses connections for a minute: a TLS
// handshake costs 1.5 ms of CPU. grpc does the one without TLS and the other with it. Not here: the request (http_request), what the
// response means (http_answer, grpc_answer).
#pragma once

#include <cstddef>
#include <memory>

#include "probes/pending_probe.hpp"

namespace hanat::probes {

class Timers;

class Http {
public:
  explicit Http(Timers& timers);
  ~Http(); // after every PendingProbe it started
  Http(const Http&) = delete;
  Http& operator=(const Http&) = delete;

  /// `probe` must outlive the returned PendingProbe.
  StartResult start(const Probe& probe, OnResult on_result);
  /// The number of http, https and grpc probes: sizes curl's connection cache.
  void set_probes(std::size_t count);

  struct Impl;

private:
  std::unique_ptr<Impl> impl_;
};

} // namespace hanat::probes
