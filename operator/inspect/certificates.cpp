#include "operator/inspect/certificates.hpp"

#include "operator/admission/x509.hpp"

namespace cistern::inspect {
namespace {

constexpr std::string_view kEnd = "-----END CERTIFICATE-----";

std::vector<std::string> split(const std::string& bundle) {
  std::vector<std::string> certificates;
  for (std::size_t from = 0, end = 0; (end = bundle.find(kEnd, from)) != std::string::npos; from = end + kEnd.size()) {
    certificates.push_back(bundle.substr(from, end + kEnd.size() - from) + "\n");
  }
  return certificates;
}

std::optional<WallTime> end_of(const X509& certificate, WallTime now) {
  const std::unique_ptr<ASN1_TIME, void (*)(ASN1_TIME*)> from(ASN1_TIME_set(nullptr, std::chrono::system_clock::to_time_t(now)),
                                                              ASN1_TIME_free);
  int days = 0;
  int seconds = 0;
  if (from == nullptr || ASN1_TIME_diff(&days, &seconds, from.get(), X509_get0_notAfter(&certificate)) != 1) return std::nullopt;
  return now + std::chrono::days(days) + std::chrono::seconds(seconds);
}

}  // namespace

CertificateView view_certificate(const std::string& certificate, const std::string& bundle, const std::string& name, WallTime now) {
  CertificateView view;
  const auto read = admission::read_certificate(certificate);
  if (read == nullptr) {
    view.problem = "it can not be read";
    return view;
  }
  view.not_after = end_of(*read, now);
  if (view.not_after && *view.not_after <= now) {
    view.problem = "it has expired";
    return view;
  }
  const auto authorities = split(bundle);
  if (authorities.empty()) view.problem = "the caBundle holds no certificate";
  for (const auto& pem : authorities) {
    const auto authority = admission::read_certificate(pem);
    const auto why = authority == nullptr ? "a CA of it can not be read" : admission::why_not_trusted(*read, *authority, {name}, now);
    if (why.empty()) return {"", view.not_after};
    view.problem = why;
  }
  return view;
}

}  // namespace cistern::inspect
