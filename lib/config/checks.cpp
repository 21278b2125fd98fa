#include "config/checks.hpp"

#include <fmt/ranges.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/encoding.hpp"
#include "base/glob.hpp"

namespace cistern::config {
namespace {

bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_letter_or_digit(char c) { return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z'); }

bool is_host_name(std::string_view text) {
  return !text.empty() && text.size() <= 253 && text.front() != '.' && text.front() != '-' &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_letter_or_digit(c) || c == '.' || c == '-' || c == '_'; });
}

bool is_v6(std::string_view text) {
  return text.size() >= 2 && text.size() <= 64 && std::count(text.begin(), text.end(), ':') >= 2 &&
         text.find_first_not_of("0123456789abcdefABCDEF:.%") == std::string_view::npos;
}

bool is_port(std::string_view text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value <= 65535;
}

// Splits "host:port", "[v6]:port", "host" or "[v6]"; false if it is none of these.
bool split_authority(std::string_view text, std::string& host, std::string& port) {
  std::string_view rest;
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == std::string_view::npos || !is_v6(text.substr(1, end - 1))) return false;
    host = text.substr(1, end - 1);
    rest = text.substr(end + 1);
  } else {
    const auto end = std::min(text.find(':'), text.size());
    if (!is_host_name(text.substr(0, end))) return false;
    host = text.substr(0, end);
    rest = text.substr(end);
  }
  port.clear();
  if (rest.empty()) return true;
  if (!rest.starts_with(':') || !is_port(rest.substr(1))) return false;
  port = rest.substr(1);
  return true;
}

Failure not_a_url(std::string_view text, std::string_view why) {
  return fail(ErrorCode::kInvalid, "\"{}\" is not a URL to ask: {}; write one such as \"https://mirror.example/path\"", text, why);
}

}  // namespace

std::string Url::authority() const {
  const std::string shown = host.find(':') == std::string::npos ? host : "[" + host + "]";
  return port.empty() ? shown : shown + ":" + port;
}

Result<Url> parse_url(std::string_view text) {
  const auto scheme_end = text.find("://");
  const auto after_scheme = scheme_end == std::string_view::npos ? 0 : scheme_end + 3;
  const auto authority_end = std::min(text.find_first_of("/?#", after_scheme), text.size());
  // Before anything else, so that no message below repeats a password.
  if (text.substr(after_scheme, authority_end - after_scheme).find('@') != std::string_view::npos) {
    return fail(ErrorCode::kInvalid, "the URL holds user information; write it without, and give credentials by reference");
  }
  if (std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7F || c == '"'; }))
    return not_a_url(text, "it holds white space, quotes or control characters");
  Url url;
  url.scheme = text.substr(0, scheme_end == std::string_view::npos ? 0 : scheme_end);
  if (url.scheme != "http" && url.scheme != "https") return not_a_url(text, "it begins with neither https:// nor http://");
  if (text.find_first_of("?#") != std::string_view::npos) return not_a_url(text, "it has a query or a fragment");
  if (!split_authority(text.substr(after_scheme, authority_end - after_scheme), url.host, url.port) || url.port == "0") {
    return not_a_url(text, "its host or port is malformed");
  }
  url.path = text.substr(authority_end);
  while (url.path.ends_with('/')) url.path.pop_back();
  return url;
}

Result<void> check_url(const std::string& text) {
  if (auto url = parse_url(text); !url) return fail(url.error());
  return {};
}

Result<void> check_optional_url(const std::string& text) { return text.empty() ? Result<void>() : check_url(text); }

Result<void> check_regex(const std::string& text) {
  RE2::Options quiet;
  quiet.set_log_errors(false);
  quiet.set_max_mem(1 << 20);
  const RE2 regex(text, quiet);
  if (regex.ok()) return {};
  return fail(ErrorCode::kInvalid, "\"{}\" is not a regular expression (RE2): {}", text, regex.error());
}

Result<void> check_address(const std::string& text) {
  std::string host;
  std::string port;
  if (text.empty() || (split_authority(text, host, port) && !port.empty())) return {};
  return fail(ErrorCode::kInvalid, "\"{}\" is not an address; write HOST:PORT or [V6]:PORT, as in \"127.0.0.1:5050\"", text);
}

Result<void> check_peer_address(const std::string& text) {
  std::string host;
  std::string port;
  if (split_authority(text, host, port) && !port.empty() && port != "0") return {};
  return fail(ErrorCode::kInvalid, "\"{}\" is not a peer's address; write HOST:PORT or [V6]:PORT, as in \"10.0.0.1:5050\"", text);
}

Result<void> check_registry(const std::string& text) {
  std::string host;
  std::string port;
  const bool lower = std::none_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
  if (split_authority(text, host, port) && lower && port != "0") return {};
  return fail(ErrorCode::kInvalid,
              "\"{}\" is not a registry's name; write its host as in an image reference, without scheme or path: \"docker.io\", "
              "\"localhost:5000\"",
              text);
}

