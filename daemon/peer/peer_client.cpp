// One transfer that repeats itself, and one for each command.
#include "daemon/peer/peer_client.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <chrono>
#include <list>
#include <new>
#include <stdexcept>
#include <utility>

#include <curl/curl.h>
#include <fmt/format.h>

#include "daemon/peer/own_address.hpp"
#include "nat/printable.hpp"
#include "probes/io/curl_multi.hpp"
#include "probes/io/uv.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;

constexpr long connect_ms = 1'000;
constexpr long page_ms = 3'000;    // the other gateway answers within a second
constexpr long command_ms = 5'000; // it waits until the command is in its state file
constexpr auto first_pause = 50ms, longest_pause = 1000ms;
constexpr long http_ok = 200, http_forbidden = 403;

struct FreeEasy {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

std::string url_of(const PeerConfig& config, std::string_view path) {
  return fmt::format("{}://{}{}", config.tls ? "https" : "http", to_text(config.peer), path);
}

/// One request and what comes of it.
class Request : public probes::CurlTransfer {
public:
  Request(probes::CurlMulti& multi, const PeerConfig& config, long limit_ms) : multi_(multi), easy_(curl_easy_init()) {
    if (!easy_) throw std::bad_alloc{};
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_PROXY, "");
    set(CURLOPT_PROTOCOLS_STR, config.tls ? "https" : "http");
    set(CURLOPT_FOLLOWLOCATION, 0L);
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set(CURLOPT_CONNECTTIMEOUT_MS, connect_ms);
    set(CURLOPT_TIMEOUT_MS, limit_ms);
    set(CURLOPT_TCP_KEEPALIVE, 1L);
    set(CURLOPT_INTERFACE, ("host!" + config.listen.address.text()).c_str()); // the other gateway hears nobody else
    set(CURLOPT_ERRORBUFFER, error_.data());
    set(CURLOPT_WRITEDATA, this);
    set(
        CURLOPT_WRITEFUNCTION, +[](char* bytes, std::size_t, std::size_t count, void* self) -> std::size_t {
          return static_cast<Request*>(self)->take({bytes, count}) ? count : CURL_WRITEFUNC_ERROR;
        });
    if (config.tls) set_tls(*config.tls);
  }
  ~Request() override { stop(); }
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

protected:
  template <typename Value> void set(CURLoption option, Value value) {
    if (const CURLcode code = curl_easy_setopt(easy_.get(), option, value); code != CURLE_OK)
      throw std::runtime_error(fmt::format("libcurl refuses an option: {}", curl_easy_strerror(code)));
  }
  void begin(const std::string& url) {
    set(CURLOPT_URL, url.c_str());
    body_.clear();
    error_.front() = '\0';
    multi_.add(easy_.get(), *this);
  }
  void stop() { multi_.remove(easy_.get()); }
  /// Why it failed; empty: a reply came.
  std::string failure(CURLcode code) const {
    if (code == CURLE_OK) return {};
    if (too_long_) return fmt::format("its answer is longer than {} bytes", longest_peer_page);
    const std::string text = error_.front() != '\0' ? error_.data() : curl_easy_strerror(code);
    return printable(text.substr(0, 200));
  }
  long status() const {
    long status = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
    return status;
  }
  const std::string& body() const { return body_; }

private:
  void set_tls(const PeerTls& tls) {
    for (const auto& [option, text] :
         {std::pair{CURLOPT_CAINFO_BLOB, &tls.ca_pem}, {CURLOPT_SSLCERT_BLOB, &tls.cert_pem}, {CURLOPT_SSLKEY_BLOB, &tls.key_pem}}) {
      curl_blob blob{.data = const_cast<char*>(text->data()), .len = text->size(), .flags = CURL_BLOB_COPY};
      set(option, &blob);
    }
    set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    set(CURLOPT_CAPATH, static_cast<char*>(nullptr)); // no other authority
    set(CURLOPT_SSL_VERIFYPEER, 1L);
    set(CURLOPT_SSL_VERIFYHOST, 2L); // by the subject alternative name of the peer's address
  }
  bool take(std::string_view bytes) {
    too_long_ = body_.size() + bytes.size() > longest_peer_page;
    if (!too_long_) body_ += bytes;
    return !too_long_;
  }

  probes::CurlMulti& multi_;
  std::unique_ptr<CURL, FreeEasy> easy_;
  std::array<char, CURL_ERROR_SIZE> error_{};
  std::string body_;
  bool too_long_ = false;
};

