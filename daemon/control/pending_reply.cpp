// A queue of replies as bytes.
#include "daemon/control/pending_reply.hpp"

#include <utility>

#include <fmt/format.h>

#include "daemon/api/methods.hpp"
#include "daemon/api/varlink.hpp"

namespace hanat {

void PendingReply::send(const nlohmann::json& parameters) {
  if (is_over()) return;
  if (queue_.size() >= longest_queue)
    ++skipped_;
  else
    push(varlink::continued_bytes(parameters));
}

void PendingReply::finish(const nlohmann::json& parameters) {
  if (!is_over()) finish_with(varlink::reply_bytes(parameters));
}

void PendingReply::finish_with(std::string bytes) {
  if (is_over()) return;
  push(std::move(bytes));
  ended_ = true;
}

void PendingReply::fail(const std::string& name, const std::string& message, nlohmann::json parameters) {
  if (is_over()) return;
  parameters["message"] = message;
  push(varlink::error_bytes(fmt::format("{}.{}", control_interface, name), parameters));
  ended_ = true;
}

void PendingReply::attach(std::function<void()> on_bytes) {
  on_bytes_ = std::move(on_bytes);
  if (has_bytes() && on_bytes_) on_bytes_();
}

std::string PendingReply::take() {
  std::string bytes;
  for (const std::string& reply : std::exchange(queue_, {})) bytes += reply;
  if (skipped_ > 0) bytes += varlink::continued_bytes({{"skipped", std::exchange(skipped_, 0)}});
  return bytes;
}

void PendingReply::abandon() {
  abandoned_ = true;
  on_bytes_ = {};
  queue_.clear();
  skipped_ = 0;
}

void PendingReply::push(std::string bytes) {
  queue_.push_back(std::move(bytes));
  if (on_bytes_) on_bytes_();
}

} // namespace hanat
