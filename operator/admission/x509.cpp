#include "operator/admission/x509.hpp"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>

#include "base/encoding.hpp"
#include "operator/admission/certificates.hpp"

namespace cistern::admission {
namespace {

template <class T, void (*release)(T*)>
struct Release {
  void operator()(T* object) const { release(object); }
};
struct BioFree {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
using Bio = std::unique_ptr<BIO, BioFree>;
using Store = std::unique_ptr<X509_STORE, Release<X509_STORE, X509_STORE_free>>;
using StoreContext = std::unique_ptr<X509_STORE_CTX, Release<X509_STORE_CTX, X509_STORE_CTX_free>>;

// An encrypted key would otherwise ask on the terminal.
int no_passphrase(char*, int, int, void*) { return 0; }

Failure openssl_failed(const char* what) {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  return fail(ErrorCode::kInternal, "OpenSSL can not {}: {}", what, reason == nullptr ? "no reason given" : reason);
}

Bio bio_of(const std::string& text) { return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

std::string text_of(const Bio& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

// Seconds since 1970; nothing for a time that is none.
std::optional<WallTime> time_of(const ASN1_TIME* time) {
  static const std::unique_ptr<ASN1_TIME, Release<ASN1_TIME, ASN1_TIME_free>> epoch(ASN1_TIME_set(nullptr, 0));
  int days = 0;
  int seconds = 0;
  if (ASN1_TIME_diff(&days, &seconds, epoch.get(), time) != 1) return std::nullopt;
  return WallTime(std::chrono::days(days) + std::chrono::seconds(seconds));
}

bool set_validity(X509* cert, WallTime from, WallTime to) {
  return ASN1_TIME_set(X509_getm_notBefore(cert), std::chrono::system_clock::to_time_t(from)) != nullptr &&
         ASN1_TIME_set(X509_getm_notAfter(cert), std::chrono::system_clock::to_time_t(to)) != nullptr;
}

// Positive and of 16 bytes, so that no two certificates of ours have the same.
bool set_random_serial(X509* cert, std::string& hex) {
  std::array<std::uint8_t, 16> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) return false;
  bytes[0] = static_cast<std::uint8_t>((bytes[0] & 0x7f) | 0x40);
  hex = to_hex(bytes);
  const std::unique_ptr<BIGNUM, Release<BIGNUM, BN_free>> number(BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr));
  return number != nullptr && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(cert)) != nullptr;
}

bool set_common_name(X509_NAME* subject, const std::string& name) {
  return X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0) == 1;
}

struct Extension {
  int nid;
  std::string value;
};

bool add_extensions(X509* cert, X509* issuer, const std::vector<Extension>& extensions) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, cert, nullptr, nullptr, 0);
  return std::ranges::all_of(extensions, [&](const Extension& extension) {
    const std::unique_ptr<X509_EXTENSION, Release<X509_EXTENSION, X509_EXTENSION_free>> made(
        X509V3_EXT_conf_nid(nullptr, &context, extension.nid, extension.value.c_str()));
    return made != nullptr && X509_add_ext(cert, made.get(), -1) == 1;
  });
}

Result<KeyPair> to_pem(X509* cert, EVP_PKEY* key) {
  const Bio cert_text(BIO_new(BIO_s_mem()));
  const Bio key_text(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(cert_text.get(), cert) != 1 ||
      PEM_write_bio_PrivateKey(key_text.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return openssl_failed("write a certificate");
  }
  return KeyPair{text_of(cert_text), text_of(key_text)};
}

// `ca`: null for a CA, which vouches for itself.
Result<KeyPair> make(const Identity* ca, const std::string& common_name, WallTime from, WallTime to,
                     const std::vector<Extension>& extensions) {
  const std::unique_ptr<EVP_PKEY, OpensslFree> key(EVP_EC_gen("P-256"));
  const std::unique_ptr<X509, OpensslFree> cert(X509_new());
  if (key == nullptr || cert == nullptr) return openssl_failed("make a key");
  X509* issuer = ca == nullptr ? cert.get() : ca->cert.get();
  std::string serial;
  // A CA's name is its own, so that a chain is found by names alone where two CAs are trusted.
  const bool made =
      X509_set_version(cert.get(), X509_VERSION_3) == 1 && set_random_serial(cert.get(), serial) &&
      set_common_name(X509_get_subject_name(cert.get()), ca == nullptr ? common_name + " " + serial.substr(0, 8) : common_name) &&
      X509_set_issuer_name(cert.get(), X509_get_subject_name(issuer)) == 1 && set_validity(cert.get(), from, to) &&
      X509_set_pubkey(cert.get(), key.get()) == 1 && add_extensions(cert.get(), issuer, extensions) &&
      X509_sign(cert.get(), ca == nullptr ? key.get() : ca->key.get(), EVP_sha256()) != 0;
  if (!made) return openssl_failed("make a certificate");
  return to_pem(cert.get(), key.get());
}

}  // namespace

