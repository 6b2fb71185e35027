// A password: compared, and handed to the protocol that logs in with it. It has no text, so nothing that formats values can print it.
// Not here: the file that it comes from (daemon/config/credential_files).
#pragma once

#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace hanat::probes {

class Secret {
public:
  Secret() = default; // none
  explicit Secret(std::string value) : value_(std::make_shared<const std::string>(std::move(value))) {}

  bool empty() const { return !value_ || value_->empty(); }
  /// For the protocol that logs in, and nobody else.
  std::string_view reveal() const { return value_ ? std::string_view{*value_} : std::string_view{}; }
  bool operator==(const Secret& other) const { return value_ == other.value_ || reveal() == other.reveal(); }

  friend std::ostream& operator<<(std::ostream&, const Secret&) = delete;

private:
  std::shared_ptr<const std::string> value_;
};

} // namespace hanat::probes
