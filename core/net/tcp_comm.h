// TcpComm: the Comm over one TCP socket, for core/net's .cc files only. It is born with a connected socket, shakes hands,
// then delivers messages. Its own pending operations keep it alive until the connection has ended.
//
// Invariants: (1) handlers run from the loop, never from a call into the comm; (2) messages that are parsed are delivered
// before the end of the connection is reported; (3) after close(), abort() or the report of the end no handler runs.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <optional>

#include "core/net/comm.h"
#include "core/net/loop_impl.h"
#include "core/net/output_queue.h"

namespace dask::net {

// Dask's options for a connected socket: no delay, keep-alive and user time-out so that a dead peer shows within 30 s.
void set_tcp_options(int fd);

// tcp://1.2.3.4:5 or tcp://[::1]:5; IPv4 inside IPv6 is written as IPv4.
std::string endpoint_address(const boost::asio::ip::tcp::endpoint& endpoint);

class TcpComm final : public Comm, public Flushable {
 public:
  TcpComm(Loop& loop, boost::asio::ip::tcp::socket socket, const CommLimits& limits);

  // Sends our handshake and waits for the peer's. `done` is called once, unless abort() comes first.
  void shake_hands(std::function<void(Result<void>)> done);

  void on_message(std::function<void(wire::Frames)> handler) override;
  void on_closed(std::function<void(Error)> handler) override;
  void take_frames_with(TakeFrame take) override { take_frame_ = std::move(take); }
  void send(wire::Frames frames) override;
  void pause_reading() override { paused_ = true; }
  void resume_reading() override;
  void close() override;
  void abort() override;
  bool closed() const override { return phase_ == Phase::kClosing || phase_ == Phase::kClosed; }
  std::string peer_address() const override { return peer_; }
  std::string local_address() const override { return local_; }
  std::uint64_t outgoing_bytes() const override { return output_.bytes(); }
  const Value& peer_handshake() const override { return peer_handshake_; }

  void flush() override;

 private:
  enum class Phase { kHandshake, kOpen, kClosing, kClosed };

  std::shared_ptr<TcpComm> self() { return std::static_pointer_cast<TcpComm>(shared_from_this()); }
  void arm_read();
  // Whether a large frame comes that somebody else may receive; and lets them.
  bool may_give_input_away() const;
  bool give_input_away();
  void frame_arrived(Result<Bytes> frame);
  void read_done(const boost::system::error_code& error, std::size_t n);
  // Feeds what arrived to the reader and reads on while the kernel has more, up to the turn's budget.
  void take_input(std::size_t n);
  void deliver();
  void deliver_later();
  void take_handshake(const wire::Frames& frames);
  void end_of_input(const boost::system::error_code& error);
  void output_failed(int error);
  void output_gone();
  void schedule_flush();
  void half_close();
  void hand_over_output();
  // Ends the connection and tells whoever still waits.
  void finish(Error error);
  void shut();

  Loop& loop_;
  boost::asio::ip::tcp::socket socket_;
  CommLimits limits_;
  std::string peer_;
  std::string local_;
  Phase phase_ = Phase::kHandshake;
  wire::FrameReader reader_;
  OutputQueue output_;
  std::function<void(wire::Frames)> message_handler_;
  std::function<void(Error)> closed_handler_;
  TakeFrame take_frame_;
  std::function<void(Result<void>)> handshake_done_;
  Value peer_handshake_;
  std::optional<Error> end_;  // why the input ended; reported after the last message is delivered
  Loop::Timer timer_;         // handshake, later the linger of close()
  bool reading_ = false;      // a read is with the kernel
  bool writing_ = false;      // waiting until the kernel takes output, or somebody else has sent it
  bool handed_over_ = false;  // somebody else writes to our socket
  bool given_away_ = false;   // somebody else reads from it
  bool frame_stays_ = false;  // nobody else could receive the large frame that comes
  bool flush_scheduled_ = false;
  bool delivering_ = false;
  bool paused_ = false;
  bool input_ended_ = false;
  bool output_broken_ = false;
  bool half_closed_ = false;
  bool handler_replaced_ = false;
};

}  // namespace dask::net
