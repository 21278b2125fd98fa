// HTTP requests and responses as the rest of the program sees them: plain values, without a parser, a socket or Beast.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/content.hpp"

namespace cistern::http {

enum class Method { kGet, kHead, kPost, kOther };

// Names compare without case. In the order received; small, so a linear search is the fastest.
class Headers {
 public:
  void add(std::string_view name, std::string_view value) { fields_.emplace_back(name, value); }
  // Replaces every field of that name.
  void set(std::string_view name, std::string_view value);
  void remove(std::string_view name);
  // The first field of that name; empty if there is none.
  std::string_view get(std::string_view name) const;
  std::size_t count(std::string_view name) const;
  bool contains(std::string_view name) const { return count(name) != 0; }
  const std::vector<std::pair<std::string, std::string>>& all() const { return fields_; }
  void clear() { fields_.clear(); }
  bool operator==(const Headers&) const = default;

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

// ASCII case-insensitive equality.
bool equal_ignoring_case(std::string_view a, std::string_view b);
// Whether a comma-separated header value has this token, without case.
bool has_token(std::string_view header_value, std::string_view token);

struct Request {
  Method method = Method::kGet;
  std::string method_text;  // as sent, for logs
  std::string target;       // as sent: origin form, starts with '/'; the server refuses any other
  int version = 11;         // 10 or 11; 20 over HTTP/2
  Headers headers;
  std::string remote;       // the client's address without its port
  std::string body;         // POST to a listener that allows it (admin), at most 64 KiB; else empty

  // target without its query; the query without its '?'.
  std::string_view path() const { return std::string_view(target).substr(0, target.find('?')); }
  std::string_view query() const;
};

// Of "a=1&b=2", the decoded values of one name, in order. Broken escapes are taken literally.
std::vector<std::string> query_values(std::string_view query, std::string_view name);

// What a body is: nothing, something at hand, or something that is still arriving.
struct Body {
  std::variant<std::monostate, Slice, std::unique_ptr<BodySource>> content;
  // Bytes in all; absent only for a source of unknown length, which goes out chunked (HTTP/1.1), or until the connection closes.
  std::optional<std::uint64_t> length = 0;

  static Body of(std::string text);
  static Body of(Slice slice);
  static Body of(std::unique_ptr<BodySource> source, std::optional<std::uint64_t> length);
};

// What the access log and the metrics say about an answer; set by whoever made it. Static strings only.
struct Annotation {
  const char* ecosystem = "";  // go, oci, or empty
  const char* result = "";     // hit, miss, stale, revalidated, bypass, denied, error, or empty
};

struct Response {
  unsigned status = 200;
  // Without Content-Length, Transfer-Encoding, Connection and Date, which the server writes. For HEAD the handler answers as for
  // GET and the server leaves the body out (`body.length` is still what Content-Length says).
  Headers headers;
  Body body;
  bool close = false;  // close the connection after this response
  Annotation annotation;

  // text/plain; charset=utf-8, with a newline at its end.
  static Response text(unsigned status, std::string message);
  static Response json(unsigned status, std::string document);
};

// "Thu, 01 Jan 1970 00:00:00 GMT"
std::string http_date(std::chrono::sys_seconds time);

// "bytes=a-b" (single range only) of a body of `size` bytes.
struct ByteRange {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};
enum class RangeKind { kNone, kSatisfiable, kUnsatisfiable };  // kNone: absent, malformed or several ranges → answer with 200
// A range as sent, before the size is known.
struct RangeRequest {
  std::optional<std::uint64_t> first;  // absent: a suffix of `last` bytes
  std::optional<std::uint64_t> last;   // absent: to the end
};
// Empty: no range, or one to be ignored (RFC 9110 §14.2: malformed, several, another unit).
std::optional<RangeRequest> parse_range(std::string_view header_value);
RangeKind resolve_range(const RangeRequest& request, std::uint64_t size, ByteRange& range);

}  // namespace cistern::http
