#include "tests/fakes/scripted_upstream/wire.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>

namespace cistern::fakes {

std::shared_ptr<void> make_tls_context(std::string& pem) {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"), &EVP_PKEY_free);
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(X509_new(), &X509_free);
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 86400);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("scripted upstream"), -1, -1, 0);
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(certificate.get()));
  X509_set_pubkey(certificate.get(), key.get());
  const std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> names(
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "IP:127.0.0.1,DNS:localhost"), &X509_EXTENSION_free);
  X509_add_ext(certificate.get(), names.get(), -1);
  X509_sign(certificate.get(), key.get(), EVP_sha256());

  const std::unique_ptr<BIO, decltype(&BIO_free)> text(BIO_new(BIO_s_mem()), &BIO_free);
  PEM_write_bio_X509(text.get(), certificate.get());
  char* data = nullptr;
  const auto size = BIO_get_mem_data(text.get(), &data);
  pem.assign(data, static_cast<std::size_t>(size));

  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  SSL_CTX_use_certificate(context, certificate.get());
  SSL_CTX_use_PrivateKey(context, key.get());
  return {context, [](void* made) { SSL_CTX_free(static_cast<SSL_CTX*>(made)); }};
}

Wire::Wire(int socket, void* tls) : socket_(socket) {
  if (tls == nullptr) return;
  auto* ssl = SSL_new(static_cast<SSL_CTX*>(tls));
  SSL_set_fd(ssl, socket);
  ssl_ = ssl;
  ok_ = SSL_accept(ssl) == 1;
}

Wire::~Wire() {
  if (ssl_ != nullptr) SSL_free(static_cast<SSL*>(ssl_));
}

long Wire::read(char* data, std::size_t size) {
  if (ssl_ != nullptr) return SSL_read(static_cast<SSL*>(ssl_), data, static_cast<int>(size));
  return ::recv(socket_, data, size, 0);
}

bool Wire::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const long sent = ssl_ != nullptr
                          ? SSL_write(static_cast<SSL*>(ssl_), bytes.data(), static_cast<int>(std::min<std::size_t>(bytes.size(), 1 << 30)))
                          : ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool Wire::gone_within(int milliseconds) {
  pollfd waiting{socket_, POLLRDHUP, 0};
  return ::poll(&waiting, 1, milliseconds) > 0;
}

void Wire::arm_reset() {
  const linger now{1, 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

}  // namespace cistern::fakes
