// Kinds http, https and grpc: one libcurl multi handle for all questions of an engine, driven by the libuv loop.
// http opens a connection for every question, so that a listener that has died is seen at once. https keeps connections and opens a new
// one after a minute: a fresh TLS handshake costs 1.5 ms of CPU. grpc does the one or the other. Not here: what the answer is worth
// (http_answer).
#pragma once

#include <cstddef>
#include <memory>

#include <uv.h>

#include "probes/asking.hpp"

namespace hanat::probes {

class Http {
public:
  explicit Http(uv_loop_t* loop);
  ~Http(); // after every Asking it gave
  Http(const Http&) = delete;
  Http& operator=(const Http&) = delete;

  /// `question` must outlive what is returned.
  Asked ask(const Question& question, Done done);
  /// How many http and https questions there are: what curl's store of connections has to hold.
  void set_questions(std::size_t count);

  struct Impl;

private:
  std::unique_ptr<Impl> impl_;
};

} // namespace hanat::probes
