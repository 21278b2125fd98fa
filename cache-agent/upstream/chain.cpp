#include "cache-agent/upstream/chain.hpp"

#include <algorithm>

#include "base/digest.hpp"
#include "cache-agent/upstream/retry.hpp"

namespace cistern::upstream {
namespace {

constexpr unsigned kMostRedirects = 10;
constexpr std::size_t kLargestTokenAnswer = 1 << 20;

bool is_redirect(const Head& head) {
  const auto status = head.status;
  return (status == 301 || status == 302 || status == 303 || status == 307 || status == 308) && !head.headers.get("Location").empty();
}

}  // namespace

// Where a chain stands.
struct Chain::Position {
  std::string url;
  Origin home;          // the upstream's
  Origin origin;        // of `url`
  bool trusted = true;  // never left home yet: credentials may go along
  unsigned redirects = 0;
  bool challenged = false;    // a challenge has been answered; a second one is not
  std::string authorization;  // empty: none
  std::string token_key;      // where `authorization` is a cached or fetched token
  std::string token;
  Scope own_scope = Scope::kPublic;  // of the upstream's own address, after the first hop
  bool first = true;
  Timing timing;
};

Chain::Chain(Network network, std::shared_ptr<State> state, Settings settings, Kind kind)
    : network_(std::move(network)), state_(std::move(state)), settings_(std::move(settings)), kind_(kind) {}

std::string Chain::label(const Origin& origin) const {
  const auto& name = state_->configuration.name;
  return kind_ == Kind::kPeer  ? fmt::format("peer {}:{}", origin.host, origin.port)
         : name == origin.host ? name
                               : fmt::format("{} ({})", name, origin.host);
}

HopRequest Chain::request(const Ask& ask, const Position& position) const {
  HopRequest request;
  request.url = position.url;
  request.verb = ask.verb;
  request.headers = ask.headers;
  if (ask.offset > 0) request.headers.set("Range", fmt::format("bytes={}-", ask.offset));
  if (!position.authorization.empty()) request.headers.set("Authorization", position.authorization);
  if (!position.trusted) request.headers.remove("Cookie");
  request.bulk = ask.bulk;
  request.timeouts = settings_.timeouts;
  if (ask.first_byte) request.timeouts.first_byte = *ask.first_byte;
  request.label = label(position.origin);
  request.counted_as = state_->configuration.name;
  request.resolve = network_.options->resolve;
  request.address_rule = network_.options->address_rule;
  if (kind_ == Kind::kPeer) {
    request.limit = Scope::kNever;
    return request;
  }
  request.limit = position.first ? Scope::kLoopback : position.own_scope;
  request.proxy = network_.options->proxies.choose(position.origin);
  request.tls = std::shared_ptr<const config::Upstream>(state_, &state_->configuration);
  return request;
}

Awaitable<tl::expected<Answer, Refusal>> Chain::follow(Ask ask) {
  const auto refuse = [](Error error, bool transient) { return tl::unexpected(Refusal{std::move(error), transient, false}); };
  Position position;
  position.url = state_->configuration.url + ask.target;
  auto home = origin_of(position.url);
  if (!home || !ask.target.starts_with('/')) {
    co_return refuse(Error{ErrorCode::kInvalid, fmt::format("{}: can not be asked for this path", state_->configuration.name), {}}, false);
  }
  position.home = position.origin = *home;
  if (kind_ == Kind::kUpstream) position.authorization = known_authorization(ask.scope, position);
  for (;;) {
    // A numeric target is judged here as well: behind a proxy nobody else would, and a refusal is quicker than a dial.
    const auto literal = kind_ == Kind::kPeer ? std::nullopt : scope_of_host(position.origin.host);
    const auto request_ = request(ask, position);
    if (literal && !request_.proxy.empty() && *literal > request_.limit) {
      co_return refuse(
          Error{ErrorCode::kForbidden, fmt::format("{}: its address is not one that may be asked from there", request_.label), {}}, false);
    }
    Hop hop(network_.loop, *network_.observer, request_);
    const auto arrived = co_await hop->head_arrived();
    if (!arrived) co_return tl::unexpected(Refusal{arrived.error(), hop->transient(), hop->stale_connection()});
    if (position.first) position.own_scope = request_.proxy.empty() ? hop->scope() : literal.value_or(Scope::kPublic);
    if (position.first) position.timing.connect = hop->timing().connect;
    position.timing.first_byte += hop->timing().first_byte;
    position.first = false;
    const Head& head = hop->head();
    if (kind_ == Kind::kPeer || ask.probe) co_return Answer{std::move(hop), false, position.timing};
    if (head.status == 401 && position.trusted && !position.challenged) {
      position.challenged = true;
      auto again = co_await authorize(ask.scope, &position, head.headers);
      if (!again) {
        const bool transient = again.error().code == ErrorCode::kTimeout || again.error().code == ErrorCode::kUpstream;
        co_return refuse(again.error(), transient);
      }
      if (*again) continue;
    }
    if (is_redirect(head)) {
      auto moved = redirect(position, head);
      if (!moved) co_return refuse(moved.error(), false);
      continue;
    }
    const bool away = !position.trusted;
    co_return Answer{std::move(hop), away, position.timing};
  }
}

Result<bool> Chain::redirect(Position& position, const Head& head) const {
  const auto from = label(position.origin);
  if (++position.redirects > kMostRedirects) {
    return fail(ErrorCode::kUpstream, "{}: more than {} redirects", from, kMostRedirects);
  }
  auto url = resolve(position.url, std::string(head.headers.get("Location")));
  if (!url) return fail(ErrorCode::kForbidden, "{}: a redirect to what is {}", from, url.error().message);
  const auto origin = origin_of(*url);
  if (!origin) return fail(ErrorCode::kForbidden, "{}: a redirect to what is {}", from, origin.error().message);
  if (position.origin.scheme == "https" && origin->scheme != "https") {
    return fail(ErrorCode::kForbidden, "{}: a redirect from https to http ({})", from, origin->host);
  }
  if (*origin != position.home) {
    position.trusted = false;
    position.authorization.clear();
  }
  position.url = std::move(*url);
  position.origin = *origin;
  return true;
}

// --- credentials

std::string Chain::token_key(const TokenRequest& request) const {
  const auto& credentials = state_->configuration.credentials;
  const auto identity =
      request.with_credentials ? Sha256::of(credentials->username + '\n' + credentials->password).hex() : std::string("anonymous");
  return fmt::format("{}\n{}\n{}\n{}", request.realm, request.service, request.scope, identity);
}

// What can be sent without being asked: a token that is still good, or credentials that were accepted before. A Go proxy (no scope) gets
// its credentials at once, as from the go command itself; a registry is left to say which kind it wants.
std::string Chain::known_authorization(const std::string& scope, Position& position) {
  const auto& credentials = state_->configuration.credentials;
  if (credentials && !credentials->token.empty()) return "Bearer " + credentials->token;
  std::optional<TokenRequest> known;
  bool send_basic = scope.empty();
  {
    const std::lock_guard lock(state_->mutex);
    const auto found = state_->token_requests.find(scope);
    if (found != state_->token_requests.end()) known = found->second;
    send_basic = send_basic || state_->basic;
  }
  if (known) {
    auto key = token_key(*known);
    if (auto token = state_->tokens.cached(key)) {
      position.token_key = std::move(key);
      position.token = *token;
      return "Bearer " + *token;
    }
  }
  return credentials && !credentials->username.empty() && send_basic ? basic(*credentials) : std::string();
}

// Answers a 401. False: there is nothing to answer it with, and it stays the answer.
Awaitable<Result<bool>> Chain::authorize(std::string scope, Position* position, http::Headers challenge_headers) {
  constexpr std::size_t kMostScopes = 4096;
  const auto& configuration = state_->configuration;
  if (!position->token_key.empty()) state_->tokens.refused(position->token_key, position->token);
  const auto challenges = parse_challenges(challenge_headers);
  const auto find = [&](std::string_view scheme) {
    return std::find_if(challenges.begin(), challenges.end(), [&](const Challenge& challenge) { return challenge.scheme == scheme; });
  };
  const auto bearer = find("bearer");
  if (bearer != challenges.end() && bearer->parameters.contains("realm")) {
    const auto wanted = token_request(*bearer, scope, position->home, configuration);
    if (!wanted) co_return fail(wanted.error().in(label(position->home)));
    {
      const std::lock_guard lock(state_->mutex);
      if (state_->token_requests.size() >= kMostScopes) state_->token_requests.clear();
      state_->token_requests[scope] = *wanted;
    }
    auto got = co_await token(*wanted, position->own_scope);
    if (!got && got.error().code == ErrorCode::kNotFound) co_return false;  // the token service refuses too
    if (!got) co_return fail(got.error());
    position->token_key = token_key(*wanted);
    position->token = *got;
    position->authorization = "Bearer " + *got;
    co_return true;
  }
  const bool can_basic = find("basic") != challenges.end() && configuration.credentials && !configuration.credentials->username.empty();
  if (!can_basic) co_return false;
  auto authorization = basic(*configuration.credentials);
  if (authorization == position->authorization) co_return false;
  position->authorization = std::move(authorization);
  const std::lock_guard lock(state_->mutex);
  state_->basic = true;
  co_return true;
}

Awaitable<Result<std::string>> Chain::token(TokenRequest request, Scope limit) {
  auto key = token_key(request);
  return state_->tokens.get(std::move(key), [this, request = std::move(request), limit] { return fetch_token(request, limit); });
}

// kNotFound: the service gives no token for this.
Awaitable<Result<Token>> Chain::fetch_token(TokenRequest wanted, Scope limit) {
  const auto origin = origin_of(wanted.realm);
  if (!origin) co_return fail(origin.error());
  Position position;
  position.url = wanted.url();
  position.home = position.origin = *origin;
  position.own_scope = limit;
  position.first = false;
  if (wanted.with_credentials) position.authorization = basic(*state_->configuration.credentials);
  Ask ask;
  ask.headers.add("Accept", "application/json");
  auto request_ = request(ask, position);
  request_.label = fmt::format("token service of {}", label(*origin));
  const auto literal = scope_of_host(origin->host);
  if (literal && !request_.proxy.empty() && *literal > limit) {
    co_return fail(ErrorCode::kForbidden, "{}: its address is not one that may be asked from there", request_.label);
  }
  const auto asked = network_.clock->steady();
  Hop hop(network_.loop, *network_.observer, request_);
  const auto arrived = co_await hop->head_arrived();
  if (!arrived) co_return fail(arrived.error());
  const auto status = hop->head().status;
  if (status == 429) {
    const auto wait = parse_retry_after(hop->head().headers.get("Retry-After"), network_.clock->wall());
    co_return fail(Error{ErrorCode::kTooManyRequests, fmt::format("{}: 429", request_.label), wait});
  }
  if (status >= 500) co_return fail(ErrorCode::kUpstream, "{}: {}", request_.label, status);
  if (status != 200) co_return fail(ErrorCode::kNotFound, "{}: {}", request_.label, status);
  std::string body;
  for (;;) {
    auto block = co_await hop->read();
    if (!block) co_return fail(block.error());
    if (block->empty()) break;
    body += *block;
    if (body.size() > kLargestTokenAnswer) co_return fail(ErrorCode::kUpstream, "{}: an answer over 1 MiB", request_.label);
  }
  auto token = parse_token(body, asked);
  if (!token) co_return fail(token.error().in(request_.label));
  co_return *token;
}

}  // namespace cistern::upstream
