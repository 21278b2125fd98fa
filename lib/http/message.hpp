// HTTP requests and responses as the rest of the program sees them: plain values, without a parser, a socket or Beast.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/content.hpp"
#include "base/error.hpp"

namespace cistern::http {

enum class Method { kGet, kHead, kPost, kOther };

// Names compare without case. In the order received; small, so a linear search is the fastest. All text lies in one buffer that
// clear() keeps, so an object that is used again allocates nothing. Views that are handed out end with the next change.
class Headers {
 public:
  using Field = std::pair<std::string_view, std::string_view>;  // name, value
  class Fields;

  void add(std::string_view name, std::string_view value);
  // Replaces every field of that name.
  void set(std::string_view name, std::string_view value);
  void remove(std::string_view name);
  // The first field of that name; empty if there is none.
  std::string_view get(std::string_view name) const;
  std::size_t count(std::string_view name) const;
  bool contains(std::string_view name) const { return count(name) != 0; }
  // A range of Field: for (const auto& [name, value] : headers.all()).
  Fields all() const;
  void clear();
  bool operator==(const Headers& other) const;

 private:
  struct Place {
    std::uint32_t at;  // the value follows the name
    std::uint32_t name_size;
    std::uint32_t value_size;
  };
  Field field(const Place& place) const;

  std::string text_;
  std::vector<Place> places_;
};

// Valid until its Headers change.
class Headers::Fields {
 public:
  class Iterator {
   public:
    using value_type = Field;
    using difference_type = std::ptrdiff_t;
    using reference = Field;
    using pointer = void;
    using iterator_category = std::input_iterator_tag;

    Iterator() = default;
    Iterator(const Headers* headers, std::size_t index) : headers_(headers), index_(index) {}
    Field operator*() const { return headers_->field(headers_->places_[index_]); }
    Iterator& operator++() {
      ++index_;
      return *this;
    }
    Iterator operator++(int) {
      Iterator before = *this;
      ++index_;
      return before;
    }
    bool operator==(const Iterator&) const = default;

   private:
    const Headers* headers_ = nullptr;
    std::size_t index_ = 0;
  };

  explicit Fields(const Headers& headers) : headers_(&headers) {}
  Iterator begin() const { return {headers_, 0}; }
  Iterator end() const { return {headers_, size()}; }
  std::size_t size() const { return headers_->places_.size(); }
  bool empty() const { return size() == 0; }
  Field operator[](std::size_t index) const { return headers_->field(headers_->places_[index]); }

 private:
  const Headers* headers_;
};

inline Headers::Fields Headers::all() const { return Fields(*this); }

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
  std::string remote;  // the client's address without its port
  std::string body;    // of a POST to a listener that allows it (ListenerOptions::allow_body); else empty

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
  // The status of status_of, the error's message as text, and Retry-After where the error names a time.
  static Response of(const Error& error);
};

// The status by which a client is told of an error (the upstream's error keeps its meaning): kInvalid 400, kNotFound 404, kGone 410,
// kConflict 409, kForbidden 403, kTooManyRequests 429, kTimeout 504, kUpstream and kCorrupt 502, kUnavailable and kNoSpace 503, kIo and
// kInternal 500. kCancelled is kCancelledStatus, which is never sent: the server closes the connection without an answer.
inline constexpr unsigned kCancelledStatus = 499;
unsigned status_of(const Error& error);

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
