#include "http/tls.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <spdlog/spdlog.h>

#include <cerrno>
#include <fstream>
#include <sstream>

namespace cistern::http {

namespace {

std::string openssl_reason() {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  return reason == nullptr ? "not readable as PEM" : reason;
}

int select_http_1_1(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in, unsigned in_size, void*) {
  static constexpr unsigned char kHttp11[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
  unsigned char* selected = nullptr;
  const int found = SSL_select_next_proto(&selected, out_size, kHttp11, sizeof kHttp11, in, in_size);
  *out = selected;
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

// Settings, without a certificate.
Result<std::shared_ptr<SSL_CTX>> make_context() {
  ERR_clear_error();
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (!context) return fail(ErrorCode::kInternal, "TLS can not be set up: {}", openssl_reason());
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  // Idle connections give their buffers back; a record partly written may be offered again from another place in memory (Stream::write).
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(context.get(), 1);
  SSL_CTX_set_alpn_select_cb(context.get(), select_http_1_1, nullptr);
  static constexpr unsigned char kSessionContext[] = "cistern";
  SSL_CTX_set_session_id_context(context.get(), kSessionContext, sizeof kSessionContext - 1);
  return context;
}

Result<std::shared_ptr<SSL_CTX>> make_context(const std::string& cert_file, const std::string& key_file) {
  Result<std::shared_ptr<SSL_CTX>> made = make_context();
  if (!made) return made;
  const std::shared_ptr<SSL_CTX>& context = *made;
  if (SSL_CTX_use_certificate_chain_file(context.get(), cert_file.c_str()) != 1) {
    return fail(ErrorCode::kInvalid, "TLS certificate {}: {}", cert_file, openssl_reason());
  }
  if (SSL_CTX_use_PrivateKey_file(context.get(), key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    return fail(ErrorCode::kInvalid, "TLS key {}: {}", key_file, openssl_reason());
  }
  if (SSL_CTX_check_private_key(context.get()) != 1) {
    return fail(ErrorCode::kInvalid, "TLS key {} does not belong to certificate {}", key_file, cert_file);
  }
  return made;
}

struct BioFree {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
using Bio = std::unique_ptr<BIO, BioFree>;

// An encrypted key would otherwise ask on the terminal.
int no_password(char*, int, int, void*) { return 0; }

// The first certificate is the server's, the others its chain.
bool use_chain(SSL_CTX* context, const std::string& pem) {
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  bool first = true;
  while (X509* cert = PEM_read_bio_X509(bio.get(), nullptr, &no_password, nullptr)) {
    const bool taken = first ? SSL_CTX_use_certificate(context, cert) == 1 : SSL_CTX_add1_chain_cert(context, cert) == 1;
    X509_free(cert);
    if (!taken) return false;
    first = false;
  }
  return !first;
}

bool use_key(SSL_CTX* context, const std::string& pem) {
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  EVP_PKEY* key = PEM_read_bio_PrivateKey(bio.get(), nullptr, &no_password, nullptr);
  const bool taken = key != nullptr && SSL_CTX_use_PrivateKey(context, key) == 1;
  EVP_PKEY_free(key);
  return taken;
}

}  // namespace

Result<std::unique_ptr<Certificates>> Certificates::open(std::string cert_file, std::string key_file) {
  std::unique_ptr<Certificates> certificates(new Certificates(std::move(cert_file), std::move(key_file)));
  Result<Digest> digest = certificates->digest_of_files();
  if (!digest) return fail(digest.error());
  Result<std::shared_ptr<SSL_CTX>> context = make_context(certificates->cert_file_, certificates->key_file_);
  if (!context) return fail(context.error());
  certificates->context_ = std::move(*context);
  certificates->seen_ = *digest;
  return certificates;
}

std::shared_ptr<SSL_CTX> Certificates::current() const {
  const std::lock_guard lock(mutex_);
  return context_;
}

void Certificates::reload() {
  const Result<Digest> digest = digest_of_files();
  if (!digest) {
    spdlog::warn("the TLS certificate in use stays: {}", digest.error().message);
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    if (*digest == seen_) return;
    seen_ = *digest;
  }
  Result<std::shared_ptr<SSL_CTX>> context = make_context(cert_file_, key_file_);
  if (!context) {
    spdlog::warn("the TLS certificate in use stays: {}", context.error().message);
    return;
  }
  const std::lock_guard lock(mutex_);
  context_ = std::move(*context);
  spdlog::info("TLS certificate {} is in use for new connections", cert_file_);
}

Result<void> Certificates::use(const std::string& cert_pem, const std::string& key_pem) {
  Result<std::shared_ptr<SSL_CTX>> context = make_context();
  if (!context) return fail(context.error());
  if (!use_chain(context->get(), cert_pem)) return fail(ErrorCode::kInvalid, "the TLS certificate: {}", openssl_reason());
  if (!use_key(context->get(), key_pem)) return fail(ErrorCode::kInvalid, "the TLS key: {}", openssl_reason());
  if (SSL_CTX_check_private_key(context->get()) != 1) {
    ERR_clear_error();
    return fail(ErrorCode::kInvalid, "the TLS key does not belong to the certificate");
  }
  ERR_clear_error();  // the end of the chain is an error to OpenSSL
  const std::lock_guard lock(mutex_);
  context_ = std::move(*context);
  return {};
}

Result<Digest> Certificates::digest_of_files() const {
  Sha256 hash;
  for (const std::string& path : {cert_file_, key_file_}) {
    errno = 0;
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    if (!file || !(text << file.rdbuf())) return fail(ErrorCode::kInvalid, "{}", system_error(errno, "TLS file " + path).message);
    hash.update(text.str());
    hash.update(std::string_view("\0", 1));
  }
  return hash.digest();
}

}  // namespace cistern::http
