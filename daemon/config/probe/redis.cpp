// Reads the keys of redis probes.
// Not here: the keys of every probe (read_probe).
#include "daemon/config/probe/keys.hpp"

namespace hanat::config {

void read_redis(TableReader& reader, probes::ProbeSpec& spec) {
  static constexpr Choice<bool> roles[] = {{.text = "master", .value = true}, {.text = "replica", .value = false}};
  static constexpr Choice<bool> links[] = {{.text = "up", .value = true}};
  auto& redis = spec.edit<probes::RedisSpec>();
  const auto role = reader.choice<bool>("role", roles);
  redis.master = role.value == true;
  redis.linked = reader.choice<bool>("master_link_status", links).value.value_or(false);
  redis.replica = role.value == false || redis.linked;
  if (redis.master && redis.linked)
    reader.report_error(*reader.find("master_link_status"),
                        "probe.master_link_status is that of a replica, and role = \"master\" wants none: remove one of them");
  const bool has_user = reader.find("user") != nullptr;
  redis.user = read_name(reader, "user");
  redis.password = read_password_file(reader);
  if (spec.kind == probes::Kind::redis && has_user && redis.password.file.empty() && reader.find("password_file") == nullptr)
    reader.report_error(*reader.find("user"), "probe.user needs a password: write password_file = \"/etc/hanat/password\" as well");
}

} // namespace hanat::config
