#include "cache-agent/route/respond.hpp"

#include <algorithm>

namespace cistern::route {

http::Response respond(cache::Answer answer, const char* ecosystem) {
  http::Response response;
  response.status = answer.range ? 206 : 200;
  response.annotation = http::Annotation{ecosystem, cache::to_string(answer.outcome)};
  auto& headers = response.headers;
  if (!answer.meta->content_type.empty()) headers.add("Content-Type", answer.meta->content_type);
  headers.add("X-Cistern-Cache", cache::to_string(answer.outcome));
  headers.add("Age", std::to_string(answer.age.count()));
  for (std::string_view rest = answer.meta->headers; !rest.empty();) {
    const auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    const auto colon = line.find(": ");
    if (colon != std::string_view::npos) headers.add(line.substr(0, colon), line.substr(colon + 2));
  }
  headers.add("Accept-Ranges", "bytes");
  if (answer.range) {
    headers.add("Content-Range",
                fmt::format("bytes {}-{}/{}", answer.range->offset, answer.range->offset + answer.range->length - 1, *answer.size));
  }
  auto length = answer.size;
  if (answer.range) length = answer.range->length;
  if (auto* slice = std::get_if<Slice>(&answer.body)) {
    response.body = http::Body::of(std::move(*slice));
  } else {
    response.body = http::Body::of(std::move(std::get<std::unique_ptr<BodySource>>(answer.body)), length);
  }
  return response;
}

http::Response text_error(const Error& error, const char* ecosystem) {
  auto response = http::Response::of(error);
  response.annotation = http::Annotation{ecosystem, error.code == ErrorCode::kForbidden ? "denied" : "error"};
  return response;
}

std::optional<http::Response> range_error(const Error& error, const char* ecosystem) {
  if (error.code != ErrorCode::kInvalid || !error.message.starts_with("bytes */")) return std::nullopt;
  auto response = http::Response::text(416, "the range lies outside of the object");
  response.headers.set("Content-Range", error.message);
  response.annotation = http::Annotation{ecosystem, "error"};
  return response;
}

cache::ReadOptions read_options(const http::Request& request) {
  cache::ReadOptions options;
  if (request.method == http::Method::kGet) options.range = http::parse_range(request.headers.get("Range"));
  options.whole = request.version == 10;
  return options;
}

}  // namespace cistern::route
