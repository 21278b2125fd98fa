// One connection: requests read, replies written.
#include <algorithm>
#include <array>
#include <cstdlib>

#include "tests/fakes/scripted_upstream/scripted_upstream.hpp"

namespace cistern::fakes {

class Serving {
 public:
  Serving(ScriptedUpstream& owner, Wire& wire) : owner_(owner), wire_(wire) {}

  void run() {
    Asked asked;
    while (wire_.ok() && wire_.read_head(asked)) {
      const auto reply = owner_.reply_to(asked);
      if (!write_reply(asked, *reply)) return;
    }
  }

 private:
  bool wait_for(const Gate& gate) {
    while (!gate.is_open()) {
      if (wire_.gone_within(2)) return false;
    }
    return true;
  }

  // What of the body is to be sent, and the status and Content-Range for it.
  struct Part {
    unsigned status;
    std::size_t first = 0;
    std::size_t last = 0;  // one past the end
    std::string content_range;
  };
  static Part part_for(const Asked& asked, const Reply& reply) {
    const auto size = reply.body.size();
    Part part{reply.status, 0, size, {}};
    const auto range = asked.header("Range");
    const auto if_range = asked.header("If-Range");
    if (!reply.ranges || reply.status != 200 || range.rfind("bytes=", 0) != 0 || range.find(',') != std::string::npos || range[6] == '-')
      return part;
    if (!if_range.empty() && if_range != field(reply.headers, "ETag")) return part;
    char* rest = nullptr;
    part.first = std::strtoull(range.c_str() + 6, &rest, 10);
    if (rest[0] == '-' && rest[1] != '\0') part.last = std::min<std::size_t>(size, std::strtoull(rest + 1, nullptr, 10) + 1);
    if (part.first >= part.last) return {416, 0, 0, "bytes */" + std::to_string(size)};
    part.status = 206;
    part.content_range = "bytes " + std::to_string(part.first) + "-" + std::to_string(part.last - 1) + "/" + std::to_string(size);
    return part;
  }

  // Whether the connection is good for another request.
  bool write_reply(const Asked& asked, const Reply& reply) {
    if (reply.delay.count() > 0 && !wire_.wait(reply.delay)) return false;
    if (reply.gate && !reply.gate_after && !wait_for(*reply.gate)) return false;
    if (reply.silent) {
      wire_.wait_until_gone();
      return false;
    }
    if (reply.reset && !reply.cut_after) {
      wire_.arm_reset();
      return false;
    }
    if (!reply.raw.empty()) {
      wire_.write(reply.raw);
      return false;
    }
    const auto part = part_for(asked, reply);
    std::string head = "HTTP/1.1 " + std::to_string(part.status) + " Scripted\r\n";
    for (const auto& [name, value] : reply.headers) head += name + ": " + value + "\r\n";
    if (!part.content_range.empty()) head += "Content-Range: " + part.content_range + "\r\n";
    if (reply.chunked) {
      head += "Transfer-Encoding: chunked\r\n";
    } else if (!has_field(reply.headers, "Content-Length") && part.status != 304) {
      head += "Content-Length: " + std::to_string(part.last - part.first) + "\r\n";
    }
    if (!wire_.write(head + "\r\n")) return false;
    return asked.method == "HEAD" || part.status == 304 || write_body(reply, part);
  }

  bool write_body(const Reply& reply, const Part& part) {
    const std::string_view body(reply.body);
    std::size_t sent = 0;
    const auto size = part.last - part.first;
    while (true) {
      if (reply.gate && reply.gate_after && sent >= *reply.gate_after && !wait_for(*reply.gate)) return false;
      if (reply.cut_after && sent >= *reply.cut_after) {
        if (reply.reset) wire_.arm_reset();
        return false;
      }
      if (reply.stall_after && sent >= *reply.stall_after) {
        wire_.wait_until_gone();
        return false;
      }
      if (sent == size) return !reply.chunked || wire_.write("0\r\n\r\n");
      auto take = std::min(reply.piece, size - sent);
      for (const auto& stop : {reply.gate_after, reply.cut_after, reply.stall_after}) {
        if (stop && *stop > sent) take = std::min(take, *stop - sent);
      }
      if (!write_piece(body.substr(part.first + sent, take), reply.chunked)) return false;
      sent += take;
      if (reply.pause.count() > 0 && sent < size && !wire_.wait(reply.pause)) return false;
    }
  }

  bool write_piece(std::string_view bytes, bool chunked) {
    if (!chunked) return wire_.write(bytes);
    std::array<char, 32> length{};
    std::snprintf(length.data(), length.size(), "%zx\r\n", bytes.size());
    return wire_.write(length.data()) && wire_.write(bytes) && wire_.write("\r\n");
  }

  ScriptedUpstream& owner_;
  Wire& wire_;
};

void ScriptedUpstream::serve(Wire& wire) { Serving(*this, wire).run(); }

}  // namespace cistern::fakes
