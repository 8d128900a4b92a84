#include "mcmc/dirichlet_block.hpp"

#include <cmath>

#include "simulation/variates.hpp"

namespace hbm_fast {
namespace {

// Both variates of Marsaglia's polar method; the second is kept in this object, so that a stream has no state besides
// its own.
class Normals {
 public:
  explicit Normals(Stream& stream) : stream_(stream) {}

  double next() {
    if (has_spare_) {
      has_spare_ = false;
      return spare_;
    }
    for (;;) {
      const double x = 2.0 * stream_.uniform() - 1.0;
      const double y = 2.0 * stream_.uniform() - 1.0;
      const double s = x * x + y * y;
      if (s >= 1.0 || s == 0.0) continue;
      const double r = std::sqrt(-2.0 * std::log(s) / s);
      spare_ = y * r;
      has_spare_ = true;
      return x * r;
    }
  }

 private:
  Stream& stream_;
  double spare_ = 0.0;
  bool has_spare_ = false;
};

// Gamma(shape, 1), shape >= 1, by Marsaglia & Tsang 2000 (doi:10.1145/358407.358414) with their squeeze.
double gamma_variate(Stream& stream, Normals& normals, double shape) {
  const double d = shape - 1.0 / 3.0;
  const double c = 1.0 / std::sqrt(9.0 * d);
  for (;;) {
    const double x = normals.next();
    const double t = 1.0 + c * x;
    if (t <= 0.0) continue;
    const double v = t * t * t;
    const double u = stream.uniform();
    const double square = x * x;
    if (u < 1.0 - 0.0331 * square * square) return d * v;
    if (std::log(u) < 0.5 * square + d * (1.0 - v + std::log(v))) return d * v;
  }
}

}  // namespace

void log_dirichlet_block(Stream& stream, const double* concentration, std::size_t n_categories, double* log_theta) {
  for (std::size_t k = 0; k < n_categories; ++k) {
    if (concentration[k] < 1.0) {  // a gamma that may underflow: everything on the log scale
      log_dirichlet(stream, concentration, n_categories, log_theta);
      return;
    }
  }
  Normals normals(stream);
  double sum = 0.0;
  for (std::size_t k = 0; k < n_categories; ++k) sum += log_theta[k] = gamma_variate(stream, normals, concentration[k]);
  const double scale = 1.0 / sum;
  for (std::size_t k = 0; k < n_categories; ++k) log_theta[k] = std::log(log_theta[k] * scale);
}

}  // namespace hbm_fast
