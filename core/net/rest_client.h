// RestClient: HTTP(S) requests to one server, answered on the loop. Bodies come whole, or in pieces as they arrive (watches).
// cpprestsdk does the talking on a thread (kRestThreads) of its own; it stays behind rest_client.cc, and so can be replaced.
// Thread ownership: the loop's thread. What that thread brings waits in the loop's queue; a stream whose pieces are not taken
// fast enough stops reading at kRestStreamBytesMax.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/net/loop.h"

namespace dask::net {

inline constexpr int kRestThreads = 1;                       // more of them mostly wake each other
inline constexpr std::size_t kRestStreamBytesMax = 1 << 20;  // of one stream, arrived and not yet taken
inline constexpr std::size_t kRestBodyBytesMax = 256 << 20;  // of one answer that comes whole

struct RestOptions {
  std::string url;                     // https://host:port, with a path in front of all others when there is one
  std::string ca_pem;                  // certificates that may sign the server's; empty: the system's
  std::string client_certificate_pem;  // with client_key_pem: who we are
  std::string client_key_pem;
  std::string server_name;  // the name in the server's certificate, when it is not the host's
  bool verify_server = true;
  std::string proxy_url;
  std::string user_agent = "dask-native";
  // The bearer token of the next request; empty: none. Called on the loop's thread, so that a token may change at any time.
  std::function<std::string()> bearer_token;
};

struct RestRequest {
  std::string method = "GET";
  std::string path;  // "/api/v1/pods?limit=500", percent-encoded
  std::string content_type;
  std::string body;
  Loop::Duration timeout = std::chrono::seconds(30);      // until the answer is complete; of a stream, until its head is there
  Loop::Duration idle_timeout = std::chrono::minutes(1);  // of a stream: the longest silence
};

struct RestResponse {
  int status = 0;
  std::map<std::string, std::string> headers;  // lower-case names
  std::string body;                            // empty for a stream
};

// Handlers of a stream, all on the loop's thread, in this order; none is called after cancel().
struct RestStreamHandlers {
  std::function<void(RestResponse)> head;
  std::function<void(std::string_view)> data;
  // Once: the server has ended the answer, or why it broke off.
  std::function<void(Result<void>)> ended;
};

class RestClient {
 public:
  // A request under way. Dropping the handle leaves it alone; cancel() ends it, and no handler is called any more.
  class Call {
   public:
    Call() = default;
    void cancel();

   private:
    friend class RestClient;
    struct Impl;
    explicit Call(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
    std::weak_ptr<Impl> impl_;
  };

  // kInvalidArgument for an address or a certificate that cannot be used.
  static Result<std::unique_ptr<RestClient>> create(Loop& loop, RestOptions options);
  ~RestClient();
  // Cancels what is under way; no handler is called any more. Handlers may hold the last pointer to the client.
  void close();

  // `done` is called exactly once, later, unless the call is cancelled. kTimeout, kUnavailable (could not connect, connection
  // broken), kLimit (body too long). An HTTP status is no error.
  Call send(RestRequest request, std::function<void(Result<RestResponse>)> done);
  Call stream(RestRequest request, RestStreamHandlers handlers);

  const std::string& url() const;

 private:
  struct Impl;
  explicit RestClient(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace dask::net
