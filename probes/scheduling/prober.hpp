// Starts a probe of any kind, and owns what the probes of one kind share. A new kind is one file in kinds/ with one function that returns
// StartResult, and one line in prober.cpp. Not here: when probes run (scheduler).
#pragma once

#include <cstddef>
#include <memory>

#include <uv.h>

#include "probes/io/timers.hpp"
#include "probes/pending_probe.hpp"

namespace hanat::probes {

class Exec;
class Http;
class Icmp;
class Tcp;
class TlsSessions;

class Prober {
public:
  explicit Prober(uv_loop_t* loop);
  ~Prober(); // after every PendingProbe it started
  Prober(const Prober&) = delete;
  Prober& operator=(const Prober&) = delete;

  /// Announces a probe that runs repeatedly until it is removed, which sizes shared resources.
  void add(const Probe& probe);
  void remove(const Probe& probe);
  /// Of every probe that it starts.
  Timers& timers() { return timers_; }
  /// `probe` must outlive the returned PendingProbe.
  StartResult start(const Probe& probe, OnResult on_result);

private:
  void count_http(const Probe& probe, bool added);

  Timers timers_;
  std::size_t http_probes_ = 0;
  std::unique_ptr<TlsSessions> tls_sessions_;
  // each made for the first probe that needs it
  std::unique_ptr<Tcp> tcp_;
  std::unique_ptr<Http> http_;
  std::unique_ptr<Icmp> icmp_;
  std::unique_ptr<Exec> exec_;
};

} // namespace hanat::probes