Result<void> check_host(const std::string& text) {
  std::string host;
  std::string port;
  if (split_authority(text, host, port)) return {};
  return fail(ErrorCode::kInvalid, "\"{}\" is not a host; write a name such as \"auth.example\"", text);
}

Result<void> check_name(const std::string& text) {
  const auto fine = [](char c) { return is_letter_or_digit(c) || std::string_view("-_.:").find(c) != std::string_view::npos; };
  if (!text.empty() && text.size() <= 128 && std::all_of(text.begin(), text.end(), fine)) return {};
  return fail(ErrorCode::kInvalid, "\"{}\" is not a name; write letters, digits and -_.: (at most 128)", text);
}

Result<void> check_label(const std::string& text) {
  const auto fine = [](char c) { return is_lower_or_digit(c) || c == '-'; };
  if (!text.empty() && text.size() <= 63 && std::all_of(text.begin(), text.end(), fine) && text.front() != '-' && text.back() != '-')
    return {};
  return fail(ErrorCode::kInvalid, "\"{}\" is not a name here; write lower-case letters, digits and '-' (at most 63), as in \"dev\"", text);
}

Result<void> check_pattern(const std::string& text) { return check_module_pattern(text); }

Result<void> check_verifier_key(const std::string& text) {
  if (text.empty()) return {};
  const auto first = text.find('+');
  const auto second = first == std::string::npos ? first : text.find('+', first + 1);
  if (second != std::string::npos && first > 0 && second - first == 9 && text.find_first_not_of("0123456789abcdef", first + 1) == second) {
    // Algorithm 1 (Ed25519) and a 32-byte key.
    const auto key = from_base64(std::string_view(text).substr(second + 1));
    if (key && key->size() == 33 && (*key)[0] == 1) return {};
  }
  return fail(ErrorCode::kInvalid, "\"{}\" is not a verifier key; write name+hash+key as the checksum database publishes it", text);
}

Result<void> check_log_level(const std::string& text) {
  static constexpr std::array<std::string_view, 6> kLevels = {"trace", "debug", "info", "warn", "error", "off"};
  if (std::find(kLevels.begin(), kLevels.end(), text) != kLevels.end()) return {};
  return fail(ErrorCode::kInvalid, "\"{}\" is not a log level; write {}", text, fmt::join(kLevels, " or "));
}

Result<void> check_timeout(const std::chrono::milliseconds& value) {
  if (value >= std::chrono::milliseconds(1) && value <= std::chrono::hours(24)) return {};
  return fail(ErrorCode::kInvalid, "\"{}\" is out of bounds; write 1ms to 24h", to_string(value));
}

Result<void> check_delay(const std::chrono::milliseconds& value) {
  if (value <= std::chrono::minutes(1)) return {};
  return fail(ErrorCode::kInvalid, "\"{}\" is out of bounds; write 0s to 1m", to_string(value));
}

Result<void> check_age(const std::chrono::milliseconds& value) {
  if (value <= std::chrono::hours(87600)) return {};
  return fail(ErrorCode::kInvalid, "\"{}\" is out of bounds; write 0s to 87600h", to_string(value));
}

Result<void> check_negative(const std::chrono::milliseconds& value) {
  if (value <= std::chrono::minutes(1)) return {};
  return fail(ErrorCode::kInvalid, "\"{}\" is out of bounds; write 0s to 1m, so that a new version is seen soon", to_string(value));
}

Result<void> check_size(const Bytes& value) {
  if (value.count > 0) return {};
  return fail(ErrorCode::kInvalid, "a size of 0 would store nothing; write one such as \"20Gi\"");
}

Result<void> complete_sumdb(SumDb& sumdb) {
  if (sumdb.key.empty() && sumdb.name == "sum.golang.org") sumdb.key = kSumGolangOrgKey;
  if (sumdb.mode != SumDbMode::kVerify || sumdb.key.starts_with(sumdb.name + "+")) return {};
  if (sumdb.key.empty()) {
    return fail(ErrorCode::kInvalid, "is required to verify against {}; write its verifier key, name+hash+key", sumdb.name);
  }
  return fail(ErrorCode::kInvalid, "is not a key of {}; a verifier key begins with the database's name", sumdb.name);
}

std::string upstream_name(const std::string& name, const std::string& url) {
  if (!name.empty()) return name;
  const auto parsed = parse_url(url);
  return parsed ? parsed->host : "";
}

Result<void> check_rewrite(const Rewrite& rewrite) {
  RE2::Options quiet;
  quiet.set_log_errors(false);
  const RE2 regex(rewrite.pattern, quiet);
  std::string why;
  if (!regex.ok() || regex.CheckRewriteString(rewrite.replacement, &why)) return {};
  return fail(ErrorCode::kInvalid, "\"{}\" does not fit its pattern: {}; write \\1 to \\9 for its groups", rewrite.replacement, why);
}

Result<void> Between::operator()(unsigned value) const {
  if (value >= low && value <= high) return {};
  return fail(ErrorCode::kInvalid, "{} is out of bounds; write {} to {}", value, low, high);
}

}  // namespace cistern::config