std::unique_ptr<X509, OpensslFree> read_certificate(const std::string& pem) {
  std::unique_ptr<X509, OpensslFree> cert(PEM_read_bio_X509(bio_of(pem).get(), nullptr, &no_passphrase, nullptr));
  ERR_clear_error();
  return cert;
}

std::optional<Identity> read_identity(const KeyPair& pair) {
  Identity identity{read_certificate(pair.cert), nullptr, {}, {}};
  identity.key.reset(PEM_read_bio_PrivateKey(bio_of(pair.key).get(), nullptr, &no_passphrase, nullptr));
  const bool fits =
      identity.cert != nullptr && identity.key != nullptr && X509_check_private_key(identity.cert.get(), identity.key.get()) == 1;
  ERR_clear_error();
  if (!fits) return std::nullopt;
  const auto not_before = time_of(X509_get0_notBefore(identity.cert.get()));
  const auto not_after = time_of(X509_get0_notAfter(identity.cert.get()));
  if (!not_before || !not_after) return std::nullopt;
  identity.not_before = *not_before;
  identity.not_after = *not_after;
  return identity;
}

Result<KeyPair> make_ca(WallTime now) {
  return make(nullptr, "cistern webhook CA", now - kBackdated, now + kCaLife,
              {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
               {NID_key_usage, "critical,keyCertSign,cRLSign"},
               {NID_subject_key_identifier, "hash"}});
}

Result<KeyPair> make_certificate(const Identity& ca, const std::vector<std::string>& names, WallTime now) {
  std::string alternatives;
  for (const auto& name : names) alternatives += (alternatives.empty() ? "DNS:" : ",DNS:") + name;
  return make(&ca, "cistern-webhook", now - kBackdated, std::min(now + kCertificateLife, ca.not_after),
              {{NID_basic_constraints, "critical,CA:FALSE"},
               {NID_key_usage, "critical,digitalSignature"},
               {NID_ext_key_usage, "serverAuth"},
               {NID_subject_alt_name, alternatives},
               {NID_subject_key_identifier, "hash"},
               {NID_authority_key_identifier, "keyid:always"}});
}

bool is_ca(const Identity& identity) { return X509_check_ca(identity.cert.get()) == 1; }

std::string why_not_trusted(const X509& cert, const X509& ca, const std::vector<std::string>& names, WallTime now) {
  // OpenSSL counts references in what it takes, hence the casts.
  auto* leaf = const_cast<X509*>(&cert);
  const Store store(X509_STORE_new());
  const StoreContext context(X509_STORE_CTX_new());
  if (store == nullptr || context == nullptr || X509_STORE_add_cert(store.get(), const_cast<X509*>(&ca)) != 1 ||
      X509_STORE_CTX_init(context.get(), store.get(), leaf, nullptr) != 1) {
    ERR_clear_error();
    return "it could not be checked";
  }
  X509_STORE_CTX_set_default(context.get(), "ssl_server");
  auto* parameters = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_time(parameters, std::chrono::system_clock::to_time_t(now));
  const bool good = X509_verify_cert(context.get()) == 1;
  ERR_clear_error();
  if (!good) return X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get()));
  for (const auto& name : names) {
    if (X509_check_host(leaf, name.data(), name.size(), X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, nullptr) != 1) return "it is not for " + name;
  }
  return "";
}

}  // namespace cistern::admission