/// What a page that is no page says.
std::string status_text(long status, const std::string& body) {
  const std::string text = printable(body.substr(0, std::min<std::size_t>(body.find('\n'), 200)));
  if (status == http_forbidden) return fmt::format("it does not hear this gateway: {}", text);
  return fmt::format("it answers with HTTP status {}: {}", status, text);
}

class Poll final : public Request {
public:
  Poll(probes::CurlMulti& multi, const PeerConfig& config, PeerClient::Callbacks callbacks)
      : Request(multi, config, page_ms), config_(config), callbacks_(std::move(callbacks)), timer_(make_timer(multi.loop(), this)) {
    again_in(0ms);
  }

  void on_done(CURLcode code) override {
    stop();
    std::string why = failure(code);
    if (code == CURLE_INTERFACE_FAILED) why = wrong_addresses(config_).value_or(why); // the packets' source address is not here
    if (why.empty() && status() != http_ok) why = status_text(status(), body());
    if (why.empty()) {
      const auto parsed = parse_peer_page(body(), Clock::now(), wall_now());
      if (const auto* page = std::get_if<PeerPage>(&parsed)) return take(*page);
      why = "its page cannot be read: " + std::get<std::string>(parsed);
    }
    again_in(pause_);
    pause_ = std::min<std::chrono::milliseconds>(2 * pause_, longest_pause);
    callbacks_.failed(why); // last: it may end this object
  }

private:
  void take(const PeerPage& page) {
    instance_ = page.instance;
    after_ = page.serial;
    pause_ = first_pause;
    again_in(0ms);
    callbacks_.page(page);
  }
  void again_in(std::chrono::milliseconds pause) {
    probes::start_at(*timer_, Clock::now() + pause, [](uv_timer_t* due) { static_cast<Poll*>(due->data)->ask(); });
  }
  void ask() {
    std::string instance = printable(instance_);
    std::erase_if(instance, [](char c) { return (std::isalnum(static_cast<unsigned char>(c)) == 0) && c != '.' && c != '-'; });
    try {
      begin(url_of(config_, fmt::format("/pair?after={}&instance={}", after_, instance)));
    } catch (const std::exception& error) {
      again_in(longest_pause);
      callbacks_.failed(error.what());
    }
  }

  PeerConfig config_;
  PeerClient::Callbacks callbacks_;
  std::string instance_;
  std::uint64_t after_ = 0;
  std::chrono::milliseconds pause_ = first_pause;
  UvHandle<uv_timer_t> timer_;
};

class Command final : public Request {
public:
  Command(probes::CurlMulti& multi, const PeerConfig& config, std::string body, std::function<void(Command&, const PeerReply&)> done)
      : Request(multi, config, command_ms), text_(std::move(body)), done_(std::move(done)),
        headers_(curl_slist_append(nullptr, "Content-Type: application/json")) {
    set(CURLOPT_POSTFIELDSIZE, static_cast<long>(text_.size()));
    set(CURLOPT_POSTFIELDS, text_.c_str());
    set(CURLOPT_HTTPHEADER, headers_.get());
    begin(url_of(config, "/pair/command"));
  }

  void on_done(CURLcode code) override {
    stop();
    const std::string why = failure(code);
    const PeerReply reply = why.empty() ? PeerReply{.status = static_cast<unsigned>(status()), .body = body()} : PeerReply{.body = why};
    const auto done = std::move(done_);
    done(*this, reply);
  }

  /// The link ends.
  void abandon() {
    if (const auto done = std::move(done_)) done(*this, {.status = 0, .body = "the link to it was closed"});
  }

private:
  std::string text_;
  std::function<void(Command&, const PeerReply&)> done_;
  std::unique_ptr<curl_slist, FreeList> headers_;
};

} // namespace

struct PeerClient::Impl {
  Impl(uv_loop_t* loop, const PeerConfig& with, Callbacks callbacks) : multi(loop), config(with), poll(multi, with, std::move(callbacks)) {}

  probes::CurlMulti multi;
  PeerConfig config;
  Poll poll;
  std::list<Command> commands; // under way
};

PeerClient::PeerClient(uv_loop_t* loop, const PeerConfig& config, Callbacks callbacks)
    : impl_(std::make_unique<Impl>(loop, config, std::move(callbacks))) {}
PeerClient::~PeerClient() {
  std::list<Command> unfinished = std::move(impl_->commands);
  for (Command& command : unfinished) command.abandon();
}

void PeerClient::send(const std::string& body, std::function<void(const PeerReply&)> done) {
  impl_->commands.emplace_back(impl_->multi, impl_->config, body, [this, done = std::move(done)](Command& ended, const PeerReply& reply) {
    impl_->commands.remove_if([&ended](const Command& command) { return &command == &ended; });
    done(reply);
  });
}

} // namespace hanat
