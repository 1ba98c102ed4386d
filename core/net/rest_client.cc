// One request is one RestClient::Call::Impl: its handlers run on the loop, cpprestsdk's continuations reach it through a Gate that closes
// when the client goes. Time-outs are ours (timers of the loop), because cpprestsdk has one for all phases of all requests of a client.
// Invariants: (1) a call is finished once, and no handler runs afterwards; (2) pieces of a body are handed over in order, after the head.
#include "core/net/rest_client.h"

// cpprestsdk needs Boost.Asio's old names, which this project forbids elsewhere.
#undef BOOST_ASIO_NO_DEPRECATED
// And without this it defines a macro U, a name of template parameters elsewhere.
#define _TURN_OFF_PLATFORM_STRING
#include <cpprest/astreambuf.h>
#include <cpprest/http_client.h>
#include <fmt/format.h>
#include <pplx/threadpool.h>

#include <algorithm>
#include <boost/asio/ssl.hpp>
#include <mutex>
#include <unordered_set>

#include "core/net/rest_client_impl.h"

namespace dask::net {

namespace {

namespace http = web::http;

// Longer than every time-out of ours: only there because cpprestsdk wants one.
constexpr auto kLibraryTimeout = std::chrono::hours(24);

void start_threads_once() {
  static std::once_flag once;
  std::call_once(once, [] {
    try {
      crossplat::threadpool::initialize_with_threads(kRestThreads);
    } catch (const std::exception&) {
      // Somebody else in this process has started the pool already: then it is as it is.
    }
  });
}

// Makes a context trust the certificates of a PEM text and nobody else; false when there is none. cpprestsdk has read all of the machine's
// authorities into this connection's context before: they would be trusted, too, and take most of a megabyte of each connection.
bool set_authorities(SSL_CTX* context, const std::string& pem) {
  BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  X509_STORE* store = X509_STORE_new();
  int count = 0;
  while (X509* certificate = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr)) {
    X509_STORE_add_cert(store, certificate);
    X509_free(certificate);
    ++count;
  }
  ERR_clear_error();
  BIO_free(bio);
  SSL_CTX_set_cert_store(context, store);  // which it owns from now on
  return count > 0;
}

// Throws what Boost or OpenSSL find wrong.
void set_up_tls(boost::asio::ssl::context& context, const RestOptions& options) {
  namespace ssl = boost::asio::ssl;
  SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION);
  if (!options.ca_pem.empty()) {
    if (!set_authorities(context.native_handle(), options.ca_pem)) throw std::runtime_error("the certificate authority is no PEM text");
  }
  if (!options.client_certificate_pem.empty()) {
    context.use_certificate_chain(boost::asio::buffer(options.client_certificate_pem));
    context.use_private_key(boost::asio::buffer(options.client_key_pem), ssl::context::pem);
  }
}

// What cpprestsdk or Boost threw, as an error that says what happened to what.
Error error_of(const std::exception_ptr& exception, const std::string& url) {
  try {
    std::rethrow_exception(exception);
  } catch (const StreamLimit& error) {
    return {ErrorCode::kLimit, fmt::format("{}: {}", url, error.what())};
  } catch (const http::http_exception& error) {
    const bool late = error.error_code() == std::errc::timed_out;
    // cpprestsdk keeps OpenSSL's reason for itself.
    const bool refused = std::string_view(error.what()).find("SSL handshake") != std::string_view::npos;
    const char* advice = refused ? " (is the server's certificate signed by the authority that was given, and made for this address?)" : "";
    return {late ? ErrorCode::kTimeout : ErrorCode::kUnavailable, fmt::format("{}: {}{}", url, error.what(), advice)};
  } catch (const std::exception& error) {
    return {ErrorCode::kUnavailable, fmt::format("{}: {}", url, error.what())};
  } catch (...) {
    return {ErrorCode::kUnavailable, url + ": unknown failure"};
  }
}

std::map<std::string, std::string> headers_of(const http::http_response& response) {
  std::map<std::string, std::string> headers;
  for (const auto& [name, value] : response.headers()) {
    std::string lower = name;
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    headers[lower] = value;
  }
  return headers;
}

}  // namespace

// ---- one request --------------------------------------------------------------------------------------------------------

