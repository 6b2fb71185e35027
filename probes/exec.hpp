// Kind exec: a program of the operator's asks the server; its exit status 0 is the right answer. No shell. It and all that it started are
// killed when it has answered, and at the deadline. Not here: what an exit status is worth (exec_answer).
#pragma once

#include <memory>

#include <uv.h>

#include "probes/asking.hpp"

namespace hanat::probes {

class Exec {
public:
  explicit Exec(uv_loop_t* loop);
  ~Exec(); // after every Asking it gave
  Exec(const Exec&) = delete;
  Exec& operator=(const Exec&) = delete;

  /// `question` must outlive what is returned.
  Asked ask(const Question& question, Done done);

  /// Programs at once; those that were killed and are not gone yet count. More would take the machine from the services it carries.
  static constexpr std::size_t most_programs = 64;

  struct Impl;

private:
  uv_loop_t* loop_;
  std::unique_ptr<Impl> impl_; // made by the first question: it has a thread
};

} // namespace hanat::probes
