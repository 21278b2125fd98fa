// Self-signed certificates, for servers of tests and for clients that show one.
#pragma once

#include <memory>
#include <string>

namespace cistern::fakes {

struct Certificate {
  std::string cert_pem;
  std::string key_pem;
};

// `names` as OpenSSL writes them: "IP:127.0.0.1,DNS:localhost"; empty: none. Valid from an hour ago for a day.
Certificate make_certificate(const std::string& common_name, const std::string& names = {});

// An SSL_CTX of a server. With `client_ca_pem`, clients must show a certificate that it signed.
std::shared_ptr<void> server_context(const Certificate& certificate, const std::string& client_ca_pem = {});

}  // namespace cistern::fakes
