#include "operator/kube/tls.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>

namespace cistern::kube {
namespace {

// An encrypted key would otherwise ask on the terminal.
int no_password(char*, int, int, void*) { return 0; }

}  // namespace

TlsSettings::Certificates TlsSettings::read_certificates(const std::string& pem) {
  const std::unique_ptr<BIO, Free> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  Certificates certificates(sk_X509_new_null());
  while (X509* one = PEM_read_bio_X509(bio.get(), nullptr, &no_password, nullptr)) sk_X509_push(certificates.get(), one);
  ERR_clear_error();  // the end of the text is an error to OpenSSL
  return certificates;
}

Result<std::shared_ptr<TlsSettings>> TlsSettings::make(const Configuration& configuration) {
  auto settings = std::make_shared<TlsSettings>();
  if (!configuration.ca_pem.empty()) {
    const auto authorities = read_certificates(configuration.ca_pem);
    if (sk_X509_num(authorities.get()) == 0) return fail(ErrorCode::kInvalid, "the API server's CA holds no certificate in PEM form");
    settings->authorities_.reset(X509_STORE_new());
    for (int i = 0; i < sk_X509_num(authorities.get()); ++i) {
      X509_STORE_add_cert(settings->authorities_.get(), sk_X509_value(authorities.get(), i));
    }
  }
  if (configuration.client_cert_pem.empty() && configuration.client_key_pem.empty()) return settings;
  settings->chain_ = read_certificates(configuration.client_cert_pem);
  if (sk_X509_num(settings->chain_.get()) == 0) return fail(ErrorCode::kInvalid, "the client certificate is not in PEM form");
  const std::unique_ptr<BIO, Free> bio(
      BIO_new_mem_buf(configuration.client_key_pem.data(), static_cast<int>(configuration.client_key_pem.size())));
  settings->key_.reset(PEM_read_bio_PrivateKey(bio.get(), nullptr, &no_password, nullptr));
  ERR_clear_error();
  if (settings->key_ == nullptr) return fail(ErrorCode::kInvalid, "the client key is no unencrypted private key in PEM form");
  if (X509_check_private_key(sk_X509_value(settings->chain_.get(), 0), settings->key_.get()) != 1) {
    ERR_clear_error();
    return fail(ErrorCode::kInvalid, "the client key does not belong to the client certificate");
  }
  return settings;
}

void TlsSettings::apply(SSL_CTX* context) {
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  if (authorities_) SSL_CTX_set1_cert_store(context, authorities_.get());
  SSL_CTX_set_cert_verify_callback(context, &TlsSettings::verify, this);
  if (!chain_) return;
  SSL_CTX_use_certificate(context, sk_X509_value(chain_.get(), 0));
  for (int i = 1; i < sk_X509_num(chain_.get()); ++i) SSL_CTX_add1_chain_cert(context, sk_X509_value(chain_.get(), i));
  SSL_CTX_use_PrivateKey(context, key_.get());
}

// What OpenSSL would do by itself, the host's name included (cpprestsdk's callback is called from within), but the reason is kept.
int TlsSettings::verify(X509_STORE_CTX* context, void* self) {
  const int good = X509_verify_cert(context);
  if (good == 1) return good;
  auto& settings = *static_cast<TlsSettings*>(self);
  const int code = X509_STORE_CTX_get_error(context);
  const std::lock_guard lock(settings.mutex_);
  settings.problem_ = code == X509_V_OK || code == X509_V_ERR_UNSPECIFIED  // it was the callback that refused
                          ? "its certificate is for another name; set tls-server-name to one that it has"
                          : X509_verify_cert_error_string(code);
  return good;
}

std::string TlsSettings::take_problem() {
  const std::lock_guard lock(mutex_);
  return std::exchange(problem_, {});
}

}  // namespace cistern::kube
