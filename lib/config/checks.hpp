// What a single value must look like, in policies and in the agent's file. Each returns kInvalid and a message that says what is wrong
// and what would be right; a message never repeats user information of a URL.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/units.hpp"
#include "config/model.hpp"

namespace cistern::config {

// The verifier key of sum.golang.org, as the go command has it built in.
inline constexpr std::string_view kSumGolangOrgKey = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";

// The parts of an http or https URL that check_url has accepted.
struct Url {
  std::string scheme;
  std::string host;  // without brackets
  std::string port;  // empty if not given
  std::string path;  // empty, or begins with '/'; no trailing '/'
  // "host" or "host:port", with brackets around an IPv6 address.
  std::string authority() const;
};

// http or https, a host, no user information, no query, no fragment. A trailing slash is accepted and cut.
Result<Url> parse_url(std::string_view text);
Result<void> check_url(const std::string& text);
// The same, or empty.
Result<void> check_optional_url(const std::string& text);

// RE2 syntax.
Result<void> check_regex(const std::string& text);
// HOST:PORT or [V6]:PORT, port 0 to 65535; or empty.
Result<void> check_address(const std::string& text);
// The same without port 0, and not empty.
Result<void> check_peer_address(const std::string& text);
// A host, perhaps with a port: "docker.io", "localhost:5000". No scheme, no path, lower case.
Result<void> check_registry(const std::string& text);
// A host name or address, perhaps with a port; no scheme, no path.
Result<void> check_host(const std::string& text);
// A name for people and metrics: letters, digits and -_.: ; at most 128.
Result<void> check_name(const std::string& text);
// A DNS label, as profiles and Kubernetes names have it.
Result<void> check_label(const std::string& text);
Result<void> check_pattern(const std::string& text);
// A verifier key, name+hash+key as sum.golang.org publishes it; or empty.
Result<void> check_verifier_key(const std::string& text);
// trace, debug, info, warn, error or off.
Result<void> check_log_level(const std::string& text);

// At least 1 ms, at most 24 hours: how long to wait for something.
Result<void> check_timeout(const std::chrono::milliseconds& value);
// At most ten years.
Result<void> check_delay(const std::chrono::milliseconds& value);
Result<void> check_age(const std::chrono::milliseconds& value);
// At most a minute, which is as long as `go` should be told that a new version is not there.
Result<void> check_negative(const std::chrono::milliseconds& value);
Result<void> check_size(const Bytes& value);

// Fills in what follows from the rest: the key of sum.golang.org. An error is about the field `key`.
Result<void> complete_sumdb(SumDb& sumdb);
// What an upstream is called: its name, else its URL's host.
std::string upstream_name(const std::string& name, const std::string& url);
// Whether the replacement names only groups that the pattern has; a pattern that is itself wrong is left to check_regex.
Result<void> check_rewrite(const Rewrite& rewrite);

// A check for numbers: low ≤ value ≤ high.
struct Between {
  unsigned low;
  unsigned high;
  Result<void> operator()(unsigned value) const;
};

}  // namespace cistern::config
