// What the API server would think of the webhook's certificate. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"

namespace cistern::inspect {

struct CertificateView {
  std::string problem;                // "it has expired", "none of the CAs …: …"; empty: it is good
  std::optional<WallTime> not_after;  // until when; nothing if it can not be read
};

// `certificate`: PEM. `bundle`: PEM of every CA that is trusted. `name`: by which it is asked for.
CertificateView view_certificate(const std::string& certificate, const std::string& bundle, const std::string& name, WallTime now);

}  // namespace cistern::inspect
