// Framing and JSON of varlink. Not here: the methods and their types (methods).
#include "daemon/api/varlink.hpp"

namespace hanat::varlink {
namespace {

using nlohmann::json;

constexpr int max_depth = 24; // the deepest message of ours, a status, has 7 levels

std::string framed(const json& message) {
  std::string text = to_text(message);
  text.push_back('\0');
  return text;
}

/// Ahead of the parser, which would have to be asked at each value, and takes twice as long then. What is no JSON is left to it.
bool is_too_deep(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (in_string) {
      if (c == '\\') ++at; // what it escapes ends no string
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > max_depth) return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

/// An optional flag. False when it is present and not a bool.
bool read_flag(const json& message, const char* key, bool& flag) {
  const auto found = message.find(key);
  if (found == message.end() || found->is_null()) return true;
  if (!found->is_boolean()) return false;
  flag = found->get<bool>();
  return true;
}

} // namespace

std::optional<std::string> Framer::next() {
  const auto end = buffer_.find('\0', start_);
  if (end == std::string::npos) return std::nullopt;
  std::string message = buffer_.substr(start_, end - start_);
  start_ = end + 1;
  // The rest is moved down only when most is consumed, so that many small messages cost linear time.
  if (start_ == buffer_.size() || start_ > limit_) {
    buffer_.erase(0, start_);
    start_ = 0;
  }
  return message;
}

bool Framer::too_long() const {
  const auto end = buffer_.find('\0', start_);
  return (end == std::string::npos ? buffer_.size() : end) - start_ > limit_;
}

json parse_json(std::string_view text) {
  if (is_too_deep(text)) throw json::out_of_range::create(403, "nested deeper than " + std::to_string(max_depth) + " levels", nullptr);
  return json::parse(text.begin(), text.end());
}

std::string to_text(const json& json) { return json.dump(-1, ' ', false, json::error_handler_t::replace); }

std::variant<Request, Malformed> parse_request(std::string_view text) {
  json message;
  try {
    message = parse_json(text);
  } catch (const json::parse_error& error) {
    return Malformed{"not JSON (byte " + std::to_string(error.byte) + ")"}; // the library's own text repeats the bytes received
  } catch (const json::exception& error) {
    return Malformed{"JSON nested too deep, or a number too large"};
  }
  if (!message.is_object()) return Malformed{"not a JSON object"};
  const auto method = message.find("method");
  if (method == message.end() || !method->is_string()) return Malformed{"no \"method\""};

  Request request;
  const auto& name = method->get_ref<const std::string&>();
  const auto dot = name.rfind('.');
  if (dot == std::string::npos || dot == 0 || dot + 1 == name.size()) return Malformed{"\"method\" is not interface.Method"};
  request.interface = name.substr(0, dot);
  request.method = name.substr(dot + 1);

  if (const auto parameters = message.find("parameters"); parameters != message.end() && !parameters->is_null()) {
    if (!parameters->is_object()) return Malformed{"\"parameters\" is not an object"};
    request.parameters = *parameters;
  }
  if (!read_flag(message, "oneway", request.oneway) || !read_flag(message, "more", request.more) ||
      !read_flag(message, "upgrade", request.upgrade))
    return Malformed{"\"oneway\", \"more\" and \"upgrade\" are true or false"};
  return request;
}

std::string call_bytes(std::string_view method, const json& parameters, bool more) {
  json message = {{"method", method}, {"parameters", parameters}};
  if (more) message["more"] = true;
  return framed(message);
}
std::string reply_bytes(const json& parameters) { // by hand: wrapping would copy a status of ten thousand services
  std::string text = R"({"parameters":)" + to_text(parameters) + "}";
  text.push_back('\0');
  return text;
}
std::string continued_bytes(const json& parameters) { return framed({{"parameters", parameters}, {"continues", true}}); }
std::string error_bytes(std::string_view error, const json& parameters) { return framed({{"error", error}, {"parameters", parameters}}); }

} // namespace hanat::varlink
