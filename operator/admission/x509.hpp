// Certificates in OpenSSL's terms. Used by certificates.cpp, and where the one in use is looked at.
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/error.hpp"

namespace cistern::admission {

struct OpensslFree {
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};

// A certificate with its key, both as PEM.
struct KeyPair {
  std::string cert, key;
};

// What was read from a KeyPair.
struct Identity {
  std::unique_ptr<X509, OpensslFree> cert;
  std::unique_ptr<EVP_PKEY, OpensslFree> key;
  WallTime not_before, not_after;
};

// The first certificate of a PEM text; null if there is none that can be read.
std::unique_ptr<X509, OpensslFree> read_certificate(const std::string& pem);
// Nothing if either can not be read, or they do not belong together.
std::optional<Identity> read_identity(const KeyPair& pair);

// From an hour before `now`; EC P-256, SHA-256.
Result<KeyPair> make_ca(WallTime now);
// Never longer than its CA.
Result<KeyPair> make_certificate(const Identity& ca, const std::vector<std::string>& names, WallTime now);

bool is_ca(const Identity& identity);
// Whether a client at `now` that trusts `ca` takes `cert` for a server of each of these names. Empty, or why not.
std::string why_not_trusted(const X509& cert, const X509& ca, const std::vector<std::string>& names, WallTime now);

}  // namespace cistern::admission