struct RestClient::Call::Impl : std::enable_shared_from_this<RestClient::Call::Impl> {
  std::string url;
  std::shared_ptr<std::unordered_set<std::shared_ptr<Impl>>> calls;  // the client's, which keep it alive
  Loop* loop = nullptr;
  RestStreamHandlers handlers;
  std::function<void(Result<RestResponse>)> done;  // empty for a stream
  RestResponse response;
  pplx::cancellation_token_source cancellation;
  std::shared_ptr<StreamSink> sink;
  Loop::Timer timer;
  Loop::Duration timeout{};
  Loop::Duration idle_timeout{};
  std::chrono::steady_clock::time_point heard;
  bool head_there = false;
  bool finished = false;

  void head(RestResponse from) {
    if (finished) return;
    head_there = true;
    response = std::move(from);
    if (done) return;
    heard = std::chrono::steady_clock::now();
    watch_silence(idle_timeout);
    handlers.head(response);
    take();
  }

  // Hands over what the sink has. The client may be gone after any handler.
  void take() {
    auto me = shared_from_this();
    if (finished || done || !head_there) return;
    heard = std::chrono::steady_clock::now();
    std::string piece = sink->take();
    if (!piece.empty()) handlers.data(piece);
  }

  void end(Result<void> result) {
    auto me = shared_from_this();
    if (finished) return;
    if (!done) {
      take();
      if (finished) return;
      forget();
      handlers.ended(std::move(result));
      return;
    }
    forget();
    if (!result) return done(fail(std::move(result).error()));
    response.body = sink->take();
    done(std::move(response));
  }

  void forget() {
    finished = true;
    timer.cancel();
    calls->erase(shared_from_this());
  }

  void give_up() {
    auto me = shared_from_this();
    if (finished) return;
    forget();
    sink->abandon();
    cancellation.cancel();
  }

  void expire(std::string what) {
    if (finished) return;
    auto me = shared_from_this();
    give_up();
    auto error = fail(ErrorCode::kTimeout, fmt::format("{}: {}", url, what));
    if (done)
      done(error);
    else
      handlers.ended(error);
  }

  void wait_for_answer() {
    timer = loop->after(timeout, [me = shared_from_this()] {
      me->expire(fmt::format("no answer within {} s", std::chrono::duration<double>(me->timeout).count()));
    });
  }

  // One timer however many pieces come: it looks when the last one came, and waits for the rest.
  void watch_silence(Loop::Duration delay) {
    timer = loop->after(delay, [me = shared_from_this()] {
      if (me->finished) return;
      const auto silent = std::chrono::steady_clock::now() - me->heard;
      if (silent < me->idle_timeout) return me->watch_silence(me->idle_timeout - silent);
      me->expire(fmt::format("silent for {} s", std::chrono::duration<double>(me->idle_timeout).count()));
    });
  }
};

void RestClient::Call::cancel() {
  if (auto impl = impl_.lock()) impl->give_up();
}

// ---- the client ---------------------------------------------------------------------------------------------------------

struct RestClient::Impl {
  Loop& loop;
  RestOptions options;
  std::unique_ptr<http::client::http_client> client;
  std::shared_ptr<Gate> gate;
  std::shared_ptr<std::unordered_set<std::shared_ptr<Call::Impl>>> calls =
      std::make_shared<std::unordered_set<std::shared_ptr<Call::Impl>>>();

  explicit Impl(Loop& the_loop, RestOptions from) : loop(the_loop), options(std::move(from)), gate(std::make_shared<Gate>(the_loop)) {}

