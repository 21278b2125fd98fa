// The head of a response, from a Response to bytes.
#pragma once

#include <ctime>
#include <optional>
#include <string>
#include <string_view>

#include "http/message.hpp"

namespace cistern::http {

// The reason phrase of a status; "Unknown" for one that nobody here sends.
std::string_view reason_of(unsigned status);

// "Date: …\r\n", written anew once a second. One for each thread.
class DateLine {
 public:
  std::string_view now();

 private:
  std::time_t second_ = 0;
  std::string line_;
};

// How the body's end is told.
struct Framing {
  std::optional<std::uint64_t> content_length;
  bool chunked = false;
  std::string_view connection;  // "close", "keep-alive", or empty
};

// Appends status line, Date, the response's headers, the framing and the empty line to `out`. Left out are fields that are the server's
// to write, and any with a line break or NUL in it, which would be another field or another response to the client.
void append_head(std::string& out, const Response& response, const Framing& framing, DateLine& date);

}  // namespace cistern::http
