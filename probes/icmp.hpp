// Kind icmp: does the host answer an echo request? One raw socket for all questions of a family, source and interface: with a socket each,
// every one of them would get every reply. Not here: the messages (icmp_message).
#pragma once

#include <memory>

#include <uv.h>

#include "probes/asking.hpp"

namespace hanat::probes {

class Icmp {
public:
  explicit Icmp(uv_loop_t* loop);
  ~Icmp(); // after every Asking it gave
  Icmp(const Icmp&) = delete;
  Icmp& operator=(const Icmp&) = delete;

  /// `question` must outlive what is returned.
  Asked ask(const Question& question, Done done);

  struct Impl;

private:
  std::unique_ptr<Impl> impl_;
};

} // namespace hanat::probes
