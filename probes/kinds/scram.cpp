// The exchange, and the memory of derived keys.
#include "probes/kinds/scram.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <mutex>
#include <utility>

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "probes/kinds/digest.hpp"

namespace hanat::probes {

/// Empty until they have been computed. Written once, by the thread that computes them, before the loop looks at them.
struct Scram::Keys {
  std::string client, stored, server;
};

namespace {

constexpr unsigned most_iterations = 1'000'000; // PostgreSQL's are 4,096; a million are 0.4 s of a thread
constexpr std::size_t most_kept = 4'096;        // 100 bytes each

/// Keys that have been computed, by what they were computed from.
class KeptKeys {
public:
  std::shared_ptr<Scram::Keys> find(const std::string& of) {
    const std::lock_guard lock{mutex_};
    const auto found = keys_.find(of);
    return found == keys_.end() ? nullptr : found->second;
  }
  void keep(const std::string& of, std::shared_ptr<Scram::Keys> keys) {
    const std::lock_guard lock{mutex_};
    if (keys_.size() >= most_kept) keys_.clear(); // salts and passwords change rarely
    keys_[of] = std::move(keys);
  }

private:
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Scram::Keys>, std::less<>> keys_;
};

KeptKeys& kept_keys() {
  static KeptKeys keys;
  return keys;
}

std::string derived_from(const Secret& password, std::string_view salt, unsigned iterations) {
  return sha256(fmt::format("{} {} {}", sha256(password.reveal()), sha256(salt), iterations));
}

void derive(const Secret& password, const std::string& salt, unsigned iterations, Scram::Keys& keys) {
  std::string salted(32, '\0');
  const std::string_view text = password.reveal();
  if (PKCS5_PBKDF2_HMAC(text.data(), static_cast<int>(text.size()), reinterpret_cast<const unsigned char*>(salt.data()),
                        static_cast<int>(salt.size()), static_cast<int>(iterations), EVP_sha256(), static_cast<int>(salted.size()),
                        reinterpret_cast<unsigned char*>(salted.data())) != 1)
    return;
  keys.server = hmac_sha256(salted, "Server Key");
  keys.stored = sha256(hmac_sha256(salted, "Client Key"));
  keys.client = hmac_sha256(salted, "Client Key");
  OPENSSL_cleanse(salted.data(), salted.size());
}

/// The value of "x=value" at the front, which is consumed up to the next comma.
std::optional<std::string_view> take_attribute(std::string_view& message, char name) {
  if (message.size() < 2 || message[0] != name || message[1] != '=') return std::nullopt;
  const auto end = std::min(message.find(','), message.size());
  const std::string_view value = message.substr(2, end - 2);
  message.remove_prefix(std::min(end + 1, message.size()));
  return value;
}

} // namespace

Scram::Scram(Secret password, std::string end_point, bool bound, std::string nonce)
    : password_(std::move(password)), end_point_(std::move(end_point)), bound_(bound && !end_point_.empty()),
      nonce_(nonce.empty() ? to_base64(random_bytes(18)) : std::move(nonce)) {}

std::string_view Scram::mechanism() const { return bound_ ? "SCRAM-SHA-256-PLUS" : "SCRAM-SHA-256"; }

/// "y" tells a server that does offer a binding that somebody between the two has removed the offer.
std::string Scram::gs2_header() const { return bound_ ? "p=tls-server-end-point,," : end_point_.empty() ? "n,," : "y,,"; }

/// The name is that of the login, which the server knows.
std::string Scram::first_message() const { return fmt::format("{}n=,r={}", gs2_header(), nonce_); }

std::string Scram::on_server_first(std::string_view message) {
  std::string_view rest = message;
  const auto nonce = take_attribute(rest, 'r'), salt = take_attribute(rest, 's'), count = take_attribute(rest, 'i');
  if (!nonce || !salt || !count) return "no SCRAM message";
  if (!nonce->starts_with(nonce_) || nonce->size() == nonce_.size()) return "a nonce that is not ours";
  const auto bytes = from_base64(*salt);
  const auto [end, failure] = std::from_chars(count->data(), count->data() + count->size(), iterations_);
  if (!bytes || bytes->empty() || failure != std::errc{} || end != count->data() + count->size() || iterations_ == 0)
    return "no salt, or no number of iterations";
  if (iterations_ > most_iterations) return fmt::format("{} iterations, more than a probe computes", iterations_);
  server_first_ = message;
  server_nonce_ = *nonce;
  salt_ = *bytes;
  keys_ = kept_keys().find(derived_from(password_, salt_, iterations_));
  if (!keys_) keys_ = std::make_shared<Keys>();
  return {};
}

std::function<void()> Scram::work() const {
  if (!keys_->client.empty()) return nullptr;
  return [keys = keys_, password = password_, salt = salt_, iterations = iterations_] {
    derive(password, salt, iterations, *keys);
    if (!keys->client.empty()) kept_keys().keep(derived_from(password, salt, iterations), keys);
  };
}

std::optional<std::string> Scram::final_message() {
  if (keys_->client.empty()) return std::nullopt;
  const std::string without_proof = fmt::format("c={},r={}", to_base64(gs2_header() + (bound_ ? end_point_ : "")), server_nonce_);
  const std::string all = fmt::format("n=,r={},{},{}", nonce_, server_first_, without_proof);
  server_signature_ = hmac_sha256(keys_->server, all);
  return fmt::format("{},p={}", without_proof, to_base64(bytes_xor(keys_->client, hmac_sha256(keys_->stored, all))));
}

bool Scram::verify(std::string_view message) const {
  const auto signature = take_attribute(message, 'v');
  const auto bytes = signature ? from_base64(*signature) : std::nullopt;
  return bytes && !server_signature_.empty() && *bytes == server_signature_;
}

} // namespace hanat::probes
