#include "cache-agent/upstream/auth.hpp"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include "base/encoding.hpp"

namespace cistern::upstream {
namespace {

std::string lower(std::string_view text) {
  std::string copy(text);
  std::transform(copy.begin(), copy.end(), copy.begin(), [](unsigned char c) { return std::tolower(c); });
  return copy;
}

// Reads one field's value: challenge *( "," challenge ), each a scheme and then nothing, a token68, or parameters separated by commas.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  void read(std::vector<Challenge>& challenges) {
    bool first = true;
    for (;;) {
      skip(" \t,");
      const auto word = token();
      if (word.empty()) return;  // the end, or nothing that can be understood
      skip(" \t");
      if (!first && take('=')) {
        challenges.back().parameters.emplace(lower(word), value());
      } else {
        challenges.push_back({lower(word), {}});
        skip_token68();
      }
      first = false;
    }
  }

 private:
  static bool is_token(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  }
  void skip(std::string_view characters) {
    const auto end = text_.find_first_not_of(characters);
    text_.remove_prefix(end == std::string_view::npos ? text_.size() : end);
  }
  bool take(char c) {
    if (text_.empty() || text_.front() != c) return false;
    text_.remove_prefix(1);
    skip(" \t");
    return true;
  }
  std::string_view token() {
    const auto end = std::find_if_not(text_.begin(), text_.end(), is_token);
    const auto word = text_.substr(0, static_cast<std::size_t>(end - text_.begin()));
    text_.remove_prefix(word.size());
    return word;
  }
  std::string value() {
    if (text_.empty() || text_.front() != '"') return std::string(token());
    std::string unquoted;
    std::size_t i = 1;
    for (; i < text_.size() && text_[i] != '"'; ++i) {
      if (text_[i] == '\\' && i + 1 < text_.size()) ++i;
      unquoted += text_[i];
    }
    text_.remove_prefix(std::min(text_.size(), i + 1));
    return unquoted;
  }
  // "Negotiate YWJj==": what follows a scheme and is no parameter.
  void skip_token68() {
    auto end = std::find_if_not(text_.begin(), text_.end(), [](char c) { return is_token(c) || c == '/'; });
    const auto padding = std::find_if_not(end, text_.end(), [](char c) { return c == '='; });
    const auto next = std::find_if_not(padding, text_.end(), [](char c) { return c == ' ' || c == '\t'; });
    if (end != text_.begin() && (next == text_.end() || *next == ',')) text_.remove_prefix(static_cast<std::size_t>(next - text_.begin()));
  }

  std::string_view text_;
};

bool may_have_credentials(const Origin& realm, const Origin& upstream, const std::vector<std::string>& auth_hosts) {
  if (realm.host == upstream.host) return true;
  return std::any_of(auth_hosts.begin(), auth_hosts.end(), [&](const std::string& host) {
    return http::equal_ignoring_case(host, realm.host) || http::equal_ignoring_case(host, fmt::format("{}:{}", realm.host, realm.port));
  });
}

}  // namespace

std::vector<Challenge> parse_challenges(const http::Headers& headers) {
  std::vector<Challenge> challenges;
  for (const auto& [name, value] : headers.all()) {
    if (http::equal_ignoring_case(name, "WWW-Authenticate")) Reader(value).read(challenges);
  }
  return challenges;
}

std::string TokenRequest::url() const {
  std::string url = realm;
  char separator = realm.find('?') == std::string::npos ? '?' : '&';
  const auto add = [&](std::string_view name, std::string_view value) {
    if (value.empty()) return;
    url += fmt::format("{}{}={}", separator, name, percent_encode(value));
    separator = '&';
  };
  add("service", service);
  // Several scopes in one challenge are separated by blanks, and asked for one by one.
  for (std::size_t start = 0; start < scope.size();) {
    const auto end = std::min(scope.find(' ', start), scope.size());
    add("scope", std::string_view(scope).substr(start, end - start));
    start = end + 1;
  }
  return url;
}

Result<TokenRequest> token_request(const Challenge& challenge, const std::string& scope, const Origin& upstream,
                                   const config::Upstream& configuration) {
  const auto parameter = [&](const char* name) {
    const auto found = challenge.parameters.find(name);
    return found == challenge.parameters.end() ? std::string() : found->second;
  };
  TokenRequest request{parameter("realm"), parameter("service"), scope.empty() ? parameter("scope") : scope};
  const auto realm = origin_of(request.realm);
  if (!realm) return fail(ErrorCode::kForbidden, "the token realm of its challenge is {}", realm.error().message);
  if (upstream.scheme == "https" && realm->scheme != "https") {
    return fail(ErrorCode::kForbidden, "the token realm of its challenge, {}, is not https", without_query(request.realm));
  }
  request.with_credentials = configuration.credentials && !configuration.credentials->username.empty() &&
                             may_have_credentials(*realm, upstream, configuration.auth_hosts);
  return request;
}

Result<Token> parse_token(std::string_view body, SteadyTime received) {
  constexpr std::chrono::seconds kDefaultLife{60};
  constexpr double kLongestLife = 86400;
  const auto document = nlohmann::json::parse(body, nullptr, false);
  if (!document.is_object()) return fail(ErrorCode::kUpstream, "the token service's answer is not a JSON object");
  std::string value;
  for (const char* name : {"token", "access_token"}) {
    const auto found = document.find(name);
    if (value.empty() && found != document.end() && found->is_string()) value = found->get<std::string>();
  }
  if (value.empty()) return fail(ErrorCode::kUpstream, "the token service's answer holds no token");
  std::chrono::seconds life = kDefaultLife;
  const auto expires = document.find("expires_in");
  if (expires != document.end() && expires->is_number()) {
    const auto seconds = expires->get<double>();
    if (seconds > 0) life = std::chrono::seconds(static_cast<long long>(std::min(seconds, kLongestLife)));
  }
  const SteadyTime::duration early = std::min<SteadyTime::duration>(std::chrono::seconds(10), SteadyTime::duration(life) / 10);
  return Token{std::move(value), received + life - early};
}

std::string basic(const config::Credentials& credentials) {
  return "Basic " + to_base64(credentials.username + ":" + credentials.password);
}

}  // namespace cistern::upstream