  Call start(RestRequest request, const std::shared_ptr<Call::Impl>& call) {
    call->url = fmt::format("{} {}{}", request.method, options.url, request.path.substr(0, request.path.find('?')));
    call->calls = calls;
    call->loop = &loop;
    call->timeout = request.timeout;
    call->idle_timeout = request.idle_timeout;
    std::weak_ptr<Call::Impl> weak = call;
    auto post = [gate = gate, weak](auto work) {
      gate->post([weak, work = std::move(work)]() mutable {
        if (auto me = weak.lock()) work(*me);
      });
    };
    const bool whole = static_cast<bool>(call->done);
    call->sink = std::make_shared<StreamSink>(whole ? kRestBodyBytesMax : kRestStreamBytesMax, whole,
                                              [post] { post([](Call::Impl& me) { me.take(); }); });
    calls->insert(call);
    call->wait_for_answer();
    try {
      http::http_request message(request.method);
      message.set_request_uri(request.path);
      message.headers().add("User-Agent", options.user_agent);
      message.headers().add("Accept", "application/json");
      if (!options.server_name.empty()) message.headers().add("Host", options.server_name);
      if (options.bearer_token) {
        if (std::string token = options.bearer_token(); !token.empty()) message.headers().add("Authorization", "Bearer " + token);
      }
      if (!request.body.empty()) {
        message.set_body(std::move(request.body), request.content_type);
        message.headers().set_content_type(request.content_type);
      }
      message.set_response_stream(concurrency::streams::streambuf<std::uint8_t>(call->sink).create_ostream());
      const std::string url = call->url;
      client->request(message, call->cancellation.get_token()).then([post, url](pplx::task<http::http_response> task) {
        auto failed = [&](const std::exception_ptr& exception) {
          post([error = error_of(exception, url)](Call::Impl& me) { me.end(fail(error)); });
        };
        try {
          http::http_response response = task.get();
          post([head = RestResponse{response.status_code(), headers_of(response), {}}](Call::Impl& me) { me.head(head); });
          response.content_ready().then([post, url](pplx::task<http::http_response> content) {
            try {
              content.get();
              post([](Call::Impl& me) { me.end({}); });
            } catch (...) {
              post([error = error_of(std::current_exception(), url)](Call::Impl& me) { me.end(fail(error)); });
            }
          });
        } catch (...) {
          failed(std::current_exception());
        }
      });
    } catch (...) {
      gate->post([weak, error = error_of(std::current_exception(), call->url)] {
        if (auto me = weak.lock()) me->end(fail(error));
      });
    }
    return Call(call);
  }
};

RestClient::RestClient(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

RestClient::~RestClient() { close(); }

void RestClient::close() {
  auto impl = impl_;
  impl->gate->close();
  auto calls = *impl->calls;
  for (const auto& call : calls) call->give_up();
}

const std::string& RestClient::url() const { return impl_->options.url; }

Result<std::unique_ptr<RestClient>> RestClient::create(Loop& loop, RestOptions options) {
  start_threads_once();
  while (!options.url.empty() && options.url.back() == '/') options.url.pop_back();
  auto impl = std::make_shared<Impl>(loop, std::move(options));
  const RestOptions& chosen = impl->options;
  try {
    http::client::http_client_config config;
    config.set_timeout(std::chrono::duration_cast<std::chrono::microseconds>(kLibraryTimeout));
    config.set_validate_certificates(chosen.verify_server);
    if (!chosen.proxy_url.empty()) config.set_proxy(web::web_proxy(web::uri(chosen.proxy_url)));
    if (chosen.url.rfind("https://", 0) == 0) {
      boost::asio::ssl::context trial(boost::asio::ssl::context::sslv23);
      set_up_tls(trial, chosen);  // says now what would else fail at each connection
      config.set_ssl_context_callback([options = chosen](boost::asio::ssl::context& context) { set_up_tls(context, options); });
    } else if (chosen.url.rfind("http://", 0) != 0) {
      throw std::runtime_error("the address must begin with https:// or http://");
    }
    impl->client = std::make_unique<http::client::http_client>(web::uri(chosen.url), config);
  } catch (const std::exception& error) {
    return fail(ErrorCode::kInvalidArgument, fmt::format("cannot talk to '{}': {}", chosen.url, error.what()));
  }
  return std::unique_ptr<RestClient>(new RestClient(std::move(impl)));
}

RestClient::Call RestClient::send(RestRequest request, std::function<void(Result<RestResponse>)> done) {
  auto call = std::make_shared<Call::Impl>();
  call->done = std::move(done);
  return impl_->start(std::move(request), call);
}

RestClient::Call RestClient::stream(RestRequest request, RestStreamHandlers handlers) {
  auto call = std::make_shared<Call::Impl>();
  call->handlers = std::move(handlers);
  return impl_->start(std::move(request), call);
}

}  // namespace dask::net
