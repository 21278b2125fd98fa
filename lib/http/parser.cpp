#include "http/parser.hpp"

#include <array>
#include <cstring>

#include "base/text.hpp"

namespace cistern::http {

namespace {

using State = ParsedHead::State;

// What a byte may be part of.
enum : std::uint8_t { kToken = 1, kValue = 2, kTarget = 4 };

constexpr std::array<std::uint8_t, 256> make_classes() {
  std::array<std::uint8_t, 256> classes{};
  for (unsigned c = 0x21; c <= 0x7e; ++c) classes[c] = kValue | kTarget;
  for (unsigned c = 0x80; c <= 0xff; ++c) classes[c] = kValue;  // obs-text
  classes[' '] = classes['\t'] = kValue;
  classes['#'] = kValue;  // a fragment is never sent
  for (unsigned c = '0'; c <= '9'; ++c) classes[c] |= kToken;
  for (unsigned c = 'a'; c <= 'z'; ++c) classes[c] |= kToken;
  for (unsigned c = 'A'; c <= 'Z'; ++c) classes[c] |= kToken;
  for (const char c : std::string_view("!#$%&'*+-.^_`|~")) classes[static_cast<unsigned char>(c)] |= kToken;
  return classes;
}
constexpr auto kClasses = make_classes();

bool all_of_class(std::string_view text, std::uint8_t wanted) {
  for (const char c : text) {
    if ((kClasses[static_cast<unsigned char>(c)] & wanted) == 0) return false;
  }
  return true;
}

ParsedHead refused(unsigned status, const char* reason) {
  ParsedHead head;
  head.state = State::kRefused;
  head.refused_status = status;
  head.reason = reason;
  return head;
}

// What the fields that frame a message say, gathered while reading them.
struct FramingFields {
  std::size_t hosts = 0;
  std::size_t content_lengths = 0;
  bool transfer_encoding = false;
  bool close = false;
  bool keep_alive = false;
  bool expects_continue = false;
  bool bad_content_length = false;
  std::uint64_t content_length = 0;

