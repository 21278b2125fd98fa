#include "http/message.hpp"

#include <ctime>

#include "base/encoding.hpp"
#include "base/text.hpp"

namespace cistern::http {

namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

std::string decoded(std::string_view text) {
  Result<std::string> result = percent_decode(text);
  return result ? std::move(*result) : std::string(text);
}

}  // namespace

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] != b[i] && lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

bool has_token(std::string_view header_value, std::string_view token) {
  while (true) {
    const std::size_t comma = header_value.find(',');
    if (equal_ignoring_case(trimmed(header_value.substr(0, comma)), token)) return true;
    if (comma == std::string_view::npos) return false;
    header_value.remove_prefix(comma + 1);
  }
}

void Headers::add(std::string_view name, std::string_view value) {
  const std::size_t at = text_.size();
  const std::size_t size = at + name.size() + value.size();
  if (size > text_.capacity()) {
    // Name or value may lie in the old buffer, which therefore lives until both are copied.
    std::string larger;
    larger.reserve(std::max<std::size_t>(256, size * 2));
    larger.append(text_).append(name).append(value);
    text_.swap(larger);
  } else {
    text_.append(name).append(value);
  }
  if (places_.capacity() == 0) places_.reserve(8);
  places_.push_back({static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(name.size()), static_cast<std::uint32_t>(value.size())});
}

void Headers::set(std::string_view name, std::string_view value) {
  const std::string kept_value(value);  // may be a view of a field that goes
  const std::string kept_name(name);
  remove(kept_name);
  add(kept_name, kept_value);
}

void Headers::remove(std::string_view name) {
  std::erase_if(places_, [&](const Place& place) { return equal_ignoring_case(field(place).first, name); });
}

std::string_view Headers::get(std::string_view name) const {
  for (const Place& place : places_) {
    if (place.name_size == name.size() && equal_ignoring_case(field(place).first, name)) return field(place).second;
  }
  return {};
}

std::size_t Headers::count(std::string_view name) const {
  std::size_t found = 0;
  for (const Place& place : places_) found += equal_ignoring_case(field(place).first, name);
  return found;
}

void Headers::clear() {
  text_.clear();
  places_.clear();
}

bool Headers::operator==(const Headers& other) const {
  if (places_.size() != other.places_.size()) return false;
  for (std::size_t i = 0; i < places_.size(); ++i) {
    if (field(places_[i]) != other.field(other.places_[i])) return false;
  }
  return true;
}

Headers::Field Headers::field(const Place& place) const {
  const std::string_view text(text_);
  return {text.substr(place.at, place.name_size), text.substr(place.at + place.name_size, place.value_size)};
}

std::string_view Request::query() const {
  const std::size_t mark = target.find('?');
  return mark == std::string::npos ? std::string_view() : std::string_view(target).substr(mark + 1);
}

std::vector<std::string> query_values(std::string_view query, std::string_view name) {
  std::vector<std::string> values;
  while (!query.empty()) {
    const std::size_t end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    const std::size_t equals = pair.find('=');
    if (decoded(pair.substr(0, equals)) == name) {
      values.push_back(equals == std::string_view::npos ? std::string() : decoded(pair.substr(equals + 1)));
    }
    if (end == std::string_view::npos) break;
    query.remove_prefix(end + 1);
  }
  return values;
}

Body Body::of(std::string text) { return of(Slice(memory_slice(std::move(text)))); }

Body Body::of(Slice slice) {
  const std::uint64_t size = size_of(slice);
  return Body{std::move(slice), size};
}

Body Body::of(std::unique_ptr<BodySource> source, std::optional<std::uint64_t> length) { return Body{std::move(source), length}; }

Response Response::text(unsigned status, std::string message) {
  if (message.empty() || message.back() != '\n') message.push_back('\n');
  Response response;
  response.status = status;
  response.headers.add("Content-Type", "text/plain; charset=utf-8");
  response.body = Body::of(std::move(message));
  return response;
}

Response Response::json(unsigned status, std::string document) {
  Response response;
  response.status = status;
  response.headers.add("Content-Type", "application/json");
  response.body = Body::of(std::move(document));
  return response;
}

Response Response::of(const Error& error) {
  Response response = text(status_of(error), error.message);
  if (error.retry_after) response.headers.add("Retry-After", std::to_string(error.retry_after->count()));
  return response;
}

unsigned status_of(const Error& error) {
  switch (error.code) {
    case ErrorCode::kInvalid: return 400;
    case ErrorCode::kNotFound: return 404;
    case ErrorCode::kGone: return 410;
    case ErrorCode::kConflict: return 409;
    case ErrorCode::kForbidden: return 403;
    case ErrorCode::kTooManyRequests: return 429;
    case ErrorCode::kTimeout: return 504;
    case ErrorCode::kUpstream:
    case ErrorCode::kCorrupt: return 502;
    case ErrorCode::kUnavailable:
    case ErrorCode::kNoSpace: return 503;
    case ErrorCode::kCancelled: return kCancelledStatus;
    case ErrorCode::kIo:
    case ErrorCode::kInternal: return 500;
  }
  return 500;
}

std::string http_date(std::chrono::sys_seconds time) {
  // strftime's names of days and months follow the locale; HTTP's do not.
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t seconds = time.time_since_epoch().count();
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT", kDays[parts.tm_wday], parts.tm_mday, kMonths[parts.tm_mon],
                     parts.tm_year + 1900, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

}  // namespace cistern::http
