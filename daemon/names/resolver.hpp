// Asks DNS by c-ares on the loop. The servers are those of /etc/resolv.conf, which is read on a thread, or the one that is set. No look-up
// by NSS: neither /etc/hosts nor a directory service is asked. Not here: when what is asked, and what an answer means (name_record, names).
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>

#include <uv.h>

#include "daemon/names/name_record.hpp"
#include "daemon/util/job_queue.hpp"
#include "nat/address.hpp"

namespace hanat {

class Resolver {
public:
  using OnAnswer = std::function<void(const NameQuery& query, NameAnswer answer)>;
  Resolver(uv_loop_t* loop, OnAnswer on_answer);
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  /// Reads the servers anew. `server`: instead of those of /etc/resolv.conf. Queries that wait for an answer are asked again there.
  void use(const std::optional<Endpoint>& server);
  /// The answer comes later, always, and at the latest after some seconds. Each name once at a time.
  void ask(const NameQuery& query);

private:
  class Channel;
  struct Pending;

  void make_channel();
  void on_made(std::unique_ptr<Channel> made);
  void ask_waiting();
  void on_answer(const Pending& pending, int status, void* found);

  uv_loop_t* loop_;
  OnAnswer on_answer_;
  std::optional<Endpoint> server_;
  std::unique_ptr<Channel> channel_; // null: none is made yet
  std::deque<NameQuery> waiting_;
  std::size_t asked_ = 0;                  // queries under way
  bool replacing_ = false, stale_ = false; // the channel; the servers may be others
  bool sending_ = false;
  JobQueue jobs_;
};

} // namespace hanat
