// The link to the other gateway of a pair: what this one tells it, what follows here from what that one tells, and commands to and fro. On
// hanatd's own loop; a flip waits for none of it. Not here: HTTP and TLS (http, peer), what following means (failover/peer_follow), the
// role.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include <nlohmann/json.hpp>
#include <uv.h>

#include "daemon/api/peer_status.hpp"
#include "daemon/config/peer_config.hpp"
#include "daemon/control/pending_reply.hpp"
#include "daemon/control/server.hpp"
#include "daemon/failover/controller.hpp"
#include "daemon/links/peer_sight.hpp"
#include "daemon/pair/role.hpp"
#include "daemon/peer/changed_services.hpp"
#include "daemon/peer/peer_client.hpp"
#include "daemon/peer/peer_feed.hpp"
#include "daemon/peer/peer_listener.hpp"
#include "daemon/peer/peer_match.hpp"
#include "daemon/report/event.hpp"
#include "probes/io/uv.hpp"

namespace hanat {

class PeerLink {
public:
  struct Owner {
    std::function<void(events::Payload)> publish;
    std::function<nlohmann::json(const Call&)> run; // an operator's command. Throws ControlError
    std::function<PairPrograms()> programs;         // of this gateway
  };

  /// Begins to serve and to ask. Where it cannot serve, that is told, and it asks all the same.
  PeerLink(uv_loop_t* loop, const PeerConfig& config, Controller& controller, Owner owner);
  ~PeerLink(); // end_following() before, unless hanatd ends
  PeerLink(const PeerLink&) = delete;
  PeerLink& operator=(const PeerLink&) = delete;

  /// Something of these services may have changed; some may be gone.
  void services_changed(const std::set<std::string>& names);
  /// All of them may be configured in another way.
  void config_changed();
  /// The role of this gateway, or what is known of its programs, may be new. May be called while events are published.
  void gateway_changed(Role role);
  /// The ordinary rules decide, from where each service is now.
  void end_following();
  const PeerConfig& config() const { return config_; }
  PeerStatus status() const;
  /// Passes an operator's command on to the active gateway. nullptr: this gateway is active itself. Throws ControlError where there is no
  /// active gateway to be reached.
  std::shared_ptr<PendingReply> forward(const Call& call);

private:
  void on_page(const PeerPage& page);
  void on_command(const std::string& body, const std::function<void(HttpReply)>& reply);
  void follow(const std::set<std::string>& names);
  void apply_role();
  void work_soon();
  void work();
  void compare(const std::string& name);
  void tell(const std::string& name, Time now);

  PeerConfig config_;
  Controller& controller_;
  Role role_;
  Owner owner_;
  PeerSight sight_;
  PeerFeed feed_;
  PeerView view_;
  ChangedServices changed_; // they have to be looked at
  bool following_ = false, role_is_new_ = false;
  UvHandle<uv_timer_t> work_timer_;
  std::unique_ptr<PeerListener> listener_;
  std::unique_ptr<PeerClient> client_;
};

} // namespace hanat
