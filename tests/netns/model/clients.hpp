// Connections that clients hold over many steps, and what the rules say of each: it lives, it is reset, or either.
// Not here: single requests (checker).
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/netns/lab/peers.hpp"
#include "tests/netns/model/rules.hpp"

namespace hanat::test::model {

struct Held {
  std::unique_ptr<TcpClient> client;
  std::uint16_t listen = 0, port = 0; // the listener's, its own
  std::string service;                // whose listener it was
  Place at;
  bool masqueraded = false;
  bool leaving = false;                            // its server has lost the traffic, and it may stay for a while
  std::optional<TestClock::time_point> until = {}; // the end of that; none: longer than a test
  bool closed = false;                             // its server's program has ended
  bool unsure = false;                             // something happened after which it may live or not
};

/// A client with one UDP socket.
struct Talker {
  std::unique_ptr<UdpClient> client;
  std::uint16_t listen = 0;
  std::string service;
  Place at;
  bool unsure = false;
};

/// What the last step did to one service.
struct Passage {
  std::optional<Place> target;
  std::vector<Move> moves = {};
  bool loose = false, by_reload = false;
  bool restless = false;                       // its way back to a better server waits for something
  std::set<std::optional<Place>> targets = {}; // where it may be
  std::optional<std::string> asked_flows = {}; // by the operator, for planned moves
};

class Clients {
public:
  explicit Clients(Lab& lab) : lab_(lab) {}

  std::size_t size() const { return held_.size(); }
  /// Connects and asks. Throws std::runtime_error when another server than `expected` answers, or none.
  void open(const ServiceSpec& service, std::uint16_t listen, const Place& expected, std::uint16_t port = 0);
  /// One UDP client more, up to a few.
  void talk(const ServiceSpec& service, std::uint16_t listen, const Place& at);
  void close(std::size_t which, bool abruptly);
  const Held& at(std::size_t which) const { return held_.at(which % held_.size()); }

  void on_program_ended(const Place& place);
  /// The state of that server, or of the way to it, has changed.
  void on_world_changed(const Place& place);
  /// conntrack forgot all flows. `moved`: the service's target has changed lately.
  void on_forgotten(const std::map<std::string, bool>& moved);
  void on_anything();

  /// Every connection is as the rules say. Throws std::runtime_error.
  void check(const Model& model, const std::map<std::string, Passage>& passages);

private:
  /// False: it is of no interest any more.
  bool check_one(Held& held, const Model& model, const std::map<std::string, Passage>& passages) const;

  /// Likewise.
  static bool check_one(Talker& talker, const Model& model, const std::map<std::string, Passage>& passages);

  Lab& lab_;
  std::vector<Held> held_;
  std::vector<Talker> talkers_;
};

} // namespace hanat::test::model
