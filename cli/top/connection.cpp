// The threads share a mailbox, the schedule and what is asked of them, under one lock that nobody holds while hanatd is asked.
#include "cli/top/connection.hpp"

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <exception>
#include <system_error>
#include <utility>

#include <nlohmann/json.hpp>
#include <sys/eventfd.h>
#include <unistd.h>

#include "daemon/api/client.hpp"
#include "daemon/api/connections.hpp"
#include "daemon/api/status_call.hpp"

namespace hanat::cli::top {
namespace {

using nlohmann::json;
using Monotonic = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::chrono::seconds patience{5}; // hanatd that hangs is to be seen soon
constexpr std::chrono::seconds patience_for_all{10};
constexpr milliseconds pause_of_follower{500};
constexpr int first_events = 50;

Fd make_event() {
  Fd fd{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  if (!fd) throw std::system_error(errno, std::generic_category(), "make an eventfd");
  return fd;
}

void ring(const Fd& event) {
  const std::uint64_t one = 1;
  static_cast<void>(!write(event.get(), &one, sizeof one)); // it is readable already when that fails
}

} // namespace

Connection::Connection(std::string socket, Texts texts)
    : socket_(std::move(socket)), texts_(std::move(texts)), cancel_(make_event()), mailed_(make_event()) {
  threads_.emplace_back([this] { follow_status(); });
  threads_.emplace_back([this] { follow_events(); });
  threads_.emplace_back([this] { carry_out(); });
  threads_.emplace_back([this] { count_when_asked(); });
}

Connection::~Connection() {
  {
    const std::lock_guard lock{mutex_};
    over_ = true;
  }
  ring(cancel_);
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Connection::post(Mail mail) {
  const std::lock_guard lock{mutex_};
  mail_.push_back(std::move(mail));
  ring(mailed_);
}

std::vector<Mail> Connection::take() {
  std::uint64_t number = 0;
  static_cast<void>(!read(mailed_.get(), &number, sizeof number)); // nothing is there when that fails; before the mail is taken
  const std::lock_guard lock{mutex_};
  return std::exchange(mail_, {});
}

void Connection::set_visible(std::vector<std::string> names) {
  const std::lock_guard lock{mutex_};
  schedule_.set_visible(std::move(names));
}

void Connection::ask(Change change) {
  const std::lock_guard lock{mutex_};
  changes_.push_back(std::move(change));
  changed_.notify_all();
}

void Connection::ask(CountOf count) {
  const std::lock_guard lock{mutex_};
  count_ = std::move(count);
  changed_.notify_all();
}

// ---- the status

void Connection::follow_status() {
  for (;;) {
    Schedule::Work work;
    {
      std::unique_lock lock{mutex_};
      for (;;) {
        if (over_) return;
        if (auto due = schedule_.due(Monotonic::now())) {
          work = std::move(*due);
          break;
        }
        changed_.wait_until(lock, schedule_.next());
      }
    }
    try {
      ask_for(work);
    } catch (const std::exception& error) { // no hanatd, or one that is older or newer than this program
      post(Lost{error.what()});
      const std::lock_guard lock{mutex_};
      schedule_.failed(Monotonic::now());
    }
  }
}

void Connection::ask_for(const Schedule::Work& work) {
  const auto began = Monotonic::now();
  Heard heard{.head = {}, .rows = {}, .all = work.all};
  const auto add = [&](const json& parameters) {
    const Status status = call_status(socket_, parameters, work.all ? patience_for_all : patience, cancel_.get());
    const WallTime now = wall_now();
    heard.head = texts_.head(status.daemon, now);
    const auto moment = Monotonic::now();
    for (const ServiceStatus& service : status.services) heard.rows.push_back(texts_.row(service, rates_.update(service, moment), now));
  };
  if (work.all) add(json::object());
  for (const std::string& name : work.names) {
    try {
      add({{"service", name}});
    } catch (const Refusal& refusal) {
      if (refusal.name != "UnknownService") throw;
      heard.gone.push_back(name);
    }
  }
  const bool nothing = heard.rows.empty() && !work.all; // and no head
  if (!nothing) post(std::move(heard));
  const auto now = Monotonic::now();
  const std::lock_guard lock{mutex_};
  if (work.all)
    schedule_.all_done(now, now - began);
  else
    schedule_.some_done(now);
  if (nothing) schedule_.mark_all();
}

// ---- the events

/// False: it is over.
bool Connection::wait_before(Schedule::Time time) {
  std::unique_lock lock{mutex_};
  changed_.wait_until(lock, time, [this] { return over_; });
  return !over_;
}

void Connection::follow_events() {
  do {
    try {
      call_more(
          socket_, "Follow", json::object(),
          [this](const json& reply) {
            take_event(reply);
            return true;
          },
          patience, cancel_.get());
    } catch (const std::exception&) { // NOLINT(bugprone-empty-catch): the status says what is wrong
    }
  } while (wait_before(Monotonic::now() + pause_of_follower));
}

/// The first reply has no event, nor has one that stands for some that were left out: the last ones are asked for.
void Connection::take_event(const json& reply) {
  const auto event = reply.find("event");
  const bool has_event = event != reply.end() && !event->is_null();
  HeardEvents heard{.events = {}, .instead = !has_event};
  std::vector<HistoryEntry> entries;
  if (has_event)
    entries.push_back(event->get<HistoryEntry>());
  else
    entries = call(socket_, "History", {{"last", first_events}}, patience, cancel_.get()).at("history").get<std::vector<HistoryEntry>>();
  for (const HistoryEntry& entry : entries) heard.events.push_back(texts_.event(entry));
  post(std::move(heard));
  const std::lock_guard lock{mutex_};
  if (!has_event || entries.front().service.empty())
    schedule_.mark_all();
  else
    schedule_.mark(entries.front().service);
  changed_.notify_all();
}

// ---- what an operator wants

void Connection::carry_out() {
  for (;;) {
    Change change;
    {
      std::unique_lock lock{mutex_};
      changed_.wait(lock, [this] { return over_ || !changes_.empty(); });
      if (over_) return;
      change = std::move(changes_.front());
      changes_.erase(changes_.begin());
    }
    post(texts_.perform(change, cancel_.get()));
  }
}

void Connection::count_when_asked() {
  for (;;) {
    std::string service;
    {
      std::unique_lock lock{mutex_};
      changed_.wait(lock, [this] { return over_ || count_; });
      if (over_ || !count_) return;
      service = std::move(count_->service);
      count_.reset();
    }
    post(count(service));
  }
}

Standing Connection::count(const std::string& service) const {
  Standing standing{.service = service};
  try {
    const json reply = call(socket_, "Connections", {{"service", service}}, patience, cancel_.get());
    const auto report = reply.at("connections").get<ConnectionsReport>();
    standing.on_forced = report.on_forced;
    for (const ConnectionServer& server : report.servers)
      if (!server.role.empty()) standing.live[server.role] = server.counts.live();
  } catch (const std::exception& error) {
    standing.failure = error.what();
  }
  return standing;
}

} // namespace hanat::cli::top
