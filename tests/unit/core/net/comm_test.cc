// Comm over loopback: messages both ways, and every way in which a peer can misbehave.
#include "core/net/comm.h"

#include <gmock/gmock.h>
#include <poll.h>
#include <sys/resource.h>

#include <cerrno>
#include <thread>

#include "core/net/address.h"
#include "core/runtime/log.h"
#include "core/runtime/process.h"
#include "tests/unit/core/net/net_fixture.h"
#include "tests/unit/core/net/text_source.h"

namespace dask::net::test {

using testing::HasSubstr;

// A listener and the comms that it accepted, with what they said.
struct Server {
  explicit Server(Loop& loop, CommLimits limits = {}) {
    auto result = listen(
        loop, loopback(),
        [this](CommPtr comm) {
          comm->on_message([this](wire::Frames frames) {
            auto value = wire::decode_message(frames);
            messages.push_back(value ? *value : Value("undecodable"));
          });
          comm->on_closed([this](Error error) { ends.push_back(std::move(error)); });
          comms.push_back(std::move(comm));
        },
        limits);
    EXPECT_TRUE(result) << result.error().message;
    listener = *std::move(result);
  }
  std::unique_ptr<Listener> listener;
  std::vector<CommPtr> comms;
  std::vector<Value> messages;
  std::vector<Error> ends;
};

CommPtr connect_to(Loop& loop, std::uint16_t port, CommLimits limits = {}) {
  Result<CommPtr> comm = CommPtr();
  bool done = false;
  connect(
      loop, loopback(port),
      [&](Result<CommPtr> result) {
        comm = std::move(result);
        done = true;
      },
      limits);
  EXPECT_TRUE(run_until(loop, [&] { return done; }));
  EXPECT_TRUE(comm) << comm.error().message;
  return comm ? *comm : nullptr;
}

TEST(Address, is_parsed_in_all_of_dasks_forms) {
  EXPECT_EQ(parse_address("tcp://10.0.0.1:8786")->str(), "tcp://10.0.0.1:8786");
  EXPECT_EQ(parse_address("10.0.0.1:8786")->str(), "tcp://10.0.0.1:8786");
  EXPECT_EQ(parse_address(":8786")->str(), "tcp://:8786");
  EXPECT_EQ(parse_address("tcp://[::1]:8786")->host, "::1");
  EXPECT_EQ(parse_address("tcp://[::1]:8786")->str(), "tcp://[::1]:8786");
  EXPECT_EQ(parse_address("tcp://localhost")->port, 0);
  EXPECT_EQ(parse_address("tls://a-b.example:1")->scheme, "tls");
  EXPECT_EQ(parse_address("")->host, "");
}

TEST(Address, that_is_none_is_refused_with_an_example) {
  for (const char* text : {"tcp://1.2.3.4:99999", "tcp://1.2.3.4:x", "tcp://1.2.3.4:", "tcp://::1:80", "tcp://[::1", "tcp://[::1]80",
                           "://a:1", "tcp://a b:1", "tcp://a:1/path", "1.2.3.4:-1"}) {
    auto address = parse_address(text);
    ASSERT_FALSE(address) << text;
    EXPECT_EQ(address.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(address.error().message, HasSubstr("tcp://10.0.0.1:8786"));
  }
}

TEST(Comm, exchanges_messages_after_the_handshake_in_order) {
  Loop loop;
  Server server(loop);
  auto comm = connect_to(loop, server.listener->port());
  ASSERT_TRUE(comm);
  EXPECT_EQ(comm->peer_address(), server.listener->address());
  EXPECT_EQ(comm->peer_handshake()["pickle-protocol"].as_int(), 5);
  std::vector<Value> replies;
  comm->on_message([&](wire::Frames frames) { replies.push_back(*wire::decode_message(frames)); });
  for (int i = 0; i < 1000; ++i) comm->send(wire::encode_message(Value::Array{i}));
  ASSERT_TRUE(run_until(loop, [&] { return server.messages.size() == 1000; }));
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(server.messages[static_cast<std::size_t>(i)], Value(Value::Array{i}));
  server.comms[0]->send(wire::encode_message(Value("hello")));
  ASSERT_TRUE(run_until(loop, [&] { return replies.size() == 1; }));
  EXPECT_EQ(replies[0].as_string(), "hello");
  comm->close();
  ASSERT_TRUE(run_until(loop, [&] { return server.ends.size() == 1; }));
  EXPECT_THAT(server.ends[0].message, HasSubstr("closed the connection"));
}

TEST(Comm, carries_a_frame_that_lies_elsewhere) {
  Loop loop;
  Server server(loop);
  auto comm = connect_to(loop, server.listener->port());
  auto source = std::make_shared<TextSource>(text_of(20'000'000));
  wire::Frames received;
  server.comms.at(0)->on_message([&](wire::Frames frames) { received = std::move(frames); });
  comm->send({Bytes::own(wire::encode_msgpack(Value("head"))), Bytes::elsewhere(source, source->text().size()), Bytes::literal("end")});
  ASSERT_TRUE(run_until(loop, [&] { return !received.empty(); }));
  ASSERT_EQ(received.size(), 3u);
  EXPECT_TRUE(received[1].view() == source->text());
  EXPECT_EQ(received[2].view(), "end");
}

TEST(Comm, lets_a_source_send_its_part_itself_in_its_place) {
  Loop loop;
  Server server(loop);
  auto comm = connect_to(loop, server.listener->port());
  auto source = std::make_shared<TextSource>(text_of(20'000'000));
  std::thread sender;
  source->ask = [&](int socket, std::uint64_t offset, std::uint64_t size, std::function<void(int)> sent) {
    sender = std::thread([&, fd = FileDescriptor(::dup(socket)), offset, size, sent = std::move(sent)] {
      for (std::size_t done = 0; done < size;) {
        const ssize_t n = ::send(fd.get(), source->text().data() + offset + done, size - done, MSG_NOSIGNAL);
        if (n > 0) done += static_cast<std::size_t>(n);
        pollfd ready{fd.get(), POLLOUT, 0};
        ::poll(&ready, 1, -1);
      }
      loop.post([sent] { sent(0); });
    });
  };
  wire::Frames received;
  server.comms.at(0)->on_message([&](wire::Frames frames) { received = std::move(frames); });
  comm->send({Bytes::own(wire::encode_msgpack(Value("head"))), Bytes::elsewhere(source, source->text().size()), Bytes::literal("end")});
  EXPECT_TRUE(run_until(loop, [&] { return !received.empty(); }));
  sender.join();
  ASSERT_EQ(received.size(), 3u);
  EXPECT_TRUE(received[1].view() == source->text());
  EXPECT_EQ(received[2].view(), "end");
  EXPECT_EQ(source->fetched(), 0u);
}

// Sends what lies elsewhere, and is made to fail there by `spoil`: both sides hear of the end, and nobody of a message.
void expect_both_ends_to_hear(const std::function<void(Loop&, TextSource&)>& spoil) {
  Loop loop;
  Server server(loop);
  auto comm = connect_to(loop, server.listener->port());
  std::vector<Error> ends;
  comm->on_message([](const wire::Frames&) {});
  comm->on_closed([&](Error error) { ends.push_back(std::move(error)); });
  auto source = std::make_shared<TextSource>(text_of(20'000'000));
  spoil(loop, *source);
  comm->send({Bytes::own(wire::encode_msgpack(Value("head"))), Bytes::elsewhere(source, source->text().size())});
  ASSERT_TRUE(run_until(loop, [&] { return ends.size() == 1 && server.ends.size() == 1; }));
  EXPECT_THAT(ends[0].message, HasSubstr("is gone"));
  EXPECT_THAT(server.ends[0].message, HasSubstr("in the middle of a message"));
  EXPECT_TRUE(server.messages.empty());
  EXPECT_TRUE(comm->closed());
}

TEST(Comm, ends_for_both_sides_when_a_source_could_not_send_its_part) {
  expect_both_ends_to_hear([](Loop& loop, TextSource& source) {
    source.ask = [&loop](int, std::uint64_t, std::uint64_t, const std::function<void(int)>& sent) { loop.post([sent] { sent(ESTALE); }); };
  });
}

TEST(Comm, ends_although_somebody_else_has_its_socket) {
  Loop loop;
  Server server(loop);
  auto comm = connect_to(loop, server.listener->port());
  auto source = std::make_shared<TextSource>(text_of(20'000'000));
  FileDescriptor theirs;
  std::function<void(int)> sent;
  source->ask = [&](int socket, std::uint64_t, std::uint64_t, std::function<void(int)> done) {
    theirs = FileDescriptor(::dup(socket));
    sent = std::move(done);
  };
  comm->send({Bytes::own(wire::encode_msgpack(Value("head"))), Bytes::elsewhere(source, source->text().size())});
  ASSERT_TRUE(run_until(loop, [&] { return sent != nullptr; }));
  comm->abort();
  ASSERT_TRUE(run_until(loop, [&] { return server.ends.size() == 1; }));
  EXPECT_LT(::send(theirs.get(), "x", 1, MSG_NOSIGNAL), 0);
  sent(EPIPE);
  EXPECT_TRUE(comm->closed());
}

// Receives what a comm leaves to it, as another process would.
struct Taker {
  explicit Taker(Loop& the_loop) : loop(the_loop) {}
  ~Taker() {
    if (thread.joinable()) thread.join();
  }
  TakeFrame take() {
    return [this](int socket, std::string_view received, std::uint64_t size, std::function<void(Result<Bytes>)> done) {
      ++asked;
      if (!willing) return false;
      frame = received;
      thread = std::thread([this, fd = FileDescriptor(::dup(socket)), size, done = std::move(done)] {
        bool ended = false;
        while (!ended && frame.size() < size) {
          std::string piece(std::min<std::size_t>(size - frame.size(), 1 << 20), '\0');
          pollfd ready{fd.get(), POLLIN, 0};
          ::poll(&ready, 1, -1);
          const ssize_t n = ::recv(fd.get(), piece.data(), piece.size(), 0);
          ended = n == 0;
          if (n > 0) frame.append(piece, 0, static_cast<std::size_t>(n));
        }
        loop.post([this, ended, done] { ended ? done(fail(ErrorCode::kUnavailable, "it is lost")) : done(Bytes::copy(frame)); });
      });
      return true;
    };
  }
  Loop& loop;
  bool willing = true;
  int asked = 0;
  std::string frame;
  std::thread thread;
};

TEST(Comm, leaves_a_large_frame_to_who_takes_it_and_reads_on_behind_it) {
  for (const bool willing : {true, false}) {
    Loop loop;
    Server server(loop);
    auto comm = connect_to(loop, server.listener->port());
    Taker taker(loop);
    taker.willing = willing;
    wire::Frames received;
    std::vector<std::string> after;
    server.comms.at(0)->take_frames_with(taker.take());
    server.comms.at(0)->on_message([&](wire::Frames frames) {
      if (received.empty()) {
        received = std::move(frames);
      } else {
        after.emplace_back(frames[0].view());
      }
    });
    const Bytes large = Bytes::own(text_of(20'000'000));
    comm->send({Bytes::own(wire::encode_msgpack(Value("head"))), large, Bytes::literal("end")});
    comm->send({Bytes::literal("next")});
    ASSERT_TRUE(run_until(loop, [&] { return after.size() == 1; }));
    ASSERT_EQ(received.size(), 3u);
    EXPECT_TRUE(received[1] == large);
    EXPECT_EQ(received[2].view(), "end");
    EXPECT_EQ(after[0], "next");
    EXPECT_EQ(taker.asked, 1);
    EXPECT_EQ(taker.frame.size(), willing ? large.size() : 0u);
  }
}

TEST(Comm, ends_when_the_peer_goes_while_somebody_else_receives) {
  Loop loop;
  Server server(loop);
  RawPeer peer(server.listener->port());
  peer.send(on_wire(Value(Value::Map{{"compression", Value()}, {"pickle-protocol", 5}})));
  ASSERT_TRUE(run_until(loop, [&] { return server.comms.size() == 1; }));
  Taker taker(loop);
  server.comms[0]->take_frames_with(taker.take());
  const Bytes large = Bytes::own(text_of(20'000'000));
  const std::string whole = wire::frames_prelude({large}) + std::string(large.view());
  peer.send(std::string_view(whole).substr(0, 300'000));
  ASSERT_TRUE(run_until(loop, [&] { return taker.asked == 1; }));
  peer.close();
  ASSERT_TRUE(run_until(loop, [&] { return server.ends.size() == 1; }));
  EXPECT_THAT(server.ends[0].message, HasSubstr("in the middle of a message: it is lost"));
  EXPECT_TRUE(server.messages.empty());
}

TEST(Comm, that_is_ended_ends_who_receives_for_it) {
  Loop loop;
  Server server(loop);
  RawPeer peer(server.listener->port());
  peer.send(on_wire(Value(Value::Map{{"compression", Value()}, {"pickle-protocol", 5}})));
  ASSERT_TRUE(run_until(loop, [&] { return server.comms.size() == 1; }));
  Taker taker(loop);
  server.comms[0]->take_frames_with(taker.take());
  peer.send(wire::frames_prelude({Bytes::own(std::string(20'000'000, 'x'))}));
  ASSERT_TRUE(run_until(loop, [&] { return taker.asked == 1; }));
  server.comms[0]->abort();
  taker.thread.join();  // it has seen an end
  EXPECT_TRUE(taker.frame.empty());
  loop.post([&] { loop.stop(); });
  loop.run();
  EXPECT_TRUE(server.ends.empty());
}

TEST(Comm, ends_for_both_sides_when_what_it_sends_is_gone) {
  expect_both_ends_to_hear([](Loop&, TextSource& source) { source.lose(); });
}

TEST(Comm, carries_200_megabytes_without_copying_them_on_the_way_out) {
  Loop loop;
  Server server(loop);
  auto comm = connect_to(loop, server.listener->port());
  std::string payload(200'000'000, 'x');
  for (std::size_t i = 0; i < payload.size(); i += 4096) payload[i] = static_cast<char>(i / 4096);
  Bytes big = Bytes::own(payload);
  bool same = false;
  server.comms.at(0)->on_message([&, back = server.comms[0]](wire::Frames frames) { back->send(std::move(frames)); });
  comm->on_message([&](wire::Frames frames) {
    same = frames.size() == 2 && frames[1].view() == payload;
    loop.stop();
  });
  comm->send({Bytes::own(wire::encode_msgpack(Value("head"))), big});
  auto deadline = loop.after(kDeadline, [&] { loop.stop(); });
  loop.run();
  EXPECT_TRUE(same);
  server.comms[0]->on_message(nullptr);
}

TEST(Comm, close_sends_everything_that_was_queued) {
  Loop loop;
  Server server(loop);
  auto comm = connect_to(loop, server.listener->port());
  Bytes big = Bytes::own(std::string(20'000'000, 'x'));
  std::size_t got = 0;
  server.comms.at(0)->on_message([&](wire::Frames frames) { got = frames.at(1).size(); });
  comm->send({Bytes::own(wire::encode_msgpack(Value("head"))), big});
  comm->close();
  EXPECT_TRUE(comm->closed());
  ASSERT_TRUE(run_until(loop, [&] { return !server.ends.empty(); }));
  EXPECT_EQ(got, 20'000'000u);
}

TEST(Comm, reports_a_peer_that_leaves_in_the_middle_of_a_message) {
  Loop loop;
  Server server(loop);
  RawPeer peer(server.listener->port());
  peer.send(on_wire(handshake()) + on_wire(Value("whole")));
  peer.send(on_wire(Value("torn apart")).substr(0, 20));
  peer.close();
  ASSERT_TRUE(run_until(loop, [&] { return !server.ends.empty(); }));
  EXPECT_EQ(server.messages.size(), 1u);
  EXPECT_EQ(server.ends[0].code, ErrorCode::kUnavailable);
}

TEST(Comm, drops_a_peer_that_sends_a_length_of_2_to_the_63) {
  Loop loop;
  Server server(loop);
  RawPeer peer(server.listener->port());
  std::string lie(24, '\0');
  lie[7] = '\x80';
  peer.send(on_wire(handshake()) + on_wire(Value("good")) + lie);
  ASSERT_TRUE(run_until(loop, [&] { return !server.ends.empty(); }));
  ASSERT_EQ(server.messages.size(), 1u);
  EXPECT_EQ(server.messages[0].as_string(), "good");
  EXPECT_EQ(server.ends[0].code, ErrorCode::kMalformed);
  EXPECT_THAT(server.ends[0].message, HasSubstr("tcp://127.0.0.1:"));
}

TEST(Comm, refuses_garbage_and_wrong_handshakes_and_goes_on_listening) {
  Loop loop;
  Server server(loop);
  Value no_protocol = Value::map();
  no_protocol.set("compression", nullptr);
  for (const std::string& bytes : {std::string("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), std::string(100, '\xff'), on_wire(Value("no map")),
                                   on_wire(no_protocol), std::string(4, '\1'), std::string()}) {
    RawPeer peer(server.listener->port());
    peer.send(bytes);
    ::shutdown(peer.fd(), SHUT_WR);
    bool ended = false;
    ASSERT_TRUE(run_until(loop, [&] {
      peer.receive(&ended);
      return ended;
    }));
  }
  EXPECT_TRUE(server.comms.empty());
  auto comm = connect_to(loop, server.listener->port());
  EXPECT_TRUE(comm);
}

TEST(Comm, gives_up_on_a_peer_that_never_shakes_hands) {
  Loop loop;
  CommLimits limits;
  limits.handshake_timeout = std::chrono::milliseconds(5);
  Server server(loop, limits);
  RawPeer peer(server.listener->port());
  bool ended = false;
  ASSERT_TRUE(run_until(loop, [&] {
    peer.receive(&ended);
    return ended;
  }));
  EXPECT_TRUE(server.comms.empty());
}

TEST(Comm, connect_gives_up_on_a_server_that_never_shakes_hands) {
  Loop loop;
  int silent = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(silent, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(silent, 1), 0);
  ::getsockname(silent, reinterpret_cast<sockaddr*>(&address), &size);
  CommLimits limits;
  limits.handshake_timeout = std::chrono::milliseconds(5);
  std::optional<Error> error;
  connect(
      loop, loopback(ntohs(address.sin_port)), [&](Result<CommPtr> result) { error = result.error(); }, limits);
  ASSERT_TRUE(run_until(loop, [&] { return error.has_value(); }));
  EXPECT_THAT(error->message, HasSubstr("did not answer the handshake"));
  ::close(silent);
}

TEST(Comm, listen_on_a_busy_port_says_what_to_do) {
  Loop loop;
  Server server(loop);
  auto second = listen(loop, loopback(server.listener->port()), [](const CommPtr&) {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(second.error().message, "port " + std::to_string(server.listener->port()) +
                                        " on 127.0.0.1 is in use; stop the other program or choose another port, or 0 for any free one");
}

TEST(Comm, refuses_addresses_that_it_cannot_serve) {
  Loop loop;
  auto tls = listen(loop, Address{"tls", "127.0.0.1", 0}, [](const CommPtr&) {});
  ASSERT_FALSE(tls);
  EXPECT_EQ(tls.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(tls.error().message, HasSubstr("'tls'"));
  auto foreign = listen(loop, Address{"tcp", "203.0.113.1", 0}, [](const CommPtr&) {});
  ASSERT_FALSE(foreign);
  EXPECT_THAT(foreign.error().message, HasSubstr("203.0.113.1"));
  auto nameless = listen(loop, Address{"tcp", "no-such-host.invalid", 0}, [](const CommPtr&) {});
  ASSERT_FALSE(nameless);
  EXPECT_THAT(nameless.error().message, HasSubstr("no-such-host.invalid"));
}

TEST(Comm, a_listener_on_all_interfaces_tells_an_address_that_can_be_connected_to) {
  Loop loop;
  for (const char* host : {"", "0.0.0.0"}) {
    auto listener = listen(loop, Address{"tcp", host, 0}, [](const CommPtr&) {});
    ASSERT_TRUE(listener) << listener.error().message;
    EXPECT_EQ((*listener)->address(), "tcp://" + outward_ip() + ":" + std::to_string((*listener)->port()));
  }
}

TEST(Comm, connect_fails_clearly) {
  Loop loop;
  std::uint16_t dead_port = 0;
  {
    Server server(loop);
    dead_port = server.listener->port();
  }
  std::vector<Error> errors;
  auto take = [&](Result<CommPtr> result) { errors.push_back(result ? Error{} : result.error()); };
  connect(loop, loopback(dead_port), take);
  ASSERT_TRUE(run_until(loop, [&] { return errors.size() == 1; }));
  EXPECT_THAT(errors[0].message, HasSubstr("cannot connect to tcp://127.0.0.1:" + std::to_string(dead_port) + ": Connection refused"));
  connect(loop, Address{"tcp", "no-such-host.invalid", 1}, take);
  connect(loop, Address{"ws", "127.0.0.1", 1}, take);
  connect(loop, Address{"tcp", "127.0.0.1", 0}, take);
  EXPECT_EQ(errors.size(), 1u);
  ASSERT_TRUE(run_until(loop, [&] { return errors.size() == 4; }));
}

TEST(Comm, connects_to_a_host_by_name) {
  Loop loop;
  Server server(loop);
  CommPtr comm;
  connect(loop, Address{"tcp", "localhost", server.listener->port()}, [&](Result<CommPtr> result) { comm = result ? *result : nullptr; });
  ASSERT_TRUE(run_until(loop, [&] { return comm != nullptr; }));
}

TEST(Comm, pause_holds_back_messages_that_have_arrived_already) {
  Loop loop;
  Server server(loop);
  auto comm = connect_to(loop, server.listener->port());
  CommPtr there = server.comms.at(0);
  int got = 0;
  there->on_message([&](const wire::Frames&) {
    if (++got == 1) there->pause_reading();
  });
  for (int i = 0; i < 10; ++i) comm->send(wire::encode_message(i));
  ASSERT_TRUE(run_until(loop, [&] { return got == 1; }));
  comm->close();
  bool waited = false;
  auto wait = loop.after(std::chrono::milliseconds(20), [&] { waited = true; });
  ASSERT_TRUE(run_until(loop, [&] { return waited; }));
  EXPECT_EQ(got, 1);
  EXPECT_TRUE(server.ends.empty());
  there->resume_reading();
  ASSERT_TRUE(run_until(loop, [&] { return !server.ends.empty(); }));
  EXPECT_EQ(got, 10);
  there->on_message(nullptr);
}

TEST(Comm, a_peer_that_does_not_read_is_dropped_at_the_limit) {
  Loop loop;
  CommLimits limits;
  limits.outgoing_bytes_max = 50'000'000;
  Server server(loop, limits);
  RawPeer peer(server.listener->port());
  peer.send(on_wire(handshake()));
  ASSERT_TRUE(run_until(loop, [&] { return !server.comms.empty(); }));
  Bytes big = Bytes::own(std::string(10'000'000, 'x'));
  auto more = loop.every(std::chrono::milliseconds(1), [&] { server.comms[0]->send({big}); });
  ASSERT_TRUE(run_until(loop, [&] { return !server.ends.empty(); }));
  EXPECT_EQ(server.ends[0].code, ErrorCode::kLimit);
  EXPECT_THAT(server.ends[0].message, HasSubstr("outgoing_bytes_max"));
}

TEST(Comm, a_listener_survives_the_lack_of_descriptors) {
  Loop loop;
  Server server(loop);
  RawPeer peer(server.listener->port());
  peer.send(on_wire(handshake()));
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  rlimit low = before;
  low.rlim_cur = 64;
  ::setrlimit(RLIMIT_NOFILE, &low);
  std::vector<int> taken;
  for (int fd; (fd = ::dup(0)) >= 0;) taken.push_back(fd);
  auto record_count = log_records().size();
  EXPECT_TRUE(run_until(loop, [&] { return log_records().size() > record_count; }));
  EXPECT_TRUE(server.comms.empty());
  EXPECT_THAT(log_records(1).at(0).line, HasSubstr("ulimit -n"));
  for (int fd : taken) ::close(fd);
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_TRUE(run_until(loop, [&] { return server.comms.size() == 1; }));
}

TEST(Comm, a_handler_may_close_and_nothing_is_called_afterwards) {
  Loop loop;
  Server server(loop);
  auto comm = connect_to(loop, server.listener->port());
  int got = 0;
  CommPtr there = server.comms.at(0);
  there->on_message([&](const wire::Frames&) {
    ++got;
    there->abort();
  });
  for (int i = 0; i < 10; ++i) comm->send(wire::encode_message(i));
  bool closed = false;
  comm->on_message([](const wire::Frames&) {});
  comm->on_closed([&](const Error&) { closed = true; });
  ASSERT_TRUE(run_until(loop, [&] { return closed; }));
  EXPECT_EQ(got, 1);
  EXPECT_TRUE(server.ends.empty());
}

}  // namespace dask::net::test
