// libcurl's multi interface on libuv: curl names the sockets and the time it waits for, and the loop calls it back. Not here: requests and
// what their responses mean (kinds/http, daemon/peer).
#pragma once

#include <cstddef>
#include <memory>

#include <curl/curl.h>
#include <uv.h>

#include "probes/io/uv.hpp"

namespace hanat::probes {

/// One request under way. It removes its handle from the multi handle before it ends.
class CurlTransfer {
public:
  virtual ~CurlTransfer() = default;
  /// The transfer is over. May destroy this object.
  virtual void on_done(CURLcode code) = 0;
  /// connect() has begun, and curl waits for its socket.
  virtual void on_attempt() {}
  /// A socket cannot be watched, for this errno: the transfer stands still.
  virtual void on_unwatched(int /*error*/) {}
};

class CurlMulti {
public:
  /// Throws std::runtime_error, std::bad_alloc.
  explicit CurlMulti(uv_loop_t* loop);
  ~CurlMulti(); // after every transfer has been removed
  CurlMulti(const CurlMulti&) = delete;
  CurlMulti& operator=(const CurlMulti&) = delete;

  uv_loop_t* loop() const { return loop_; }
  /// Begins; `transfer` is told. Throws std::runtime_error.
  void add(CURL* easy, CurlTransfer& transfer);
  /// Ends it, if it is under way.
  void remove(CURL* easy);
  /// How many connections are kept, those in use included.
  void set_connections(std::size_t count);

private:
  struct FreeMulti {
    void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
  };

  int on_socket(CURL* easy, curl_socket_t socket, int what, Poll* poll);
  int on_timeout(long delay_ms);
  void act(curl_socket_t socket, int events);
  static void on_ready(uv_poll_t* poll, int status, int ready);

  uv_loop_t* loop_;
  Timer timer_;
  std::unique_ptr<CURLM, FreeMulti> multi_;
};

} // namespace hanat::probes
