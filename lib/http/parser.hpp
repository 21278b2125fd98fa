// The head of an HTTP/1 request, from bytes to a Request. Written here rather than taken from Beast because the point is what must be
// refused (folded headers, bare line feeds, Transfer-Encoding in any spelling), and Beast's parser forgives or hides most of that.
// RFC 9112 is the grammar; wherever it lets a server choose between tolerance and refusal, this one refuses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/message.hpp"

namespace cistern::http {

struct HeadLimits {
  std::size_t max_size = 16 << 10;    // of the whole head: 431 beyond
  std::size_t max_target = 8 << 10;   // 414 beyond
  std::size_t max_fields = 100;       // 431 beyond
  bool allow_body = false;            // POST may have a body …
  std::uint64_t max_body = 64 << 10;  // … of at most so many bytes: 413 beyond
};

struct ParsedHead {
  enum class State { kIncomplete, kComplete, kRefused };
  State state = State::kIncomplete;
  std::size_t size = 0;              // of the head, when complete
  std::uint64_t content_length = 0;  // of the body to read, where one is allowed
  bool keep_alive = false;           // false too with an unread body
  bool unread_body = false;          // a body follows that is not for us: nothing after this head is a request
  bool expects_continue = false;
  unsigned refused_status = 0;  // when refused; `reason` is for the person who reads the answer
  const char* reason = "";
};

// Looks at the bytes received so far, from the first one. Fills `request` (all but `remote` and `body`) when complete; its content is
// unspecified otherwise. Pure.
ParsedHead parse_head(std::string_view input, const HeadLimits& limits, Request& request);

}  // namespace cistern::http