  void note(std::string_view name, std::string_view value);
};

void FramingFields::note(std::string_view name, std::string_view value) {
  switch (name.size()) {
    case 4: hosts += equal_ignoring_case(name, "Host"); break;
    case 6:
      if (equal_ignoring_case(name, "Expect")) expects_continue = equal_ignoring_case(value, "100-continue");
      break;
    case 10:
      if (equal_ignoring_case(name, "Connection")) {
        close = close || has_token(value, "close");
        keep_alive = keep_alive || has_token(value, "keep-alive");
      }
      break;
    case 14:
      if (equal_ignoring_case(name, "Content-Length")) {
        ++content_lengths;
        if (value.empty() || value.size() > 18) bad_content_length = true;
        content_length = 0;
        for (const char c : value) {
          if (c < '0' || c > '9') bad_content_length = true;
          content_length = content_length * 10 + static_cast<unsigned>(c - '0');
        }
      }
      break;
    case 17: transfer_encoding = transfer_encoding || equal_ignoring_case(name, "Transfer-Encoding"); break;
    default: break;
  }
}

Method method_of(std::string_view text, bool allow_body) {
  if (text == "GET") return Method::kGet;
  if (text == "HEAD") return Method::kHead;
  if (text == "POST" && allow_body) return Method::kPost;
  return Method::kOther;
}

// "GET /x HTTP/1.1", without its line end. Refused, or incomplete for "go on".
ParsedHead parse_request_line(std::string_view line, const HeadLimits& limits, Request& request) {
  const std::size_t method_end = line.find(' ');
  const std::size_t target_end = line.rfind(' ');
  if (method_end == std::string_view::npos || target_end == method_end) return refused(400, "malformed request line");
  const std::string_view method = line.substr(0, method_end);
  const std::string_view target = line.substr(method_end + 1, target_end - method_end - 1);
  const std::string_view version = line.substr(target_end + 1);
  if (method.empty() || method.size() > 32 || !all_of_class(method, kToken)) return refused(400, "malformed method");
  if (method == "PRI") return refused(400, "HTTP/2 without TLS is not spoken here");
  if (version.size() != 8 || version.substr(0, 5) != "HTTP/" || version[6] != '.' || version[5] < '0' || version[5] > '9' ||
      version[7] < '0' || version[7] > '9') {
    return refused(400, "malformed HTTP version");
  }
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return refused(505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
  if (target.size() > limits.max_target) return refused(414, "request target too long");
  if (method == "OPTIONS" && target == "*") return refused(405, "only GET and HEAD are allowed");
  if (target.empty() || target.front() != '/' || !all_of_class(target, kTarget)) {
    return refused(400, "the request target must be a path, starting with '/' and without spaces or control characters");
  }
  request.method = method_of(method, limits.allow_body);
  request.method_text.assign(method);
  request.target.assign(target);
  request.version = version[7] == '1' ? 11 : 10;
  return {};
}

// One field line, without its line end. Refused, or incomplete for "go on".
ParsedHead parse_field(std::string_view line, Request& request, FramingFields& framing) {
  if (line.front() == ' ' || line.front() == '\t') return refused(400, "folded header");
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0 || !all_of_class(line.substr(0, colon), kToken))
    return refused(400, "malformed header");
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (!all_of_class(value, kValue)) return refused(400, "control character in a header");
  request.headers.add(name, value);
  framing.note(name, value);
  return {};
}

// Whatever could be read in two ways is refused: the next one on the path might read it in the other way.
ParsedHead judge(const Request& request, const FramingFields& framing, const HeadLimits& limits) {
  if (framing.hosts > 1) return refused(400, "several Host headers");
  if (framing.hosts == 0 && request.version == 11) return refused(400, "no Host header");
  if (framing.bad_content_length) return refused(400, "malformed Content-Length");
  if (framing.content_lengths > 1) return refused(400, "several Content-Length headers");
  if (framing.transfer_encoding && framing.content_lengths != 0) return refused(400, "both Content-Length and Transfer-Encoding");
  const bool has_body = framing.transfer_encoding || framing.content_length > 0;
  ParsedHead head;
  head.state = State::kComplete;
  head.keep_alive = request.version == 11 ? !framing.close : framing.keep_alive && !framing.close;
  switch (request.method) {
    case Method::kGet:
    case Method::kHead:
      if (has_body) return refused(400, "a body is not allowed here");
      break;
    case Method::kPost:
      if (framing.transfer_encoding) return refused(411, "send the body with a Content-Length");
      if (framing.content_length > limits.max_body) return refused(413, "the body is larger than is taken here");
      head.content_length = framing.content_length;
      head.expects_continue = framing.expects_continue && has_body && request.version == 11;
      break;
    case Method::kOther:
      head.unread_body = has_body;
      head.keep_alive = head.keep_alive && !has_body;
      break;
  }
  return head;
}

// No line end yet, or no empty line yet: is there still hope?
ParsedHead incomplete(std::string_view input, std::string_view rest, bool in_request_line, const HeadLimits& limits) {
  // A TLS client's first byte on a plaintext port is answered at once instead of after the header timeout.
  if (in_request_line && !rest.empty() && (kClasses[static_cast<unsigned char>(rest.front())] & kToken) == 0 && rest.front() != '\r') {
    return refused(400, "malformed request line");
  }
  if (in_request_line && rest.size() > limits.max_target + 64) return refused(414, "request target too long");
  if (input.size() >= limits.max_size) return refused(431, "request header too large");
  return {};
}

}  // namespace

ParsedHead parse_head(std::string_view input, const HeadLimits& limits, Request& request) {
  request.headers.clear();
  FramingFields framing;
  std::string_view rest = input;
  bool in_request_line = true;
  std::size_t fields = 0;
  while (true) {
    const void* found = rest.empty() ? nullptr : std::memchr(rest.data(), '\n', rest.size());
    if (found == nullptr) return incomplete(input, rest, in_request_line, limits);
    const std::size_t line_size = static_cast<std::size_t>(static_cast<const char*>(found) - rest.data());
    if (line_size == 0 || rest[line_size - 1] != '\r') return refused(400, "a line must end with CR LF");
    const std::string_view line = rest.substr(0, line_size - 1);
    rest.remove_prefix(line_size + 1);
    const std::size_t consumed = input.size() - rest.size();
    if (in_request_line) {
      if (line.empty()) {  // RFC 9112 §2.2: some clients send an empty line after a request
        if (consumed > limits.max_size) return refused(431, "request header too large");
        continue;
      }
      if (ParsedHead verdict = parse_request_line(line, limits, request); verdict.state == State::kRefused) return verdict;
      in_request_line = false;
      continue;
    }
    if (consumed > limits.max_size) return refused(431, "request header too large");
    if (line.empty()) {
      ParsedHead head = judge(request, framing, limits);
      head.size = consumed;
      return head;
    }
    if (++fields > limits.max_fields) return refused(431, "too many headers");
    if (ParsedHead verdict = parse_field(line, request, framing); verdict.state == State::kRefused) return verdict;
  }
}

}  // namespace cistern::http
