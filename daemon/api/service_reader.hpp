// Reads the status of services from their JSON, one after the other, without a tree of each. Not here: where they come from
// (status_call).
#pragma once

#include <memory>
#include <string_view>

#include "daemon/api/status.hpp"

namespace hanat {

class ServiceReader {
public:
  ServiceReader();
  ~ServiceReader();
  ServiceReader(const ServiceReader&) = delete;
  ServiceReader& operator=(const ServiceReader&) = delete;

  /// The same as from a tree. Throws nlohmann::json::exception when it is no JSON, or a key is missing or has another type.
  ServiceStatus read(std::string_view text);

private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

} // namespace hanat
