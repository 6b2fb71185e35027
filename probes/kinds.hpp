// All kinds of probes: who asks a question of each, and what the questions of one kind share. A new kind is one file with one function that
// returns Asked, and one line in kinds.cpp. Not here: when they are asked (engine).
#pragma once

#include <cstddef>
#include <memory>

#include <uv.h>

#include "probes/asking.hpp"

namespace hanat::probes {

class Exec;
class Http;
class Icmp;

class Kinds {
public:
  explicit Kinds(uv_loop_t* loop);
  ~Kinds(); // after every Asking it gave
  Kinds(const Kinds&) = delete;
  Kinds& operator=(const Kinds&) = delete;

  /// A question that will be asked again and again, until it is removed: room is made for it.
  void add(const Question& question);
  void remove(const Question& question);
  /// `question` must outlive what is returned.
  Asked ask(const Question& question, Done done);

private:
  void count_http(const Question& question, bool more);

  uv_loop_t* loop_;
  std::size_t http_questions_ = 0;
  // each made by the first question that needs it
  std::unique_ptr<Http> http_;
  std::unique_ptr<Icmp> icmp_;
  std::unique_ptr<Exec> exec_;
};

} // namespace hanat::probes
