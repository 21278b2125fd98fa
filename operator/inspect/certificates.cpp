#include "operator/inspect/certificates.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <memory>

namespace cistern::inspect {
namespace {

template <class T, void (*release)(T*)>
struct Release {
  void operator()(T* object) const { release(object); }
};
template <class T, void (*release)(T*)>
using Owned = std::unique_ptr<T, Release<T, release>>;
using Certificate = Owned<X509, X509_free>;

std::vector<Certificate> read_all(const std::string& pem) {
  const std::unique_ptr<BIO, int (*)(BIO*)> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
  std::vector<Certificate> all;
  while (Certificate one{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)}) all.push_back(std::move(one));
  ERR_clear_error();  // the end of the text is an error too
  return all;
}

std::optional<WallTime> end_of(const X509& certificate, WallTime now) {
  const Owned<ASN1_TIME, ASN1_TIME_free> from(ASN1_TIME_set(nullptr, std::chrono::system_clock::to_time_t(now)));
  int days = 0;
  int seconds = 0;
  if (from == nullptr || ASN1_TIME_diff(&days, &seconds, from.get(), X509_get0_notAfter(&certificate)) != 1) return std::nullopt;
  return now + std::chrono::days(days) + std::chrono::seconds(seconds);
}

void free_stack(STACK_OF(X509) * stack) { sk_X509_free(stack); }  // not what is on it

// As API servers check it: any certificate of the bundle may end the chain, and what the server shows may lead there.
std::string why_not_trusted(const std::vector<Certificate>& shown, const std::vector<Certificate>& trusted, WallTime now) {
  const Owned<X509_STORE, X509_STORE_free> store(X509_STORE_new());
  const Owned<X509_STORE_CTX, X509_STORE_CTX_free> context(X509_STORE_CTX_new());
  const Owned<STACK_OF(X509), free_stack> between(sk_X509_new_null());
  for (const auto& one : trusted) X509_STORE_add_cert(store.get(), one.get());
  for (std::size_t i = 1; i < shown.size(); ++i) sk_X509_push(between.get(), shown[i].get());
  if (X509_STORE_CTX_init(context.get(), store.get(), shown.front().get(), between.get()) != 1) return "it could not be checked";
  X509_STORE_CTX_set_default(context.get(), "ssl_server");
  auto* parameters = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_PARTIAL_CHAIN);
  X509_VERIFY_PARAM_set_time(parameters, std::chrono::system_clock::to_time_t(now));
  const bool good = X509_verify_cert(context.get()) == 1;
  ERR_clear_error();
  return good ? "" : X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get()));
}

}  // namespace

CertificateView view_certificate(const std::string& certificate, const std::string& bundle, const std::string& name, WallTime now) {
  const auto shown = read_all(certificate);
  if (shown.empty()) return {"it can not be read", std::nullopt};
  CertificateView view{"", end_of(*shown.front(), now)};
  const auto trusted = read_all(bundle);
  if (!view.not_after) {
    view.problem = "it does not say until when it is valid";
  } else if (*view.not_after <= now) {
    view.problem = "it has expired";
  } else if (trusted.empty()) {
    view.problem = "the caBundle holds no certificate";
  } else if (auto why = why_not_trusted(shown, trusted, now); !why.empty()) {
    view.problem = why;
  } else if (X509_check_host(shown.front().get(), name.data(), name.size(), X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, nullptr) != 1) {
    view.problem = "it is not for " + name;
  }
  return view;
}

}  // namespace cistern::inspect
