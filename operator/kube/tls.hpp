// Who the API server must be, and who we are to it, in OpenSSL's terms. Private to this folder.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <mutex>
#include <string>

#include "base/error.hpp"
#include "operator/kube/configuration.hpp"

namespace cistern::kube {

// Thread-safe; parsed once, used for every connection.
class TlsSettings {
 public:
  // kInvalid, naming which of them, for a CA, certificate or key that can not be used.
  static Result<std::shared_ptr<TlsSettings>> make(const Configuration& configuration);

  // Must outlive the handshakes of connections that come from `context`.
  void apply(SSL_CTX* context);
  // Why the last server was refused; empty if none was. Forgotten by being asked.
  std::string take_problem();

 private:
  struct Free {
    void operator()(X509_STORE* store) const { X509_STORE_free(store); }
    void operator()(X509* certificate) const { X509_free(certificate); }
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
    void operator()(BIO* bio) const { BIO_free(bio); }
    void operator()(STACK_OF(X509) * chain) const { sk_X509_pop_free(chain, X509_free); }
  };
  using Certificates = std::unique_ptr<STACK_OF(X509), Free>;
  static Certificates read_certificates(const std::string& pem);
  static int verify(X509_STORE_CTX* context, void* self);

  std::unique_ptr<X509_STORE, Free> authorities_;  // null: the system's
  Certificates chain_;                             // ours, the leaf first; null: none
  std::unique_ptr<EVP_PKEY, Free> key_;
  std::mutex mutex_;
  std::string problem_;
};

}  // namespace cistern::kube
