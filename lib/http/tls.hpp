// The certificate of a TLS listener, replaced while connections run.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <mutex>
#include <string>

#include "base/digest.hpp"
#include "base/error.hpp"

namespace cistern::http {

// Thread-safe.
class Certificates {
 public:
  // Both files are PEM; the first may hold a chain. kInvalid, naming the file, where they can not be used together.
  static Result<std::unique_ptr<Certificates>> open(std::string cert_file, std::string key_file);

  // Without files: none, until use() gives one.
  Certificates() = default;

  // For a new connection: TLS 1.2 or newer, HTTP/1.1 by ALPN, buffers released while idle. A connection keeps the one it began with. Null:
  // there is none yet.
  std::shared_ptr<SSL_CTX> current() const;
  // Reads the files again if they have changed. A pair that can not be used is logged once and the one in use stays: while two files
  // are replaced there is always a moment in which they do not fit.
  void reload();
  // Takes this chain and key, as PEM. kInvalid, and the one in use stays, if they can not be used together.
  Result<void> use(const std::string& cert_pem, const std::string& key_pem);

 private:
  Certificates(std::string cert_file, std::string key_file) : cert_file_(std::move(cert_file)), key_file_(std::move(key_file)) {}
  Result<Digest> digest_of_files() const;

  const std::string cert_file_, key_file_;
  mutable std::mutex mutex_;
  std::shared_ptr<SSL_CTX> context_;
  Digest seen_;  // of the files last looked at, good or bad
};

}  // namespace cistern::http
