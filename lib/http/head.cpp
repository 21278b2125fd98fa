#include "http/head.hpp"

#include <fmt/format.h>

namespace cistern::http {

namespace {

bool is_the_servers(std::string_view name) {
  switch (name.size()) {
    case 4: return equal_ignoring_case(name, "Date");
    case 10: return equal_ignoring_case(name, "Connection");
    case 14: return equal_ignoring_case(name, "Content-Length");
    case 17: return equal_ignoring_case(name, "Transfer-Encoding");
    default: return false;
  }
}

bool is_one_line(std::string_view text) {
  for (const char c : text) {
    if (c == '\r' || c == '\n' || c == '\0') return false;
  }
  return true;
}

}  // namespace

std::string_view reason_of(unsigned status) {
  switch (status) {
    case 200: return "OK";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 206: return "Partial Content";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 416: return "Range Not Satisfiable";
    case 422: return "Unprocessable Content";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    case 507: return "Insufficient Storage";
    default: return "Unknown";
  }
}

std::string_view DateLine::now() {
  const std::time_t second = std::time(nullptr);
  if (second != second_) {
    second_ = second;
    line_ = "Date: " + http_date(std::chrono::sys_seconds(std::chrono::seconds(second))) + "\r\n";
  }
  return line_;
}

void append_head(std::string& out, const Response& response, const Framing& framing, DateLine& date) {
  if (response.status == 200) {
    out.append("HTTP/1.1 200 OK\r\n");
  } else {
    out.append("HTTP/1.1 ").append(fmt::format_int(response.status).c_str()).append(" ").append(reason_of(response.status)).append("\r\n");
  }
  out.append(date.now());
  for (const auto& [name, value] : response.headers.all()) {
    if (is_the_servers(name) || !is_one_line(name) || !is_one_line(value)) continue;
    out.append(name).append(": ").append(value).append("\r\n");
  }
  if (framing.content_length) {
    const fmt::format_int digits(*framing.content_length);
    out.append("Content-Length: ").append(digits.data(), digits.size()).append("\r\n");
  }
  if (framing.chunked) out.append("Transfer-Encoding: chunked\r\n");
  if (!framing.connection.empty()) out.append("Connection: ").append(framing.connection).append("\r\n");
  out.append("\r\n");
}

}  // namespace cistern::http
