// By simdjson; what that refuses is for nlohmann's library, which says what is wrong.
#include "daemon/api/service_reader.hpp"

#include "daemon/api/json_view.hpp"
#include "daemon/api/read_status.hpp"
#include "daemon/api/varlink.hpp"

namespace hanat {

struct ServiceReader::Parser : simdjson::dom::parser {};

ServiceReader::ServiceReader() : parser_(std::make_unique<Parser>()) {}
ServiceReader::~ServiceReader() = default;

ServiceStatus ServiceReader::read(std::string_view text) {
  try {
    return service_from(JsonView{parser_->parse(text.data(), text.size())});
  } catch (const simdjson::simdjson_error&) {
    return varlink::parse_json(text).get<ServiceStatus>();
  }
}

} // namespace hanat
