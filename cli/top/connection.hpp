// What the live screen hears from hanatd and asks it: four threads, for the status, the events, what an operator changes, and counts of
// connections. Each waits for hanatd as long as it has to, and none holds up the keys or another one. Not here: what is asked when
// (schedule), the words (Texts, which are hanatctl's).
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "cli/top/flow_rates.hpp"
#include "cli/top/keys.hpp"
#include "cli/top/schedule.hpp"
#include "cli/top/values.hpp"
#include "daemon/api/status.hpp"
#include "nat/fd.hpp"

namespace hanat::cli::top {

/// From what hanatd says to what stands on the screen. They are called on threads, and use nothing that changes.
struct Texts {
  std::function<Head(const DaemonStatus&, WallTime)> head;
  std::function<Row(const ServiceStatus&, const Rates&, WallTime)> row;
  std::function<Event(const HistoryEntry&)> event;
  /// Asks hanatd to do it. `cancel`: as call() has it. Does not throw.
  std::function<Answer(const Change&, int cancel)> perform;
};

/// Services, and hanatd itself.
struct Heard {
  Head head;
  std::vector<Row> rows;
  bool all = false;                   // no other services are there
  std::vector<std::string> gone = {}; // they are no services any more
};
struct HeardEvents {
  std::vector<Event> events;
  bool instead = false; // of those before
};
struct Lost {
  std::string why;
};
using Mail = std::variant<Heard, HeardEvents, Lost, Standing, Answer>;

class Connection {
public:
  Connection(std::string socket, Texts texts);
  /// Waits for nothing that hanatd has not said.
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Readable while there is mail.
  int fd() const { return mailed_.get(); }
  std::vector<Mail> take();

  void set_visible(std::vector<std::string> names);
  void ask(Change change);
  void ask(CountOf count);

private:
  void post(Mail mail);
  bool wait_before(Schedule::Time time); // false: it is over
  void follow_status();
  void ask_for(const Schedule::Work& work);
  void follow_events();
  void take_event(const nlohmann::json& reply);
  void carry_out();
  void count_when_asked();
  Standing count(const std::string& service) const;

  const std::string socket_;
  const Texts texts_;
  FlowRates rates_; // of the thread that follows the status
  Fd cancel_, mailed_;
  std::mutex mutex_; // of what follows
  std::condition_variable changed_;
  bool over_ = false;
  std::vector<Mail> mail_;
  Schedule schedule_;
  std::vector<Change> changes_;
  std::optional<CountOf> count_; // an older one is not waited for any more
  std::vector<std::thread> threads_;
};

} // namespace hanat::cli::top
