// The webhook's CA and certificate, as the Secret `cistern-webhook` holds them, and how they are replaced. Pure but for the keys that are
// drawn: the state is what the Secret holds, the clock is passed in, and each step gives the next state.
//
// Steady, the Secret holds ca.crt, ca.key, tls.crt and tls.key. The certificate is replaced by itself: the same CA vouches for the next
// one. A CA is replaced so that at each moment every API server trusts whatever any replica shows:
//
//   published  ca-next.crt and ca-next.key are there, and the webhook's configuration names both CAs; kOverlap from when that was seen …
//   switched   the next CA has become ca.crt and has made a new tls.crt; the former one is ca-old.crt and still named; kOverlap later …
//   steady     ca-old.crt is gone
//
// A CA lives for a year, a certificate for 90 days; each is replaced after two thirds of that. What can not be used at all (unreadable,
// expired, not valid yet because a clock went back, for other names, keys that do not fit) is replaced at once. Validity begins an hour
// before it is made, for API servers whose clocks are behind.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/error.hpp"

namespace cistern::admission {

inline constexpr std::chrono::seconds kCaLife = std::chrono::days(365);
inline constexpr std::chrono::seconds kCertificateLife = std::chrono::days(90);
inline constexpr std::chrono::seconds kBackdated = std::chrono::hours(1);
inline constexpr std::chrono::seconds kOverlap = std::chrono::minutes(10);

// Keys of the Secret. PEM, but for the last one, which is a time.
inline constexpr const char* kCaCert = "ca.crt";
inline constexpr const char* kCaKey = "ca.key";
inline constexpr const char* kTlsCert = "tls.crt";
inline constexpr const char* kTlsKey = "tls.key";
inline constexpr const char* kNextCaCert = "ca-next.crt";
inline constexpr const char* kNextCaKey = "ca-next.key";
inline constexpr const char* kOldCaCert = "ca-old.crt";
inline constexpr const char* kOverlapSince = "overlap-since";  // seconds since 1970: the phase above has lasted since then

using SecretData = std::map<std::string, std::string>;  // key → bytes

// "cistern-webhook.<ns>.svc", by which the API server asks for it, and the same with the cluster's domain.
std::vector<std::string> webhook_names(const std::string& ns, const std::string& cluster_domain);

struct CertificateStep {
  SecretData data;                   // what the Secret shall hold; other keys stay
  std::string ca_bundle;             // what the webhook's configuration shall have as caBundle (PEM, before base64)
  std::vector<std::string> changes;  // why `data` differs, for the log and an Event: "a new certificate: it expired"; empty: it does not
  WallTime look_again;               // the next step is due then, if not before by a change of either
};

// `data`: what the Secret holds, empty where there is none. `published`: the caBundle that the webhook's configuration has now. The Secret
// is written first, the configuration then; a writer that was interrupted in between is made good by the next step. kInternal if OpenSSL
// fails.
Result<CertificateStep> next_certificates(const SecretData& data, std::string_view published, const std::vector<std::string>& names,
                                          WallTime now);

}  // namespace cistern::admission
