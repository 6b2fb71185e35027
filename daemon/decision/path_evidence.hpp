// Do the clients of a service get an answer? What they send tells: a client without an answer sends its SYN again after 1, 3 and 7 seconds.
// The rule, while the target passes its probes:
//   a connection is unanswered when its SYN has come three times, or twice and a second has gone by, and no server has accepted or refused
//     it since; a server has accepted one whose SYN comes again all the same: that one counts when an examination has found what
//     stops the reply, which is looked for when its SYN has come three times, or when those of three have come twice. On its way behind the
//     gateway a reply is lost now and then, and some never want it;
//   clients go unanswered when a SYN has come three times, or three within ten seconds have come twice and nobody is refused at the same
//     time; and these are of two clients at least, or an examination has found what stops others than this client, too. While one is under
//     way its verdict is waited for. A client that is stopped by a rule about itself does not count;
//   that ends when all of them are answered, or one is and no SYN is repeated for ten seconds, or none is repeated for a minute, when
//     hanatd's own client, which got no answer either, gets one again, or when the target changes or goes down.
// It says nothing about a server, and nothing is moved because of it. Pure: `now` is an argument. Not here: where events come from
// (probes/passive), what is done about it (failover/client_evidence).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>

#include "daemon/decision/failure_window.hpp"
#include "nat/address.hpp"

namespace hanat {

enum class PathState : std::uint8_t {
  no_evidence, // no client has needed to repeat a SYN: they are served, or there are none
  ok,          // a client that had waited is answered
  unanswered,  // clients get no answer
};
std::string_view to_text(PathState state);

/// What is known of the server that clients are sent to.
enum class TargetState : std::uint8_t {
  passes,   // it is up, and so it was by the last result of every probe
  in_doubt, // up, and the last result of a probe says something else
  none,     // there is none, it is down, or it has been the target for a moment only
};

/// What an examination found.
struct Examined {
  enum class Verdict : std::uint8_t {
    nothing,     // that stops anybody
    client_only, // what stopped the client is about this client
    path,        // it stops others, too
  };
  Verdict verdict = Verdict::nothing;
  Address client;                 // that was examined
  bool saw_client = false;        // a packet of it was followed
  std::optional<bool> own_client; // got its answers; nullopt: nothing was sent
};

class PathEvidence {
public:
  static constexpr std::size_t connections_at_most = 1'024; // remembered, 100 KiB; with that many a count means "at least"
  static constexpr std::size_t refused_at_most = 1'024;     // clients
  static constexpr Clock::duration window = std::chrono::seconds{60};

  struct RepeatedSyn {
    Endpoint client;
    std::uint32_t sequence = 0; // one of another number is of another connection from the same port
    bool accepted = false;      // by a server, and conntrack still waits for the client's acknowledgement
  };
  void on_repeated_syn(const RepeatedSyn& syn, Time now);
  /// A server accepts a connection of the client that nobody had accepted.
  void on_answered(const Address& client, Time now);
  /// A server refuses one: that is an answer, too.
  void on_refused(const Address& client, Time now);
  /// Its old connection is in the way of a new one from the same port: hanat itself makes it wait.
  void on_reconnect(const Endpoint& client) { connections_.erase(client); }

  /// An examination of this evidence has begun.
  void on_examination(Time now);
  void on_examined(const Examined& examined, Time now);

  enum class Change : std::uint8_t { none, begun, ended };
  /// Once something is heard, and at next_wakeup().
  Change evaluate(TargetState target, Time now);
  /// When evaluate() may say something new; nullopt: nothing is remembered.
  std::optional<Time> next_wakeup() const { return next_; }

  /// By what clients have done since then.
  PathState state(Time now, Time since = {}) const;
  /// Clients that got no answer, or were refused, within the last minute. `accepted`: also those that a server has accepted.
  std::size_t unanswered(Time now, bool accepted = true) const;
  std::size_t refused(Time now) const;
  /// A connection that waits long enough to look for the cause, the newest: its next SYN is still to come.
  std::optional<Endpoint> suspect(Time now) const;
  /// Unanswered connections that evaluate() found since the last call.
  std::uint64_t take_new();

private:
  struct Connection {
    std::uint32_t sequence = 0;
    Time first{}, last{};  // repetitions
    unsigned repeated = 1; // the first SYN apart
    bool accepted = false, counted = false;
  };
  static bool is_unanswered(const Connection& connection, Time now);
  struct Verdict {
    Examined::Verdict what = Examined::Verdict::nothing;
    Time at{};
  };
  /// What examinations have shown.
  struct Examinations {
    std::map<Address, Time> excused; // clients that a rule about them stops: since when that is known
    std::optional<Verdict> verdict;
    std::optional<Time> due;    // of the examination that is under way
    bool own_is_silent = false; // hanatd's own client got no answer last time
    bool is_mended = false;     // and got one since
    bool show_path(Time now) const;
    bool confirm(std::size_t clients, Time now) const;
  };
  bool begins(Time now) const;
  bool ends(Time now) const;
  void forget_old(Time now);
  void plan(Time now);

  std::map<Endpoint, Connection> connections_; // by client
  std::map<Address, Time> refused_;            // when last
  Examinations examined_;
  std::optional<Time> answered_at_, repeated_at_, refused_at_;
  bool unanswered_ = false;
  std::uint64_t new_ = 0;
  std::optional<Time> next_;
};

} // namespace hanat
